"""A rectangle that scenes fill in turn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Validity = NDArray[np.bool_]
Part = tuple[slice, slice]
"""Rows and columns."""


class Mosaic:
    """A rectangle that scenes fill, the nearest first; a pixel's bands all come from one scene.

    Attributes:
        values: float32 (band, y, x), NaN where nothing was observed yet.
        source: uint8 (y, x), code of the scene of each pixel, 255 where nothing was observed yet.
    """

    def __init__(self, bands: int, shape: tuple[int, int]) -> None:
        self.values: Floats = np.full((bands, *shape), np.nan, dtype=np.float32)
        self.source: Codes = np.full(shape, NOT_OBSERVED, dtype=np.uint8)

    def missing_window(self) -> Part | None:
        """The smallest rectangle that holds all that is still missing; None when the canvas is full."""
        missing = self.source == NOT_OBSERVED
        rows, cols = np.flatnonzero(missing.any(axis=1)), np.flatnonzero(missing.any(axis=0))
        if not rows.size:
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)

    def fill(self, part: Part, bands: Iterable[Floats], valid: Validity, code: int) -> None:
        """Take what is missing in ``part`` from a scene.

        Args:
            part: Rows and columns of the canvas that the scene was read in.
            bands: float32 (y, x) each.
            valid: bool (y, x): every band is observed there and no mask hides it.
            code: The scene's code.
        """
        taken = valid & (self.source[part] == NOT_OBSERVED)
        for number, band in enumerate(bands):
            np.copyto(self.values[number][part], band, where=taken)
        self.source[part][taken] = code


def observed(bands: Iterable[Floats], valid: NDArray[np.generic] | None) -> Validity:
    """Find where every band holds a number and the mask, if there is one, calls the pixel valid."""
    result = None if valid is None else np.array(valid, dtype=bool)
    for band in bands:
        finite = np.isfinite(band)
        result = finite if result is None else np.logical_and(result, finite, out=result)
    if result is None:
        raise ValueError("observed() needs a band")
    return result
