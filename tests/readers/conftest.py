"""Small real scenes: GeoTIFFs on disk, and the STAC items that describe them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from geoseg.core.scene import Scene

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


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Scene]:
    """Make a Sentinel-2 scene (layout of the Planetary Computer) from arrays of digital numbers."""

    def make(
        name: str = "scene",
        *,
        time: datetime = DAY,
        baseline: str = "05.10",
        collection: str = "planetary-computer/sentinel-2-l2a",
        sensor: str = "s2",
        properties: dict[str, Any] | None = None,
        assets: dict[str, tuple[np.ndarray, GeoBox]],
        nodata: float | None = 0,
        words: dict[str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> Scene:
        entries: dict[str, dict[str, Any]] = {}
        for key, (values, where) in assets.items():
            path = write(tmp_path / f"{name}-{key}.tif", values, where, nodata, **options)
            entries[key] = {"href": str(path), **((words or {}).get(key, {}))}
        where = next(iter(assets.values()))[1]
        west, south, east, north = transform_bounds(str(where.crs), "EPSG:4326", *where.boundingbox.bbox)
        item = {
            "type": "Feature",
            "id": name,
            "properties": {"s2:processing_baseline": baseline, **(properties or {})},
            "assets": entries,
        }
        return Scene(name, collection, sensor, time, (west, south, east, north), platform=name[:1], item=item)

    return make
