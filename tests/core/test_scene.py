"""Scenes of one pass belong together; nearest in time goes pass by pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from geoseg.core.scene import PASS_GAP, Scene, by_nearness, passes

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@st.composite
def scenes(draw):
    offsets = draw(st.lists(st.tuples(st.integers(-5000, 5000), st.sampled_from("AB")), max_size=12))
    return [
        Scene(f"{number:02}", "c/x", "s2", NOON + timedelta(minutes=minutes), (0, 0, 1, 1), platform)
        for number, (minutes, platform) in enumerate(offsets)
    ]


@given(scenes())
def test_every_scene_is_in_one_pass_of_its_platform(some):
    groups = passes(some)
    assert sorted(scene.id for group in groups for scene in group) == sorted(scene.id for scene in some)
    for group in groups:
        assert len({scene.platform for scene in group}) == 1
        assert all(b.time - a.time <= PASS_GAP for a, b in pairwise(group))


def test_a_pass_ends_after_a_gap_of_ten_minutes():
    """Scenes of one pass follow within seconds, the next orbit comes after some 100 minutes."""

    def groups(*seconds):
        times = [NOON + timedelta(seconds=each) for each in seconds]
        some = [Scene(str(time), "c/x", "s1", time, (0, 0, 1, 1), "A") for time in times]
        return [len(group) for group in passes(some)]

    assert groups(0, 25, 50, 600 + 50, 1200 + 50) == [5]
    assert groups(0, 601) == [1, 1]
    assert groups(0, 25, 5900, 5925) == [2, 2]


@given(scenes(), st.randoms())
def test_nearness_does_not_depend_on_the_order_of_the_catalogue(some, random):
    expected = by_nearness(some, NOON)
    shuffled = list(some)
    random.shuffle(shuffled)
    assert by_nearness(shuffled, NOON) == expected
    firsts = [group[0] for group in sorted(passes(some), key=lambda group: expected.index(group[0]))]
    gaps = [abs(scene.time - NOON) for scene in firsts]
    assert gaps == sorted(gaps)
