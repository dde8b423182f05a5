"""Items as real catalogues serve them: each becomes a scene of a stated record, or is left out by name."""

from __future__ import annotations

import json

import pytest

from geoseg.catalog.collections import Unsupported, collection
from geoseg.core.area import Area
from geoseg.core.scene import RejectedScene, Scene
from geoseg.errors import SearchFailedError
from geoseg.sources.planet.data_api import stac_item
from geoseg.sources.search.item_filter import ItemFilter
from geoseg.sources.search.match_collection import read_assets
from geoseg.sources.search.query import Query, RawItem
from geoseg.sources.search.source_policy import SourcePolicy, on_hosts
from geoseg.sources.search.static import read_file, walk

WORLD = Area.from_bbox((-180, -90, 180, 90))
REMOTE = SourcePolicy(local=False, host="catalogue.example.org")
PC, ES = "planetary-computer", "earth-search"
ORPHAN = "names no collection"
UNKNOWN = "no record of a collection"

SCENES = {
    "cdse__issue1043-api-proj-code.FeatureCollection.json": [("cdse/sentinel-2-l2a", "2020-03-22T07:46:09.024", 87.94)],
    "cdse__issue1547-inconsistent-nodata-handling.FeatureCollection.json": [
        ("cdse/sentinel-2-l2a", "2026-05-27T01:46:51.025", 36.08)
    ],
    "earth-search-aws-element84-com_v1__sentinel-2-c1-l2a.json": [
        (f"{ES}/sentinel-2-c1-l2a", "2025-07-31T13:19:22.930", 26.02542)
    ],
    "earth-search-aws-element84-com_v1__sentinel-2-l2a.json": [
        (f"{ES}/sentinel-2-l2a", "2025-07-31T13:19:22.930", 26.02542)
    ],
    "naip-pc.json": [(f"{PC}/naip", "2022-12-12T16:00:00.000", None)] * 4,
    "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531.json": [
        (f"{PC}/sentinel-2-l2a", "2019-06-29T21:25:29.024", 0.314306)
    ],
    "planetarycomputer-microsoft-com_api__sentinel-2-l2a.json": [
        (f"{PC}/sentinel-2-l2a", "2019-01-01T00:00:01.024", 56.297088)
    ],
    "sentinel-1-rtc-pc.json": [
        (f"{PC}/sentinel-1-rtc", f"2024-04-19T04:{second}", None)
        for second in ("59:10.436", "58:51.719", "58:26.720", "58:01.720")
    ],
    "sentinel-2-l2a-pc-single.json": [(f"{PC}/sentinel-2-l2a", "2022-06-12T18:29:19.024", 30.529344)],
    "sentinel-2-l2a-pc.json": [
        (f"{PC}/sentinel-2-l2a", "2024-04-19T09:55:49.024", cloud) for cloud in (0.219774, 0.82852, 0.843375, 0.126773)
    ],
}
LEFT_OUT = {
    "earth-search-aws-element84-com_v0__sentinel-s2-l2a-cogs.json": [UNKNOWN],
    "earth-search-aws-element84-com_v1__sentinel-1-grd.json": ["uncalibrated amplitude"],
    "earth-search-aws-element84-com_v1__sentinel-2-l1c.json": [UNKNOWN],
    "eodag__earth_search_search.json": [UNKNOWN],
    "odc-stac__S2A_28QCH_20200714_0_L2A.json": [UNKNOWN],
    "planet-nicfi-analytic-pc.json": [UNKNOWN] * 4,
    "planet/data_item_20220125_075509_67_1061.json": ["Planet's Data API"],
    "planet/data_item_20220125_075511_17_1061.json": ["Planet's Data API"],
    "planet/data_item_20220125_075650_17_1061.json": ["Planet's Data API"],
    "planet/planet_stac__Sentinel1.json": [UNKNOWN],
    "planet/planet_stac__Sentinel2L1C.json": [UNKNOWN],
    "planet/planet_stac__psorthotile.json": [ORPHAN],
    "planet/planet_stac__psscene.json": [ORPHAN],
}
NO_STAC = {"eodag__cop_dataspace_search.json"}


