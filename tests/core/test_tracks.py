"""Radar scenes of other ground tracks are not compared by a change model, and warned about otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.core.request import Dates
from geoseg.core.scene import Scene, Track
from geoseg.core.tracks import match_tracks, track_warnings

EVENT, BEFORE = Dates(date(2024, 5, 6), date(2024, 5, 6)), Dates(date(2024, 4, 1), date(2024, 4, 30))
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
A22, A95, D22, D168 = (
    Track(22, "ascending"),
    Track(95, "ascending"),
    Track(22, "descending"),
    Track(168, "descending"),
)
tracks = st.builds(Track, st.sampled_from([None, 22, 95]), st.sampled_from(["", "ascending", "descending"]))


def scene(track: Track, day: float = 0.0, name: str = "") -> Scene:
    identity = name or f"{track} {day}"
    return Scene(identity, "x", "s1", NOON + timedelta(days=day), (8.0, 11.0, 9.0, 12.0), track=track)


@pytest.mark.parametrize(
    ("event", "earlier", "kept_event", "kept_earlier"),
    [
        ([A22], [A22], [A22], [A22]),
        ([A22], [A22, D168], [A22], [A22]),
        ([A22, D168], [D168], [D168], [D168]),
        ([A22, A95], [A22, A95], [A22, A95], [A22, A95]),
        ([A22], [D22], [A22], []),
        ([A22], [A95, D168], [A22], []),
        ([A22], [Track()], [A22], [Track()]),
        ([Track()], [A22], [Track()], [A22]),
        ([A22], [Track(22)], [A22], [Track(22)]),
        ([A22], [Track(95)], [A22], []),
        ([A22], [Track(None, "descending")], [A22], []),
    ],
)
def test_a_change_model_gets_common_tracks_only(event, earlier, kept_event, kept_earlier):
    found = match_tracks([scene(each) for each in event], [scene(each, -12) for each in earlier], EVENT)
    assert [each.track for each in found.earlier] == kept_earlier
    assert [each.track for each in found.event] == kept_event


def test_of_two_directions_the_pass_nearest_to_the_date_decides():
    near, far = scene(D168, 0), scene(A22, 3)
    earlier = [scene(A22, -9), scene(D168, -12)]
    found = match_tracks([near, far], earlier, EVENT)
    assert (found.event, found.earlier) == ((near,), (earlier[1],))
    assert {each.id for each in found.rejected} == {far.id, earlier[0].id}
    assert all("track" in each.reason for each in found.rejected)


def test_several_tracks_of_one_direction_are_warned_about():
    event, earlier = [scene(A22), scene(A95, 5)], [scene(A22, -12), scene(A95, -7)]
    (warning,) = match_tracks(event, earlier, EVENT).warnings
    assert "22" in warning and "95" in warning and "overlap" in warning


@given(event=st.lists(tracks, min_size=1, max_size=4), earlier=st.lists(tracks, min_size=1, max_size=4))
def test_what_is_kept_has_a_partner_and_the_rest_is_named(event, earlier):
    now = [scene(track, number, f"e{number}") for number, track in enumerate(event)]
    before = [scene(track, -12 - number, f"b{number}") for number, track in enumerate(earlier)]
    found = match_tracks(now, before, EVENT)
    if not found.earlier:
        assert all(a.differs_from(b) for a in event for b in earlier)
        return
    assert all(any(not a.track.differs_from(b.track) for b in found.earlier) for a in found.event)
    assert all(any(not a.track.differs_from(b.track) for a in found.event) for b in found.earlier)
    assert len({each.track.orbit_state for each in found.event} - {""}) <= 1
    kept = {each.id for each in (*found.event, *found.earlier)}
    assert kept | {each.id for each in found.rejected} == {each.id for each in (*now, *before)}
    assert kept.isdisjoint(each.id for each in found.rejected)
    unknown = [each for each in (*found.event, *found.earlier) if None in (each.track.relative_orbit or None,)]
    assert not unknown or any("do not state" in warning for warning in found.warnings)


def test_without_a_change_model_another_track_is_a_warning_that_names_both():
    (warning,) = track_warnings([scene(A22)], [scene(D168, -12)])
    assert "relative orbit 22, ascending" in warning and "relative orbit 168, descending" in warning
    assert track_warnings([scene(A22)], [scene(A22, -12)]) == ()
    (warning,) = track_warnings([scene(Track())], [scene(Track(), -12)])
    assert "cannot be compared" in warning
