"""What a person may ask for, and how a wrong question is refused."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geoseg.core.request import Dates, Request
from geoseg.errors import BadAreaError, BadDateError, BadOptionError


@pytest.mark.parametrize("text", ["yesterday", "2024-01-01/2024-01-02/2024-01-03", "01-02-2024"])
def test_a_malformed_date_is_refused(text):
    with pytest.raises(BadDateError, match="--date takes"):
        Dates.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2018-02-29", "this day does not exist. Month 2 of 2018 has 28 days"),
        ("2024-06-01/2024-06-31", "2024-06-31: this day does not exist"),
        ("2024-13-01", "there is no month 13"),
        ("2024-01-00", "does not exist"),
    ],
)
def test_a_day_that_does_not_exist_is_called_so(text, says):
    with pytest.raises(BadDateError, match=says):
        Dates.parse(text)


def test_dates_backwards_or_in_the_future_are_refused():
    with pytest.raises(BadDateError, match="backwards"):
        Dates.parse("2024-02-01/2024-01-01")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    with pytest.raises(BadDateError, match="future"):
        Dates.parse(str(tomorrow))


def test_the_middle_of_a_day_is_noon():
    assert Dates.parse("2018-09-21").middle == datetime(2018, 9, 21, 12, tzinfo=UTC)
    assert Dates.parse("2018-09-21/2018-09-22").middle == datetime(2018, 9, 22, tzinfo=UTC)


@given(st.dates(date(1980, 1, 1), date(2025, 1, 1)), st.integers(0, 400), st.integers(0, 30))
def test_dates_print_as_they_are_typed(first, days, widening):
    assume(first + timedelta(days=days) < datetime.now(UTC).date())
    dates = Dates(first, first + timedelta(days=days))
    assert Dates.parse(str(dates)) == dates
    start, stop = dates.widened(widening).interval
    assert start <= dates.middle <= stop


@pytest.mark.parametrize(
    "options",
    [
        {"resolution_m": 0.0},
        {"resolution_m": float("nan")},
        {"window_days": -1},
        {"max_cloud_pct": 101.0},
        {"before": "2024-01-05"},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(BadOptionError):
        Request.of(bbox="9,48,10,49", date="2024-01-05", sensor="s2", **options)


def test_one_area_and_only_one():
    for areas in ({}, {"bbox": "9,48,10,49", "aoi": "x.gpkg"}):
        with pytest.raises(BadAreaError, match="either"):
            Request.of(date="2024-01-05", sensor="s2", **areas)


def test_the_command_repeats_the_request():
    request = Request.of(
        bbox="-9.5,-48,10,49",
        date="2024-01-05/2024-01-06",
        sensor="s2",
        before="2023-12-01",
        max_cloud_pct=12.5,
        allow_large=True,
    )
    words = shlex.split(request.command())
    assert words[:2] == ["geoseg", "map"]
    assert "--bbox=-9.5,-48,10,49" in words
    assert words[words.index("--max-cloud") + 1] == "12.5"
    assert words[words.index("--before") + 1] == "2023-12-01"
    assert words.count("--yes") == 1
    assert "--composite" not in words


def test_everything_that_is_missing_is_named_at_once():
    with pytest.raises(BadOptionError, match=r"Missing: an area .*, --date, --sensor\."):
        Request.of(date=None, sensor=None)
    with pytest.raises(BadOptionError, match=r"Missing: --sensor\."):
        Request.of(date="2024-05-01", sensor="", bbox="1,2,3,4")
