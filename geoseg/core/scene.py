"""A scene: what a catalogue said about one acquisition, before any pixel is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from geoseg.core.area import BBox

PASS_GAP = timedelta(minutes=10)
"""Scenes of one platform closer in time than this were taken in one pass: neighbouring granules of one swath."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One item of a catalogue, checked and attributed.

    Attributes:
        id: The item's id, unique within its collection.
        collection: Name of the collection record that says how to read it (``planetary-computer/sentinel-2-l2a``).
        sensor: Name of the sensor record.
        time: Acquisition, aware, UTC.
        bbox: West, south, east, north in degrees.
        platform: Satellite or aircraft as the item names it, or "".
        cloud_pct: Cloud share the item states, 0..100, or None where it states none.
        item: The STAC item as plain JSON values, hrefs absolute, checked and unsigned. Never holds a token.
    """

    id: str
    collection: str
    sensor: str
    time: datetime
    bbox: BBox
    platform: str = ""
    cloud_pct: float | None = None
    item: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RejectedScene:
    """A scene that a search saw and a map would not use, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search answers: scenes ordered by (time, id), and those left out."""

    scenes: tuple[Scene, ...]
    left_out: tuple[RejectedScene, ...] = ()


def passes(scenes: Iterable[Scene]) -> list[tuple[Scene, ...]]:
    """Group scenes that were taken in one pass of one platform, ordered by time.

    Consecutive scenes of a platform belong together while each follows the last within ``PASS_GAP``.
    """
    groups: list[list[Scene]] = []
    newest: dict[tuple[str, str], list[Scene]] = {}
    for scene in sorted(scenes, key=lambda s: (s.time, s.id)):
        key = (scene.collection, scene.platform)
        group = newest.get(key)
        if group is not None and scene.time - group[-1].time <= PASS_GAP:
            group.append(scene)
        else:
            newest[key] = [scene]
            groups.append(newest[key])
    return [tuple(group) for group in groups]


def by_nearness(scenes: Iterable[Scene], instant: datetime) -> list[Scene]:
    """Scenes in the order a nearest-in-time composite takes them: pass by pass, nearest pass first."""
    ordered = sorted(passes(scenes), key=lambda group: (abs(group[0].time - instant), group[0].time, group[0].id))
    return [scene for group in ordered for scene in group]
