"""What a request is resolved to before a pixel is read."""

from __future__ import annotations

from datetime import date

import pytest

from geoseg.core.request import Request
from geoseg.resolve import dates_before, resolve
from tests.support.made_scenes import INSIDE


def asked(catalog="demo", **more) -> Request:
    facts = {"bbox": INSIDE, "date": "2024-05-01", "sensor": "s1", "model": "otsu", "catalog": str(catalog)}
    return Request.of(**(facts | more))


@pytest.mark.parametrize(
    ("before", "days", "first", "last"),
    [
        ("2024-04-20", 0, date(2024, 4, 20), date(2024, 4, 20)),
        ("2024-04-20", 3, date(2024, 4, 17), date(2024, 4, 23)),
        ("2024-04-20", 10, date(2024, 4, 10), date(2024, 4, 30)),
        ("2024-04-20", 11, date(2024, 4, 9), date(2024, 4, 30)),
        ("2024-04-20/2024-04-30", 30, date(2024, 3, 21), date(2024, 4, 30)),
    ],
)
def test_the_dates_before_are_widened_but_end_the_day_before_the_event(before, days, first, last):
    found = dates_before(asked(before=before, window_days=days))
    assert (found.first, found.last) == (first, last)


def test_a_scene_of_the_event_is_never_taken_for_one_from_before(add_scene, lagoon):
    """Otherwise the flood itself would count as permanent water."""
    add_scene(lagoon, "spring", day="2024-04-20")
    add_scene(lagoon, "late", day="2024-05-02")
    plan = resolve(asked(lagoon, date="2024-05-01/2024-05-02", before="2024-04-20", window_days=15))
    assert [scene.id for scene in plan.pre_event.scenes] == ["spring"]
    assert {scene.id for scene in plan.event.scenes} >= {"lagoon", "late"}
