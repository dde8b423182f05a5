"""How much of a file was observed at all: a file of nodata alone makes a map that says nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geoseg.errors import NotIngestibleError
from geoseg.sources.local.product import FileOfProduct
from geoseg.sources.local.raster import opened, sample

QUICK = {"GTiff"}
"""Formats whose windows are cheap to read; a JPEG 2000 decodes large tiles for small windows."""

NOTHING = "nothing was observed in it: every pixel is nodata or NaN, and a map of it says not observed everywhere"


def observed_pct(file: FileOfProduct, *, zero_is_fill: bool) -> float | None:
    """Share of pixels that hold a measurement in every band, per cent.

    Estimated from the windows of ``sample``, to a tenth; where those hold none, the whole file is looked at, so that
    0 is exact.

    Args:
        file: A file of measured bands.
        zero_is_fill: Exactly 0 in all bands is fill, declared or not, as the readers take it in dB and reflectance.

    Returns:
        0..100, or None where telling would take long.
    """
    if file.raster.driver not in QUICK:
        return None
    places = [place for place, band in enumerate(file.bands) if band.conversion is not None]
    fills = _Fills(tuple(file.bands[place].nodata for place in places), zero_is_fill)
    try:
        share = float(fills.leave(sample(file.raster)[places]).mean())
        if share == 0 and _any_block(file, places, fills):
            return 0.1
    except NotIngestibleError:
        return None
    return max(0.1, round(100 * share, 1)) if share else 0.0


@dataclass(frozen=True, slots=True)
class _Fills:
    """What means "not observed": a number of each band (None: none), and 0 in all of them."""

    numbers: tuple[float | None, ...]
    zero: bool

    @property
    def jointly(self) -> bool:
        """Number 0 of all bands of a photograph: black in one band was observed, black in all was not."""
        return not self.zero and len(self.numbers) > 0 and all(number == 0 for number in self.numbers)

    def leave(self, pixels: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(pixel,) of (band, pixel), digital numbers: the pixels that were observed."""
        if self.jointly:
            return np.asarray((np.isfinite(pixels) & (pixels != 0)).any(axis=0))
        known = np.isfinite(pixels).all(axis=0)
        if self.zero:
            known &= (pixels != 0).any(axis=0)
        for row, fill in zip(pixels, self.numbers, strict=True):
            if fill is not None:
                known &= row != fill
        return np.asarray(known)


def _any_block(file: FileOfProduct, places: list[int], fills: _Fills) -> bool:
    """Some pixel of the file was observed."""
    bands = [place + 1 for place in places]
    try:
        with opened(file.raster.path) as source:
            for _, window in source.block_windows(1):
                pixels = source.read(bands, window=window).astype(np.float64)
                seen = source.read_masks(bands, window=window) > 0
                pixels = np.where(seen, pixels, np.nan).reshape(len(bands), -1)
                if fills.leave(pixels).any():
                    return True
    except RasterioError as error:
        raise NotIngestibleError(f"{file.raster.path} is damaged. Fetch it again.") from error
    return False
