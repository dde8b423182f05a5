"""Hostile, odd and unfitting items: left out with the reason, never used, never a traceback."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.core.area import Area
from geoseg.core.request import Dates
from geoseg.core.scene import RejectedScene, Scene
from geoseg.sources.search.footprint import coverage_pct
from geoseg.sources.search.item_filter import ItemFilter
from geoseg.sources.search.query import Query, RawItem
from geoseg.sources.search.source_policy import SourcePolicy
from tests.support.stac_samples import item, square, with_href

AREA = Area.from_bbox((8.2, 11.2, 8.6, 11.6))
QUERY = Query(AREA, Dates.parse("2024-05-01/2024-05-08"), "s2")
LOCAL, REMOTE = SourcePolicy(local=True), SourcePolicy(local=False, host="stac.example.org")
AT = "https://stac.example.org/collections/a/items/b"
WEB = "https://files.example.org/a.tif"


def verdict(thing, trust=LOCAL, query=QUERY, record=None):
    return ItemFilter.of(query).check(RawItem(thing, AT if not trust.local else "/cat/item.json", trust, record))


def changed(path: str, value, made=None):
    made = copy.deepcopy(made or item())
    *parents, last = path.split(".")
    place = made
    for name in parents:
        place = place[name]
    place[last] = value
    return made


def test_a_sound_item_is_a_scene():
    scene = verdict(item(platform="sentinel-2a", **{"eo:cloud_cover": 12}))
    assert isinstance(scene, Scene)
    assert (scene.id, scene.collection, scene.sensor) == ("scene", "local/s2", "s2")
    assert scene.time == datetime(2024, 5, 3, 10, tzinfo=UTC)
    assert (scene.bbox, scene.platform, scene.cloud_pct) == ((8.0, 11.0, 9.0, 12.0), "sentinel-2a", 12.0)
    assert scene.item["assets"]["data"]["href"] == "/data/scene.tif"


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (None, "no STAC item"),
        ([], "no STAC item"),
        ({}, "no STAC item"),
        (changed("type", "Catalog"), "no STAC item"),
        (changed("properties", None), "properties or assets"),
        (changed("assets", []), "properties or assets"),
        (changed("assets", {"data": "x"}), "asset is no object"),
        (changed("assets", {}), "none of the files"),
        (changed("id", None), "id is missing"),
        (changed("id", ""), "id is missing"),
        (changed("id", "a" * 300), "overlong"),
        (changed("id", "../../etc/passwd"), "characters of a path"),
        (changed("id", ".."), "characters of a path"),
        (changed("id", "a\\b"), "characters of a path"),
        (changed("id", "a\x00b"), "characters of a path"),
        (changed("properties.datetime", "yesterday"), "cannot be read"),
        (changed("properties.datetime", 20240503), "cannot be read"),
        (changed("properties.datetime", None), "cannot be read"),
        (changed("geometry", {"type": "Point", "coordinates": [8.4, 11.4]}), "is no polygon"),
        (changed("geometry", "POLYGON"), "is no polygon"),
        (changed("geometry", {"type": "Polygon", "coordinates": "x"}), "is no geometry"),
        (changed("geometry", {"type": "Polygon", "coordinates": []}), "is empty"),
        (changed("geometry", square(8, 11, math.nan)), "footprint"),
        (changed("geometry", square(8, 11, math.inf)), "footprint"),
        (changed("geometry", square(8, 11, 400)), "outside the world"),
        (changed("geometry", square(8, 11, 0)), "no extent"),
        (changed("bbox", [9, 11, 8, 12], changed("geometry", None)), "inverted"),
        (changed("bbox", None, changed("geometry", None)), "is missing"),
        (changed("bbox", [8, "a", 9, 12], changed("geometry", None)), "not finite"),
        (changed("properties.proj:shape", [10**9, 10**9]), "absurd"),
        (changed("properties.proj:shape", [0, 5]), "absurd"),
        (changed("properties.proj:shape", "huge"), "absurd"),
        (changed("properties.geoseg:collection", "local/nothing"), "no collection geoseg knows"),
        (changed("properties.geoseg:collection", ["local/s2"]), "no collection geoseg knows"),
        (with_href("/vsicurl/http://a.org/b.tif"), "inside GDAL"),
        (with_href(None), "no text"),
        (with_href("https://a.org/b.tif?sig=secret"), "token"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:30],
)
def test_bad_items_are_left_out(thing, reason):
    answer = verdict(thing)
    assert isinstance(answer, RejectedScene)
    assert reason in answer.reason
    assert "secret" not in answer.reason
    assert "\n" not in answer.id + answer.reason
    assert "\x00" not in answer.id


@pytest.mark.parametrize(
    "thing",
    [
        item(at="2024-04-30T23:59:59Z"),
        item(at="2024-05-09T00:00:00Z"),
        item(west=20.0),
        changed("properties.geoseg:collection", "local/s1"),
        changed("properties.geoseg:collection", "planetary-computer/jrc-gsw"),
    ],
    ids=["before", "after", "elsewhere", "other sensor", "other role"],
)
def test_what_was_not_asked_for_is_passed_by(thing):
    assert verdict(thing) is None


@pytest.mark.parametrize(
    "href", ["/data/a.tif", "file:///data/a.tif", "http://127.0.0.1:9/a.tif", "http://10.0.0.7/a.tif"]
)
def test_only_ones_own_catalogue_points_to_this_machine(href):
    assert isinstance(verdict(with_href(href)), Scene)
    answer = verdict(with_href(href), REMOTE)
    assert isinstance(answer, RejectedScene)
    assert "remote catalogue" in answer.reason


def test_a_remote_catalogue_may_declare_how_it_is_read():
    assert isinstance(verdict(with_href(WEB), REMOTE), Scene)


def pc_item(href: str):
    made = item()
    made["collection"] = "sentinel-2-l2a"
    made["properties"].pop("geoseg:collection")
    bands = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "SCL")
    made["assets"] = {name: {"href": href.format(name), "alternate": {"x": {"href": "/vsi"}}} for name in bands}
    made["assets"]["thumbnail"] = {"href": "file:///etc/passwd", "roles": ["thumbnail"]}
    return made


def test_an_item_is_attributed_by_collection_and_host():
    scene = verdict(pc_item("https://s2.blob.core.windows.net/{}.tif"), REMOTE)
    assert isinstance(scene, Scene)
    assert scene.collection == "planetary-computer/sentinel-2-l2a"
    assert "thumbnail" not in scene.item["assets"]
    assert "alternate" not in scene.item["assets"]["B03"]


def test_a_mirror_of_a_known_collection_is_not_guessed():
    answer = verdict(pc_item("https://mirror.example.org/{}.tif"), REMOTE)
    assert isinstance(answer, RejectedScene)
    assert "mirror.example.org" in answer.reason
    assert "planetary-computer/sentinel-2-l2a" in answer.reason


def test_a_known_catalogue_keeps_to_its_hosts():
    thing = pc_item("https://evil.example.org/{}.tif")
    answer = verdict(thing, REMOTE, record="planetary-computer/sentinel-2-l2a")
    assert isinstance(answer, RejectedScene)
    assert "no host of planetary-computer/sentinel-2-l2a" in answer.reason


def test_planetary_computer_scenes_are_kept_unsigned():
    thing = pc_item("https://s2.blob.core.windows.net/{}.tif?sv=1&sig=secret")
    scene = verdict(thing, REMOTE, record="planetary-computer/sentinel-2-l2a")
    assert isinstance(scene, Scene)
    assert "secret" not in json.dumps(dict(scene.item))


@pytest.mark.parametrize(
    ("cloud", "kept"), [(None, True), (10, True), (30, True), (30.1, False), (100, False), ("much", True)]
)
def test_cloud_is_what_the_item_states(cloud, kept):
    query = Query(AREA, QUERY.dates, "s2", max_cloud_pct=30)
    answer = verdict(item(**{"eo:cloud_cover": cloud}), query=query)
    assert isinstance(answer, Scene if kept else RejectedScene)


def test_a_footprint_must_truly_touch_the_area():
    # the triangle's box covers the area, its outline does not
    triangle = {"type": "Polygon", "coordinates": [[[8.0, 12.5], [9.0, 12.5], [9.0, 11.0], [8.0, 12.5]]]}
    answer = verdict(changed("geometry", triangle))
    assert isinstance(answer, RejectedScene)
    assert "does not touch" in answer.reason


def test_a_period_is_no_acquisition_but_may_be_reference_water():
    period = item(start_datetime="1984-03-01T00:00:00Z", end_datetime="2020-12-31T23:59:59Z")
    period["properties"]["datetime"] = None
    answer = verdict(period, query=Query(AREA, None, "s2"))
    assert isinstance(answer, RejectedScene)
    assert "names no acquisition" in answer.reason
    assert isinstance(verdict(period, query=Query(AREA, None, collection="local/s2")), Scene)


@pytest.mark.parametrize(("end", "kept"), [("2024-05-04T10:00:00Z", True), ("2024-05-04T10:00:01Z", False)])
def test_an_acquisition_lasts_a_day_at_most_and_counts_at_its_middle(end, kept):
    """A composite of a week would pass for an observation of one moment."""
    period = item(start_datetime="2024-05-03T10:00:00Z", end_datetime=end)
    period["properties"]["datetime"] = None
    answer = verdict(period)
    assert isinstance(answer, Scene if kept else RejectedScene)
    if kept:
        assert answer.time == datetime(2024, 5, 3, 22, tzinfo=UTC)


def test_a_time_without_zone_is_utc():
    scene = verdict(item(at="2024-05-03T10:00:00"))
    assert isinstance(scene, Scene)
    assert scene.time.tzinfo is UTC


@given(west=st.floats(7.5, 8.6), south=st.floats(10.5, 11.6), side=st.floats(0.05, 2))
def test_coverage_is_the_share_of_the_area(west, south, side):
    answer = verdict(changed("geometry", square(west, south, side)))
    w, s = max(west, 8.2), max(south, 11.2)
    e, n = min(west + side, 8.6), min(south + side, 11.6)
    band = math.sin(math.radians(n)) - math.sin(math.radians(s))
    whole = 0.4 * (math.sin(math.radians(11.6)) - math.sin(math.radians(11.2)))
    expected = max(e - w, 0) * max(band, 0) / whole * 100
    if isinstance(answer, Scene):
        assert coverage_pct(answer, AREA) == pytest.approx(expected, abs=1e-6)
    else:
        assert expected == pytest.approx(0, abs=1e-9)


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3),
    max_leaves=6,
)


@given(
    key=st.sampled_from(
        [*sorted(item()), "properties.datetime", "properties.platform", "assets.data", "assets.data.roles"]
    ),
    junk=JUNK,
)
def test_no_junk_raises(key, junk):
    answer = verdict(changed(key, junk), REMOTE)
    assert answer is None or isinstance(answer, RejectedScene | Scene)
