"""Images that a model is run over: a Cube of scenes, or an array in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.inference.windows import Span
from geoseg.readers import Pixels


class ImageSource(Protocol):
    """An image that is read tile by tile; :class:`geoseg.readers.Cube` is one."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in order."""

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of the grid (y, x)."""

    @property
    def tile_px(self) -> int:
        """Side of a tile, pixels."""

    @property
    def tile_offset(self) -> tuple[int, int]:
        """Pixels (y, x) by which the first tiles begin before the grid."""

    def span(self, axis: int, number: int) -> Span:
        """Rows (axis 0) or columns (axis 1) of the grid that tile ``number`` along that axis covers."""

    def tile(self, iy: int, ix: int) -> Pixels:
        """Read one tile."""


@dataclass(frozen=True, eq=False)
class ArrayImage:
    """An image that is already in memory: one tile.

    Attributes:
        values: float32 (band, y, x), physical units, NaN where not observed.
        bands: Names of the bands, in order.
    """

    values: NDArray[np.float32]
    bands: tuple[str, ...]
    tile_offset: tuple[int, int] = (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of the image (y, x)."""
        return self.values.shape[1], self.values.shape[2]

    @property
    def tile_px(self) -> int:
        """Longest side of the image: one tile holds all of it."""
        return max(self.shape)

    def span(self, axis: int, number: int) -> Span:
        """All rows (axis 0) or columns (axis 1), of tile 0."""
        return (0, self.shape[axis]) if number == 0 else (self.shape[axis], self.shape[axis])

    def tile(self, iy: int, ix: int) -> Pixels:
        """Return the whole image; ``source`` is 0, and 255 where any band is not observed."""
        if (iy, ix) != (0, 0):
            raise IndexError(f"There is no tile {iy}, {ix} in an image of one tile.")
        return self._pixels

    @cached_property
    def _pixels(self) -> Pixels:
        masked = np.isnan(self.values).any(axis=0)
        return Pixels(self.values, np.where(masked, np.uint8(NOT_OBSERVED), np.uint8(0)))
