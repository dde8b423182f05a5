"""What a person may ask for, and how a wrong question is refused."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime, timedelta

import geopandas
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shapely.geometry import LineString, Point, box

from geoseg.core.area import Area
from geoseg.core.request import Dates, Request
from geoseg.errors import BadAreaError, BadDateError, BadOptionError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3", "has 3"),
        ("a,b,c,d", "four numbers"),
        ("", "has 0"),
        ("48.1,101.5,48.3,101.7", "swapped"),
        ("10,95,11,96", "swapped"),
        ("170,10,-170,11", "antimeridian"),
        ("10,48,9,49", "beyond east"),
        ("9,49,10,48", "beyond north"),
        ("9,48,9,49", "no extent"),
        ("9,48,10,48", "no extent"),
        ("190,48,191,49", "outside the world"),
        ("nan,48,10,49", "not finite"),
        ("9,48,inf,49", "not finite"),
    ],
)
def test_a_box_that_is_no_area_is_refused(text, says):
    with pytest.raises(BadAreaError, match=says):
        Area.from_bbox(text)


@given(st.tuples(*[st.one_of(st.floats(-200, 200), st.just(float("nan"))) for _ in range(4)]))
def test_any_four_numbers_are_an_area_or_a_plain_refusal(numbers):
    try:
        area = Area.from_bbox(numbers)
    except BadAreaError as error:
        assert "\n" not in str(error)
        return
    west, south, east, north = area.bbox
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90


def test_an_aoi_file_in_any_crs_is_its_polygons_in_degrees(tmp_path):
    frame = geopandas.GeoDataFrame(geometry=[box(500_000, 5_300_000, 501_000, 5_301_000), Point(0, 0)], crs=32632)
    for name in ("aoi.gpkg", "aoi.geojson"):
        path = tmp_path / name
        (frame.to_crs(4326) if name.endswith("json") else frame).to_file(path)
        west, south, east, north = Area.from_file(path).bbox
        assert 8.99 < west < 9.0 + 1e-6 < east < 9.02
        assert 47.8 < south < north < 47.9


def test_an_aoi_file_that_is_none_is_refused(tmp_path):
    lines = tmp_path / "lines.gpkg"
    geopandas.GeoDataFrame(geometry=[LineString([(0, 0), (1, 1)])], crs=4326).to_file(lines)
    placeless = tmp_path / "placeless.shp"
    geopandas.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326).to_file(placeless)
    placeless.with_suffix(".prj").unlink()
    text = tmp_path / "text.geojson"
    text.write_text("no map")
    for path, says in (
        (lines, "no polygon"),
        (placeless, "no CRS"),
        (text, "not a vector"),
        (tmp_path / "no", "no AOI"),
    ):
        with pytest.raises(BadAreaError, match=says):
            Area.from_file(path)


@pytest.mark.parametrize(
    "text", ["2024-13-01", "2024-02-30", "yesterday", "2024-01-01/2024-01-02/2024-01-03", "01-02-2024"]
)
def test_a_malformed_date_is_refused(text):
    with pytest.raises(BadDateError, match="--date takes"):
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
        {"composite": "mean"},
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
