"""Small rasters on a common grid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

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


def write_chip(path: Path, pixels: np.ndarray, east: int = 0, north: int = 0, nodata: float | None = None) -> Path:
    """Write (band, y, x) as a GeoTIFF at 10 m in UTM 32, ``east`` and ``north`` in steps of 5 km."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if nodata is None:
        nodata = np.nan if pixels.dtype == np.float32 else -1
    count, height, width = pixels.shape
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000 + 5000 * east, 5_300_000 + 5000 * north, 10, 10)}
    size = {"count": count, "height": height, "width": width, "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", dtype=pixels.dtype, **size, **place) as file:
        file.write(pixels)
    return path
