"""STAC items of simulated scenes, in the words of the real collections; every title says simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from geoseg.simulate.grid import MetricGrid

STAC_VERSION = "1.1.0"
EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
]
COG = "image/tiff; application=geotiff; profile=cloud-optimized"

Item = dict[str, Any]
"""A STAC item as plain JSON values, hrefs relative to the item's own file."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a scene.

    Attributes:
        href: Its name in the item's folder.
        title: What a person calls it; "simulated" is added.
        role: ``data``, ``mask``, ``labels`` or ``metadata``.
        grid: Grid of a raster; None for other files.
        bands: What each band is called; empty where the collection's record knows.
        raster: STAC ``raster:bands`` entry that every band shares.
        media: Media type.
    """

    href: str
    title: str
    role: str
    grid: MetricGrid | None = None
    bands: Sequence[str] = ()
    raster: Mapping[str, Any] = field(default_factory=dict)
    media: str = COG

    def record(self) -> dict[str, Any]:
        """As STAC has it."""
        words: dict[str, Any] = {
            "href": f"./{self.href}",
            "title": f"{self.title} (simulated)",
            "type": self.media,
            "roles": [self.role],
        }
        if self.bands:
            words["eo:bands"] = [{"name": name} for name in self.bands]
        if self.raster:
            words["raster:bands"] = [dict(self.raster) for _ in self.bands or (None,)]
        if self.grid is not None:
            words |= _projection(self.grid)
        return words


@dataclass(frozen=True, slots=True)
class SimulatedItem:
    """The item of a scene.

    Attributes:
        name: Its id.
        title: What a person calls it; "simulated" is added.
        time: Acquisition, UTC.
        grid: The finest grid of its files: its outline is the scene's.
        assets: Files by asset name.
        properties: What the real collection would say, and ``geoseg:collection``.
    """

    name: str
    title: str
    time: datetime
    grid: MetricGrid
    assets: Mapping[str, Asset]
    properties: Mapping[str, Any]

    def record(self) -> Item:
        """As STAC has it."""
        west, south, east, north = self.grid.bbox()
        stac_collection = f"simulated-{str(self.properties['geoseg:collection']).split('/')[-1]}"
        return {
            "type": "Feature",
            "stac_version": STAC_VERSION,
            "stac_extensions": EXTENSIONS,
            "id": self.name,
            "collection": stac_collection,
            "bbox": [west, south, east, north],
            "geometry": {"type": "Polygon", "coordinates": [self.grid.outline()]},
            "properties": {
                "datetime": self.time.isoformat().replace("+00:00", "Z"),
                "title": f"{self.title} (simulated)",
                "geoseg:simulated": True,
                **_projection(self.grid),
                **self.properties,
            },
            "links": [],
            "assets": {key: asset.record() for key, asset in self.assets.items()},
        }


def _projection(grid: MetricGrid) -> dict[str, Any]:
    return {
        "proj:code": grid.crs,
        "proj:shape": [grid.rows, grid.cols],
        "proj:transform": [float(number) for number in list(grid.transform)[:6]],
    }
