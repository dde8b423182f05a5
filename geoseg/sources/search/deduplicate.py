"""One granule, catalogued twice: processed again under a newer baseline, or served by two collections."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from geoseg.catalog.baseline import ProcessingBaseline
from geoseg.catalog.sensors import sensors
from geoseg.core.scene import RejectedScene, Scene

_TILE = re.compile(r"(?:^|[_\-])T?(\d{2}[C-X][A-Z]{2})(?:_|$)")

Granule = tuple[str, datetime, str]


def without_older(scenes: Iterable[Scene]) -> tuple[list[Scene], list[RejectedScene]]:
    """Keep the newest processing of every Sentinel-2 granule.

    Granules of one tile, platform and second that share collection and baseline all stay: they are the two halves of a
    tile on which one datastrip ends and the next begins.

    Returns:
        The scenes that stay, in their order, and those left out.
    """
    scenes = list(scenes)
    best: dict[Granule, tuple[ProcessingBaseline | None, str]] = {}
    for scene in scenes:
        granule = granule_of(scene)
        if granule is not None:
            best[granule] = min(best.get(granule, _rank(scene)), _rank(scene), key=_newest_first)
    kept, older = [], []
    for scene in scenes:
        granule = granule_of(scene)
        if granule is None or best[granule] == _rank(scene):
            kept.append(scene)
        else:
            baseline, name = best[granule]
            older.append(
                RejectedScene(scene.id, f"the same granule is there in baseline {baseline or 'unstated'} of {name}")
            )
    return kept, older


def granule_of(scene: Scene) -> Granule | None:
    """Platform, second and tile of a granule that new baselines process again; None where the item does not tell."""
    record = sensors().get(scene.sensor)
    if record is None or record.baseline_offset is None:
        return None
    properties = scene.item.get("properties", {})
    code = str(properties.get("grid:code") or properties.get("s2:mgrs_tile") or "").removeprefix("MGRS-")
    match = _TILE.search(scene.id)
    tile = code or (match[1] if match else "")
    return (scene.platform.lower(), scene.time.replace(microsecond=0), tile) if tile else None


def _rank(scene: Scene) -> tuple[ProcessingBaseline | None, str]:
    return ProcessingBaseline.of_item(scene.id, scene.item.get("properties", {})), scene.collection


def _newest_first(rank: tuple[ProcessingBaseline | None, str]) -> tuple[int, int, str]:
    """Order of preference; between collections of one baseline the first by name (Earth Search: Collection 1)."""
    major, minor = rank[0] or (0, 0)
    return -major, -minor, rank[1]
