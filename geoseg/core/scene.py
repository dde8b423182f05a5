"""A scene: what a catalogue said about one acquisition, before any pixel is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from geoseg.core.area import BBox

PASS_GAP = timedelta(minutes=10)
"""Scenes of one platform closer in time than this were taken in one pass: neighbouring granules of one swath."""


ReflectanceLevel = Literal["surface", "toa", "unknown"]
"""``surface``: corrected for the atmosphere; ``toa``: at the top of the atmosphere; ``unknown``: not stated."""


@dataclass(frozen=True, slots=True)
class Track:
    """The ground track of a satellite's pass: scenes of one track look at the ground from the same side and angle.

    Attributes:
        relative_orbit: STAC ``sat:relative_orbit``; None: not stated.
        orbit_state: STAC ``sat:orbit_state`` (``ascending``, ``descending``), or "" where it is not stated.
    """

    relative_orbit: int | None = None
    orbit_state: str = ""

    def differs_from(self, other: Track) -> bool:
        """Tell whether two tracks state different orbits or directions; what either leaves out is not compared."""
        orbits = None not in (self.relative_orbit, other.relative_orbit) and self.relative_orbit != other.relative_orbit
        states = bool(self.orbit_state and other.orbit_state) and self.orbit_state != other.orbit_state
        return orbits or states

    def __str__(self) -> str:
        """The track as messages name it: ``relative orbit 22, ascending``."""
        orbit = "" if self.relative_orbit is None else f"relative orbit {self.relative_orbit}"
        return ", ".join(part for part in (orbit, self.orbit_state) if part) or "unknown orbit"


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
        reflectance: Level of the reflectance; None for radar and uncalibrated imagery.
        track: Ground track of the pass.
    """

    id: str
    collection: str
    sensor: str
    time: datetime
    bbox: BBox
    platform: str = ""
    cloud_pct: float | None = None
    item: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    reflectance: ReflectanceLevel | None = None
    track: Track = Track()


@dataclass(frozen=True, slots=True)
class RejectedScene:
    """A scene that a search saw and a map would not use, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search answers: scenes ordered by (time, id), and those rejected."""

    scenes: tuple[Scene, ...]
    rejected: tuple[RejectedScene, ...] = ()


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
