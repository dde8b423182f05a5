"""One array, or one stream of windows, as a cloud-optimised GeoTIFF that says it is simulated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.simulate.grid import MetricGrid

TAGS = {"GEOSEG_SIMULATED": "yes", "TIFFTAG_IMAGEDESCRIPTION": "Simulated by geoseg. Nothing here was observed."}
LAYOUT = {
    "driver": "COG",
    "compress": "deflate",
    "predictor": "yes",
    "blocksize": 512,
    "overview_resampling": "nearest",
}


def write_cog(
    path: Path,
    image: NDArray[np.generic],
    grid: MetricGrid,
    *,
    nodata: float | None = None,
    names: Sequence[str] = (),
) -> None:
    """Write a raster.

    Args:
        path: The file.
        image: (rows, cols) or (band, rows, cols).
        grid: Its grid.
        nodata: Value that means "not observed".
        names: Description of each band.
    """
    import rasterio

    bands = image if image.ndim == 3 else image[None]
    with rasterio.open(path, "w", **profile(grid, len(bands), bands.dtype.name, nodata), **LAYOUT) as file:
        file.write(bands)
        file.update_tags(**TAGS)
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)


def profile(grid: MetricGrid, count: int, dtype: str, nodata: float | None) -> dict[str, Any]:
    """What rasterio needs to know of a raster."""
    return {
        "height": grid.rows,
        "width": grid.cols,
        "count": count,
        "dtype": dtype,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
    }