def sensor_of(name: str) -> str:
    return "s1" if name.startswith("sentinel-1") else "aerial" if name.startswith("naip") else "s2"


def verdicts(data, name: str, sensor: str, trust: SourcePolicy) -> list[Scene | RejectedScene | None]:
    gate = ItemFilter.of(Query(WORLD, None, sensor))
    path = str(data / "stac_items" / name)
    return [
        gate.check(RawItem(offer.item, "https://catalogue.example.org/x", trust))
        for offer in walk(path, trust, read_file)
    ]


def test_every_item_file_has_a_stated_outcome(data):
    root = data / "stac_items"
    there = {str(path.relative_to(root)) for path in root.rglob("*.json")}
    assert there == set(SCENES) | set(LEFT_OUT) | NO_STAC


@pytest.mark.parametrize("trust", [REMOTE, SourcePolicy(local=True)], ids=["remote", "local"])
@pytest.mark.parametrize("name", SCENES)
def test_items_become_scenes(data, name, trust):
    expected = SCENES[name]
    found = verdicts(data, name, sensor_of(name), trust)
    assert [(s.collection, s.time.isoformat(timespec="milliseconds")[:23], s.cloud_pct) for s in found] == expected
    for scene in found:
        record = collection(scene.collection)
        names = read_assets(scene.item, record)
        bands = {source if isinstance(source, str) else source.asset for source in record.bands.values()}
        assert set(names) >= (bands if scene.sensor != "s1" else {"vv", "vh"})
        assert all(on_hosts(scene.item["assets"][asset]["href"], record.hosts) for asset in names)
        if scene.sensor == "s2":
            assert set(record.mask_assets) <= set(names)
        assert "?" not in "".join(scene.item["assets"][asset]["href"] for asset in names)
        json.dumps(dict(scene.item), allow_nan=False)


@pytest.mark.parametrize("sensor", ["s1", "s2", "planetscope", "aerial"])
@pytest.mark.parametrize("name", LEFT_OUT)
def test_items_are_left_out_by_name(data, name, sensor):
    found = verdicts(data, name, sensor, REMOTE)
    if "sentinel-1-grd" in name and sensor != "s1":
        assert found == [None]
        return
    assert len(found) == len(LEFT_OUT[name])
    for verdict, reason in zip(found, LEFT_OUT[name], strict=True):
        assert isinstance(verdict, RejectedScene)
        assert reason in verdict.reason


@pytest.mark.parametrize("name", sorted(NO_STAC))
def test_what_is_no_stac_is_refused(data, name):
    with pytest.raises(SearchFailedError, match="is no STAC catalogue"):
        verdicts(data, name, "s2", REMOTE)


@pytest.mark.parametrize("name", [name for name in LEFT_OUT if "data_item" in name])
def test_data_api_scenes_become_scenes_when_planet_says_them(data, name):
    feature = json.loads((data / "stac_items" / name).read_text())
    offer = RawItem(stac_item(feature), "https://api.planet.com/data/v1", REMOTE, "planet/psscene")
    scene = ItemFilter.of(Query(WORLD, None, "planetscope")).check(offer)
    assert isinstance(scene, Scene)
    assert (scene.collection, scene.sensor, scene.platform) == ("planet/psscene", "planetscope", "1061")
    assert scene.time.isoformat().startswith(feature["properties"]["acquired"][:19])
    assert scene.cloud_pct == feature["properties"]["cloud_percent"]
    assert "ortho_analytic_4b_sr" in scene.item["properties"]["pl:downloadable"]


def test_refused_collections_point_to_the_one_that_can_be_used():
    for name in (f"{PC}/sentinel-1-grd", f"{ES}/sentinel-1-grd"):
        rule = collection(name).radiometry
        assert isinstance(rule, Unsupported)
        assert "planetary-computer" in rule.reason
