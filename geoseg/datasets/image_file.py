"""A part of an image as physical quantities, read window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.catalog.datasets import ImagePart
from geoseg.datasets.alignment import Shift
from geoseg.datasets.raster_file import RasterHeader, read_window
from geoseg.datasets.window import Window, window_of

UNSEEN_AREA_PX = 64
"""Connected black pixels at the edge from which on they are nobody's imagery and no dark pond."""

ABSURD = 1e30
"""No physical quantity is this large: a fill value that the header forgot to name."""


@dataclass(frozen=True)
class ImageFile:
    """Looks like an array (band, y, x), float32 in physical units, NaN where not observed; reads when sliced.

    Attributes:
        raster: The file.
        part: What its numbers mean.
        shape: Bands in use, rows and columns of the image that it is part of.
        shift: Where the image's pixels lie in the file.
    """

    raster: RasterHeader
    part: ImagePart
    shape: tuple[int, int, int]
    shift: Shift

    dtype = np.dtype(np.float32)
    ndim = 3

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[np.float32]:
        """A window of it.

        Raises:
            SceneUnreadableError: Truncated or damaged.
        """
        window = window_of(key[1:], self.shape[1:])
        # which black pixels were not observed shows only in the whole image
        whole = Window((0, self.shape[1]), (0, self.shape[2])) if self.part.unseen.startswith("black-") else window
        pixels = self._read(whole)
        rows, columns = window.within(whole)
        return np.asarray(pixels[key[0], rows, columns][window.rest])

    def _read(self, window: Window) -> NDArray[np.float32]:
        used = [index for index, band in enumerate(self.part.bands, start=1) if band]
        looked_at = self._looked_at(used)
        inside = window.moved(self.shift.rows, self.shift.columns).clipped(self.raster.shape)
        pixels = np.full((len(used), *window.shape), np.nan, np.float32)
        if inside.empty:
            return pixels
        numbers, there = read_window(self.raster, looked_at, inside.rows, inside.columns)
        values = self._physical(numbers, there, looked_at)[: len(used)]
        rows, columns = inside.moved(-self.shift.rows, -self.shift.columns).within(window)
        pixels[:, rows, columns] = values
        return pixels

    def _looked_at(self, used: list[int]) -> list[int]:
        """Bands to read, those in use first: whether a pixel is black, or its alpha 0, may be in the others."""
        more = []
        if self.part.unseen:
            more = [index for index in range(1, len(self.part.bands) + 1) if index != self.part.alpha]
        if self.part.alpha is not None:
            more.append(self.part.alpha)
        return used + [index for index in more if index not in used]

    def _physical(self, numbers: NDArray[Any], there: NDArray[np.bool_], bands: list[int]) -> NDArray[np.float32]:
        if self.part.nodata is not None:
            there = there & (numbers != self.part.nodata)
        if self.part.alpha is not None:
            there = there & (numbers[bands.index(self.part.alpha)] != 0)
        if self.part.unseen:
            colours = [index for index, band in enumerate(bands) if band != self.part.alpha]
            there = there & ~unseen((numbers[colours] == 0).all(axis=0), self.part.unseen)
        values = numbers.astype(np.float64) * self.part.scale + self.part.offset
        with np.errstate(invalid="ignore"):
            seen = there & (np.abs(values) < ABSURD)
        return np.where(seen, values, np.nan).astype(np.float32)


def unseen(black: NDArray[np.bool_], rule: str) -> NDArray[np.bool_]:
    """Which pixels nobody observed.

    Args:
        black: (y, x), every band is 0.
        rule: As :class:`~geoseg.catalog.datasets.ImagePart` has it.

    Returns:
        Booleans (y, x).
    """
    if rule == "black-edge":
        return _strips(black) | _strips(black.T).T
    if rule == "black-area":
        return _areas(black)
    return black


def _strips(black: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows that are black from end to end, with only such rows between them and the edge."""
    full = np.asarray(black.all(axis=1))
    strip = np.minimum.accumulate(full) | np.minimum.accumulate(full[::-1])[::-1]
    return np.broadcast_to(strip[:, np.newaxis], black.shape)


def _areas(black: NDArray[np.bool_]) -> NDArray[np.bool_]:
    areas, count = ndimage.label(black)
    size = np.bincount(areas.ravel(), minlength=count + 1)
    at_edge = np.zeros(count + 1, bool)
    at_edge[np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])] = True
    hidden = at_edge & (size >= UNSEEN_AREA_PX)
    hidden[0] = False
    return np.asarray(np.asarray(hidden)[areas])
