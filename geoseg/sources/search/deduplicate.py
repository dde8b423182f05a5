"""One granule, catalogued twice: processed again under a newer baseline, or served by two collections."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from geoseg.core.scene import RejectedScene, Scene

_TILE = re.compile(r"(?:^|[_\-])T?(\d{2}[C-X][A-Z]{2})(?:_|$)")
_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")
_VERSION = re.compile(r"\d{1,2}\.\d{1,2}")

Granule = tuple[str, datetime, str]


def without_older(scenes: Iterable[Scene]) -> tuple[list[Scene], list[RejectedScene]]:
    """Keep the newest processing of every Sentinel-2 granule.

    Granules of one tile, platform and second that share collection and baseline all stay: they are the two halves of a
    tile on which one datastrip ends and the next begins.

    Returns:
        The scenes that stay, in their order, and those left out.
    """
    scenes = list(scenes)
    best: dict[Granule, tuple[str, str]] = {}
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
    """Platform, second and tile of a Sentinel-2 granule, or None where the item does not tell them."""
    if scene.sensor != "s2":
        return None
    properties = scene.item.get("properties", {})
    code = str(properties.get("grid:code") or properties.get("s2:mgrs_tile") or "").removeprefix("MGRS-")
    match = _TILE.search(scene.id)
    tile = code or (match[1] if match else "")
    return (scene.platform.lower(), scene.time.replace(microsecond=0), tile) if tile else None


def baseline_of(scene: Scene) -> str:
    """Processing baseline as ``05.11``, or "" where the item names none."""
    properties = scene.item.get("properties", {})
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        text = str(properties.get(key, ""))
        if _VERSION.fullmatch(text):
            return f"{float(text):05.2f}"
    for name in (scene.id, str(properties.get("s2:product_uri", ""))):
        if match := _IN_NAME.search(name):
            return f"{match[1]}.{match[2]}"
    return ""


def _rank(scene: Scene) -> tuple[str, str]:
    return baseline_of(scene), scene.collection


def _newest_first(rank: tuple[str, str]) -> tuple[float, str]:
    """Order of preference; between collections of one baseline the first by name (Earth Search: Collection 1)."""
    return -float(rank[0] or 0), rank[1]
