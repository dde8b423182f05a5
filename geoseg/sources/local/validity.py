"""Which digital number means "not observed", and what is assumed where a file does not say."""

from __future__ import annotations

import math

import numpy as np

from geoseg.sources.local.layouts import layout
from geoseg.sources.local.raster import RasterFile


def nodata_of(raster: RasterFile, sensor: str) -> tuple[tuple[float | None, ...], tuple[str, ...]]:
    """The nodata of each band, and notes on what was assumed.

    What the file declares counts. Floats without one: NaN, beside which readers take 0 in
    all bands for fill. Integers without one and without a mask: the fill that the
    provider documents (0 for PlanetScope and Sentinel-2), else none: every pixel counts as observed.

    Returns:
        One value a band (None: every number is an observation), and sentences for a person.
    """
    fill = layout(sensor).fill
    values: list[float | None] = []
    notes: list[str] = []
    for dtype, declared in zip(raster.dtypes, raster.nodata, strict=True):
        if declared is not None:
            values.append(declared)
        elif not np.issubdtype(np.dtype(dtype), np.integer):
            values.append(math.nan)
            if raster.mask == "none":
                notes.append("declares no nodata: NaN, and 0 in all bands, count as not observed")
        elif raster.mask != "none":
            values.append(None)
        else:
            values.append(fill)
            notes.append(
                "no nodata declared: every pixel counts as observed"
                if fill is None
                else f"no nodata declared: {fill} counts as not observed, as {sensor} products document it"
            )
    return tuple(values), tuple(dict.fromkeys(notes))
