"""Compare the ground tracks of radar scenes: two passes show change where both look from the same side and angle.

A slope or a wall that faces the radar is 10 dB brighter than one that faces away: between an ascending and a descending
pass, or between two relative orbits, such differences look like flood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geoseg.core.request import Dates
from geoseg.core.scene import RejectedScene, Scene, Track, by_nearness


@dataclass(frozen=True, slots=True)
class TrackMatch:
    """The scenes of two dates that may be compared, pixel by pixel.

    Attributes:
        event: Scenes of the event.
        earlier: Scenes of the time before; empty: no earlier scene lies on a track of the event.
        rejected: Scenes that lie on no common track.
        warnings: Sentences for the map.
    """

    event: tuple[Scene, ...]
    earlier: tuple[Scene, ...]
    rejected: tuple[RejectedScene, ...] = ()
    warnings: tuple[str, ...] = ()


def match_tracks(event: Sequence[Scene], earlier: Sequence[Scene], dates: Dates) -> TrackMatch:
    """Keep the scenes of the tracks that event and earlier scenes have in common, for a model that compares them.

    One direction only: the one of the pass nearest to the date. A scene that states no orbit is kept, with a warning.

    Args:
        event: Scenes of the event.
        earlier: Scenes of the time before.
        dates: Dates of the event.
    """
    common = [scene for scene in by_nearness(event, dates.middle) if _has_partner(scene, earlier)]
    if not common:
        return TrackMatch(tuple(event), ())
    direction = next((scene.track.orbit_state for scene in common if scene.track.orbit_state), "")
    side = Track(orbit_state=direction)
    kept = {id(scene) for scene in common if not scene.track.differs_from(side)}
    now = tuple(scene for scene in event if id(scene) in kept)
    before = tuple(scene for scene in earlier if _has_partner(scene, now))
    used = {id(scene) for scene in (*now, *before)}
    rejected = tuple(
        RejectedScene(scene.id, f"its track ({scene.track}) has no partner to compare with")
        for scene in (*event, *earlier)
        if id(scene) not in used
    )
    return TrackMatch(now, before, rejected, (*_unknown(now, before), *_several(now)))


def track_warnings(event: Sequence[Scene], earlier: Sequence[Scene]) -> tuple[str, ...]:
    """Warn where water of two dates is compared that was seen from different tracks, or from unknown ones."""
    others = [scene for scene in earlier if not _has_partner(scene, event)]
    if not others:
        return _unknown(event, earlier)
    return (
        f"The imagery before was taken on another track ({named_tracks(others)}) than the event's "
        f"({named_tracks(event)}): what only one of them sees may be called flood or permanent water.",
    )


def named_tracks(scenes: Sequence[Scene]) -> str:
    """Name every track of some scenes once."""
    return "; ".join(dict.fromkeys(str(scene.track) for scene in scenes))


def _has_partner(scene: Scene, others: Sequence[Scene]) -> bool:
    return any(not scene.track.differs_from(other.track) for other in others)


def _unknown(event: Sequence[Scene], earlier: Sequence[Scene]) -> tuple[str, ...]:
    scenes = (*event, *earlier)
    without = [scene for scene in scenes if scene.track.relative_orbit is None or not scene.track.orbit_state]
    if not without:
        return ()
    which = "The scenes" if len(without) == len(scenes) else f"{len(without)} of {len(scenes)} scenes"
    return (
        f"{which} do not state sat:relative_orbit and sat:orbit_state, so the orbits before and at the event cannot be "
        "compared: on another track, slopes and walls look like change.",
    )


def _several(event: Sequence[Scene]) -> tuple[str, ...]:
    tracks = {scene.track.relative_orbit for scene in event} - {None}
    if len(tracks) < 2:
        return ()
    return (
        f"Passes of {len(tracks)} tracks are compared ({named_tracks(event)}): where they overlap, a pixel may be "
        "compared across tracks. Map each pass by its own --date to be sure.",
    )
