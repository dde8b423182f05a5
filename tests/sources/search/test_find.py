"""One catalogue through every door: folder, JSON, parquet and a real STAC API give the same answer."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from geoseg.core.area import Area
from geoseg.core.atomic import cache_folder
from geoseg.core.request import Dates
from geoseg.errors import (
    AreaTooLargeError,
    BadOptionError,
    NoScenesError,
    SearchFailedError,
    UnknownNameError,
)
from geoseg.sources.local.add import add
from geoseg.sources.local.product import Options
from geoseg.sources.search import find_items, find_scenes
from tests.support.stac_samples import item, with_href, write_list

AREA = Area.from_bbox((8.2, 11.2, 8.6, 11.6))
MAY = Dates.parse("2024-05-01/2024-05-08")


@pytest.fixture
def folder(tmp_path):
    """A static catalogue of four scenes, one of them of another sensor, linked the way static catalogues are."""
    items = [
        item("b", at="2024-05-04T10:00:00Z", platform="sentinel-2b", **{"eo:cloud_cover": 80}),
        item("a", at="2024-05-03T10:00:00Z"),
        item("late", at="2024-06-03T10:00:00Z"),
        item("radar", **{"geoseg:collection": "local/s1", "geoseg:sensor": "s1"}),
    ]
    inner = tmp_path / "local-s2"
    inner.mkdir()
    for each in items:
        each["assets"]["data"]["href"] = f"../data/{each['id']}.tif"
        (inner / f"{each['id']}.json").write_text(json.dumps(each))
    links = [{"rel": "item", "href": f"./{each['id']}.json"} for each in items]
    up = [{"rel": "root", "href": "../catalog.json"}, {"rel": "child", "href": "../catalog.json"}]
    (inner / "collection.json").write_text(json.dumps({"type": "Collection", "id": "local-s2", "links": [*links, *up]}))
    child = {"rel": "child", "href": "./local-s2/collection.json"}
    elsewhere = {"rel": "child", "href": "https://example.org/catalog.json"}
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "c", "links": [child, elsewhere]}))
    return tmp_path


def test_a_static_catalogue_is_walked(folder):
    found = find_scenes(AREA, MAY, "s2", str(folder))
    assert [scene.id for scene in found.scenes] == ["a", "b"]
    assert found.rejected == ()
    assert found.scenes[0].item["assets"]["data"]["href"] == str(folder / "data" / "a.tif")
    for door in ("catalog.json", "local-s2/collection.json"):
        assert find_scenes(AREA, MAY, "s2", str(folder / door)) == found
    assert [s.id for s in find_scenes(AREA, MAY, "s2", str(folder / "local-s2" / "a.json")).scenes] == ["a"]


def test_cloud_leaves_out_by_name(folder):
    found = find_scenes(AREA, MAY, "s2", str(folder), max_cloud_pct=50)
    assert [scene.id for scene in found.scenes] == ["a"]
    assert [(each.id, "80.0 % cloud" in each.reason) for each in found.rejected] == [("b", True)]


@pytest.fixture(scope="module")
def added(data, tmp_path_factory):
    """A catalogue made of real Sen1Floods11 chips by what `geoseg catalog add` calls."""
    where = tmp_path_factory.mktemp("cat") / "mine"
    files = sorted((data / "sen1floods11" / "S1Hand").glob("*.tif"))
    made = add(files, where, Options(sensor="s1", time=datetime(2018, 9, 21, tzinfo=UTC), units="db"))
    assert len(made.items) == len(files) == 10
    return where, made.items


def test_every_door_gives_the_same_answer(added, rustac):
    where, items = added
    west, south = (min(each["bbox"][i] for each in items) for i in (0, 1))
    east, north = (max(each["bbox"][i] for each in items) for i in (2, 3))
    area, day = Area.from_bbox((west, south, east, north)), Dates.parse("2018-09-21")
    doors = [str(where), *(str(where / name) for name in ("catalog.json", "items.json", "items.parquet"))]
    answers = [find_scenes(area, day, "s1", door) for door in [*doors, rustac(where / "items.json")]]
    assert len(answers[0].scenes) == 10
    assert answers[0].rejected == ()
    for other in answers[1:]:
        assert other == answers[0]
        for mine, theirs in zip(answers[0].scenes, other.scenes, strict=True):
            assert theirs.item["assets"] == mine.item["assets"]
            assert theirs.item["geometry"] == mine.item["geometry"]
            same = set(mine.item["properties"]) - {"datetime"}
            assert {k: theirs.item["properties"][k] for k in same} == {k: mine.item["properties"][k] for k in same}
    assert all(scene.item["assets"]["data"]["href"].startswith("/") for scene in answers[-1].scenes)


def test_one_chip_is_found_by_its_own_box(added, rustac):
    where, items = added
    one = items[0]
    url = rustac(where / "items.json")
    for door in (str(where), str(where / "items.parquet"), url):
        found = find_scenes(Area.from_bbox(one["bbox"]), Dates.parse("2018-09-20/2018-09-22"), "s1", door)
        assert one["id"] in [scene.id for scene in found.scenes]
        with pytest.raises(NoScenesError, match=r"nearest are of 2018-09-21: add --window-days 4\."):
            find_scenes(Area.from_bbox(one["bbox"]), Dates.parse("2018-09-25"), "s1", door)


def test_items_of_unlike_shape_share_one_parquet(tmp_path):
    from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

    masked = item("masked", at="2024-05-02T10:00:00Z")
    masked["assets"]["udm2"] = {"href": "./masked_udm2.tif", "roles": ["mask"]}
    masked["assets"]["data"]["raster:bands"] = [{"nodata": "nan", "scale": 0.0001}]
    plain = item("plain", at="2024-05-03T10:00:00Z", **{"eo:cloud_cover": 5})
    to_parquet(parse_stac_items_to_arrow([masked, plain]), tmp_path / "index.parquet")
    found = find_scenes(AREA, MAY, "s2", str(tmp_path / "index.parquet"))
    assert [(s.id, sorted(s.item["assets"]), s.cloud_pct) for s in found.scenes] == [
        ("masked", ["data", "udm2"], None),
        ("plain", ["data"], 5.0),
    ]
    assert found.scenes[0].item["assets"]["data"]["raster:bands"] == [{"nodata": "nan", "scale": 0.0001}]
    assert found.scenes[0].item["assets"]["udm2"]["href"] == str(tmp_path / "masked_udm2.tif")
    for scene in found.scenes:
        json.dumps(dict(scene.item), allow_nan=False)


def test_the_answer_does_not_depend_on_the_order(tmp_path):
    items = [item(name, at=f"2024-05-0{day}T10:00:00Z") for name, day in (("c", 2), ("a", 3), ("b", 3), ("a", 3))]
    forward = find_scenes(AREA, MAY, "s2", str(write_list(tmp_path / "f.json", items)))
    backward = find_scenes(AREA, MAY, "s2", str(write_list(tmp_path / "b.json", items[::-1])))
    assert forward == backward
    assert [scene.id for scene in forward.scenes] == ["c", "a", "b"]


def test_an_aoi_is_met_by_outline_not_by_box(tmp_path):
    corner = {"type": "Polygon", "coordinates": [[[8.0, 12.5], [9.5, 12.5], [9.5, 11.9], [9.2, 12.3], [8.0, 12.5]]]}
    area = Area((8.0, 11.9, 9.5, 12.5), "aoi.geojson", json.dumps(corner))
    catalogue = write_list(tmp_path / "list.json", [item("near"), item("on", west=9.0)])
    found = find_scenes(area, MAY, "s2", str(catalogue))
    assert [scene.id for scene in found.scenes] == ["on"]
    assert [each.id for each in found.rejected] == ["near"]


# -- nothing, or too much ---------------------------------------------------------------------------------------


def test_nothing_names_the_nearest_dates(folder):
    with pytest.raises(NoScenesError) as caught:
        find_scenes(AREA, Dates.parse("2024-05-10/2024-05-12"), "s2", str(folder))
    assert "2024-05-04 and 2024-06-03: add --window-days 6." in str(caught.value)


def test_nothing_far_and_wide_says_so(folder):
    with pytest.raises(NoScenesError, match="none within 60 days"):
        find_scenes(AREA, Dates.parse("2020-01-01"), "s2", str(folder))


def test_nothing_but_left_out_says_why(tmp_path):
    catalogue = write_list(tmp_path / "list.json", [with_href("/vsicurl/https://a.org/b.tif")])
    with pytest.raises(NoScenesError, match="inside GDAL"):
        find_scenes(AREA, MAY, "s2", str(catalogue))


def test_more_than_a_map_would_use_is_refused(tmp_path):
    catalogue = write_list(tmp_path / "list.json", [item(f"scene{number}") for number in range(1001)])
    with pytest.raises(AreaTooLargeError, match="More than 1000 scenes"):
        find_scenes(AREA, MAY, "s2", str(catalogue))


# -- names and places ---------------------------------------------------------------------------------------------


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean planetary-computer"):
        find_scenes(AREA, MAY, "s2", "planetary-computr")
    with pytest.raises(UnknownNameError, match="sensor named 's3'"):
        find_scenes(AREA, MAY, "s3")


@pytest.mark.parametrize(
    ("catalog", "error", "words"),
    [
        ("demo", SearchFailedError, "geoseg demo"),
        ("./nowhere", BadOptionError, "There is no catalogue"),
        ("nowhere.json", BadOptionError, "There is no catalogue"),
        ("ftp://example.org/catalog.json", BadOptionError, "scheme 'ftp'"),
        ("https://me:hunter2@example.org", BadOptionError, "credentials"),
        ("https://example.org/api?token=hunter2", BadOptionError, "credentials"),
        ("https://example.org/items.parquet", BadOptionError, "download the index"),
    ],
)
def test_places_that_are_none(catalog, error, words, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))  # other tests may have made the demo's imagery
    with pytest.raises(error, match=words) as caught:
        find_scenes(AREA, MAY, "s2", catalog)
    assert "hunter2" not in str(caught.value)


def test_the_demo_is_read_where_it_is_written():
    write_list(cache_folder("demo") / "catalog.json", [item()])
    try:
        assert [scene.id for scene in find_scenes(AREA, MAY, "s2", "demo").scenes] == ["scene"]
    finally:
        (cache_folder("demo") / "catalog.json").unlink()


def test_a_folder_without_a_catalogue_says_what_to_do(tmp_path):
    with pytest.raises(SearchFailedError, match="geoseg catalog add"):
        find_scenes(AREA, MAY, "s2", str(tmp_path))
    image = tmp_path / "a.tif"
    image.write_bytes(b"II*\x00")
    with pytest.raises(BadOptionError, match="geoseg catalog add"):
        find_scenes(AREA, MAY, "s2", str(image))


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "42", '{"type": "Catalogue"}', "\x00"], ids=lambda text: text[:8]
)
def test_files_that_are_no_catalogue(tmp_path, text):
    path = tmp_path / "catalog.json"
    path.write_text(text)
    with pytest.raises(SearchFailedError, match=r"is not JSON|is no STAC"):
        find_scenes(AREA, MAY, "s2", str(path))


def test_a_parquet_that_is_no_index(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(SearchFailedError, match="no stac-geoparquet"):
        find_scenes(AREA, MAY, "s2", str(tmp_path / "other.parquet"))
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(SearchFailedError, match="no stac-geoparquet"):
        find_scenes(AREA, MAY, "s2", str(tmp_path / "cut.parquet"))


def test_a_catalogue_that_serves_only_what_cannot_be_mapped_says_why():
    with pytest.raises(BadOptionError, match="uncalibrated amplitude"):
        find_scenes(AREA, MAY, "s1", "earth-search")
    with pytest.raises(BadOptionError, match=r"cdse serves no aerial .* --catalog planetary-computer does"):
        find_scenes(AREA, MAY, "aerial", "cdse")
    with pytest.raises(BadOptionError, match="uncalibrated amplitude"):
        find_items(AREA, None, "planetary-computer/sentinel-1-grd")


def test_reference_water_of_a_local_catalogue(tmp_path):
    water = item(**{"geoseg:collection": "planetary-computer/jrc-gsw"})
    water["assets"] = {"occurrence": {"href": "./occurrence.tif", "roles": ["data"]}}
    water["properties"] |= {
        "datetime": None,
        "start_datetime": "1984-03-01T00:00:00Z",
        "end_datetime": "2020-12-31T00:00:00Z",
    }
    catalogue = str(write_list(tmp_path / "list.json", [water, item("imagery")]))
    found = find_items(AREA, None, "planetary-computer/jrc-gsw", catalogue)
    assert [(scene.id, scene.sensor) for scene in found.scenes] == [("scene", "")]
    with pytest.raises(NoScenesError, match="nothing of planetary-computer/cop-dem-glo-30"):
        find_items(AREA, None, "planetary-computer/cop-dem-glo-30", catalogue)
    with pytest.raises(BadOptionError, match="say which with --catalog"):
        find_items(AREA, None, "local/s2")


def test_searches_from_threads_agree(folder):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(find_scenes(AREA, MAY, "s2", str(folder)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(set(map(str, answers))) == 1
