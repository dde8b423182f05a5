"""Small real scenes: GeoTIFFs on disk, and the STAC items that describe them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from geoseg.core.scene import Scene
from tests.support.rasters import DAY, write


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
