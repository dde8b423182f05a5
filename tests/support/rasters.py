"""Small rasters on a common grid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

UTM = "EPSG:32633"
ORIGIN = (400_000.0, 5_000_000.0)
DAY = datetime(2024, 5, 1, 10, tzinfo=UTC)


def grid(height: int, width: int, resolution: float = 10.0, *, shift: tuple[float, float] = (0, 0)) -> GeoBox:
    """A grid whose corner lies ``shift`` (x, y) metres from the common origin."""
    x, y = ORIGIN[0] + shift[0], ORIGIN[1] - shift[1]
    return GeoBox((height, width), Affine(resolution, 0, x, 0, -resolution, y), UTM)


def write(path: Path, values: np.ndarray, where: GeoBox, nodata: float | None = None, **options: Any) -> Path:
    """Write (y, x) or (band, y, x) as a GeoTIFF."""
    bands = values if values.ndim == 3 else values[None]
    profile = {"driver": "GTiff", "count": len(bands), "height": where.shape[0], "width": where.shape[1]}
    with rasterio.open(
        path,
        "w",
        **profile,
        dtype=bands.dtype,
        crs=str(where.crs),
        transform=where.transform,
        nodata=nodata,
        **options,
    ) as file:
        file.write(bands)
    return path
