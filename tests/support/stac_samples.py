"""Items as catalogues have them, sound until a test spoils them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def square(west: float, south: float, side: float = 1.0) -> dict[str, Any]:
    east, north = west + side, south + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def item(
    name: str = "scene", *, at: str = "2024-05-03T10:00:00Z", west: float = 8.0, **properties: Any
) -> dict[str, Any]:
    """An item of a person's own Sentinel-2 catalogue, one degree square at ``west``, 11 N."""
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": name,
        "collection": "local-s2",
        "bbox": [west, 11.0, west + 1, 12.0],
        "geometry": square(west, 11.0),
        "properties": {
            "datetime": at,
            "geoseg:sensor": "s2",
            "geoseg:collection": "local/s2",
            "geoseg:units": "reflectance",
            **properties,
        },
        "links": [],
        "assets": {
            "data": {
                "href": f"/data/{name}.tif",
                "roles": ["data"],
                "eo:bands": [{"name": "green"}, {"name": "nir"}, {"name": "swir16"}],
                "type": "image/tiff",
            }
        },
    }


def with_href(href: Any, **options: Any) -> dict[str, Any]:
    made = item(**options)
    made["assets"]["data"]["href"] = href
    return made


def write_list(path: Path, items: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}), encoding="utf-8")
    return path
