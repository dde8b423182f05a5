"""Planet's Data API through its real SDK, against a server on loopback that answers in Planet's words."""

from __future__ import annotations

import json

import pytest
from planet.specs import PRODUCT_BUNDLES

from geoseg.catalog.collections import collections
from geoseg.core.area import Area
from geoseg.core.request import Dates
from geoseg.core.scene import Scene
from geoseg.errors import MissingCredentialsError, SceneUnreadableError, SearchFailedError
from geoseg.sources.local.add import add
from geoseg.sources.local.product import Options
from geoseg.sources.planet import download as planet_download
from geoseg.sources.planet.data_api import stac_item
from geoseg.sources.search import download_scene, find_scenes

AREA = Area.from_bbox((46.9, 8.35, 47.0, 8.45))
DAY = Dates.parse("2022-01-25")
SCENES = ("20220125_075509_67_1061", "20220125_075511_17_1061", "20220125_075650_17_1061")
KEY = "PLAK-not-a-real-key"


@pytest.fixture
def features(data):
    return [json.loads((data / "stac_items" / "planet" / f"data_item_{name}.json").read_text()) for name in SCENES]


@pytest.fixture
def data_api(server, features, monkeypatch, tmp_path):
    """Planet, on this machine: the record's address changed, everything else as it is."""
    record = collections()["planet/psscene"]
    here = record.model_copy(update={"source": record.source.model_copy(update={"url": server.url})})
    monkeypatch.setitem(collections(), "planet/psscene", here)
    monkeypatch.setenv("PL_API_KEY", KEY)
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))
    # the SDK fetches the list of item types from api.planet.com before it asks for any
    monkeypatch.setattr(PRODUCT_BUNDLES, "cache", {"item_types": {"PSScene"}}, raising=False)
    server.says("/quick-search", {"features": features, "_links": {}})
    return server


def test_scenes_are_found(data_api):
    found = find_scenes(AREA, DAY, "planetscope")
    assert [scene.id for scene in found.scenes] == ["20220125_075509_67_1061", "20220125_075511_17_1061"]
    assert {scene.collection for scene in found.scenes} == {"planet/psscene"}
    asked = json.loads(data_api.asked[0][2])
    kinds = {clause["type"]: clause for clause in asked["filter"]["config"]}
    assert asked["item_types"] == ["PSScene"]
    assert kinds["GeometryFilter"]["config"] == AREA.geojson
    assert kinds["DateRangeFilter"]["config"]["gte"].startswith("2022-01-25T00:00:00")
    assert KEY not in json.dumps([dict(scene.item) for scene in found.scenes])


def test_a_planet_that_cannot_be_reached_is_an_error_of_ours(data_api, monkeypatch):
    monkeypatch.delattr(PRODUCT_BUNDLES, "cache")
    with pytest.raises(SearchFailedError, match="FetchBundlesSpecError"):
        find_scenes(AREA, DAY, "planetscope")


def test_without_a_key_one_is_told_what_to_set():
    with pytest.raises(MissingCredentialsError, match="set PL_API_KEY"):
        find_scenes(AREA, DAY, "planetscope", "planet")


@pytest.mark.parametrize(
    ("status", "error"), [(401, MissingCredentialsError), (403, MissingCredentialsError), (400, SearchFailedError)]
)
def test_a_refusal_never_shows_the_key(data_api, status, error):
    data_api.answers["/quick-search"] = [(status, {}, b'{"message": "no"}')]
    with pytest.raises(error) as caught:
        find_scenes(AREA, DAY, "planetscope")
    assert KEY not in str(caught.value)


def test_an_answer_that_is_no_scene(data_api):
    data_api.answers["/quick-search"] = [(200, {}, b'{"features": [1], "_links": {}}')]
    with pytest.raises(SearchFailedError, match="no scene"):
        find_scenes(AREA, DAY, "planetscope")


def serve_assets(data_api, scene_id, names):
    """Assets that become active on the second look."""
    there = {}
    for name in names:
        link = f"{data_api.url}/assets/{name}"
        waiting = {"status": "activating", "_links": {"_self": link, "activate": f"{link}/activate"}}
        there[name] = {**waiting, "status": "inactive"}
        data_api.answers[f"/assets/{name}/activate"] = [(202, {}, b"")]
        data_api.says(f"/assets/{name}", waiting)
        data_api.says(
            f"/assets/{name}", {**waiting, "status": "active", "location": f"{data_api.url}/files/{name}?token=secret"}
        )
        data_api.answers[f"/files/{name}"] = [(200, {}, f"bytes of {name}".encode())]
    data_api.says(f"/item-types/PSScene/items/{scene_id}/assets", there)


def test_a_scene_is_activated_and_downloaded_once(data_api):
    scene = find_scenes(AREA, DAY, "planetscope").scenes[0]
    serve_assets(data_api, scene.id, ["ortho_analytic_4b_sr", "ortho_udm2", "ortho_visual"])
    seen = []
    folder = download_scene(scene, report=seen.append, poll_s=0)
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert files == {
        f"{scene.id}_3B_AnalyticMS_SR.tif": "bytes of ortho_analytic_4b_sr",
        f"{scene.id}_3B_udm2.tif": "bytes of ortho_udm2",
    }
    assert (seen[-1].done, seen[-1].total) == (2, 2)
    asked = len([path for _, path, _, _ in data_api.asked if path.startswith("/files/")])
    assert download_scene(scene, poll_s=0) == folder
    assert len([path for _, path, _, _ in data_api.asked if path.startswith("/files/")]) == asked == 2


def test_a_download_is_an_order_that_can_be_catalogued(data_api, data, tmp_path):
    """A real AnalyticMS_SR file through Planet's interface: searched, downloaded, added, and found again on disk."""
    scene = find_scenes(AREA, DAY, "planetscope").scenes[0]
    serve_assets(data_api, scene.id, ["ortho_analytic_4b_sr", "ortho_udm2"])
    image = next(path for path in (data / "planetscope" / "deering").glob("*SR*.tif"))
    data_api.answers["/files/ortho_analytic_4b_sr"] = [(200, {}, image.read_bytes())]
    folder = download_scene(find_scenes(AREA, DAY, "planetscope").scenes[0], poll_s=0)
    (folder / f"{scene.id}_3B_udm2.tif").unlink()  # this server's is no image
    made = add([folder], tmp_path / "mine", Options(sensor="planetscope"))
    assert [each["id"] for each in made.items] == [scene.id]
    again = find_scenes(Area.from_bbox(made.items[0]["bbox"]), DAY, "planetscope", str(tmp_path / "mine"))
    assert [(found.id, found.collection) for found in again.scenes] == [(scene.id, "local/planetscope")]
    assert again.scenes[0].time.date() == scene.time.date()


def test_what_never_becomes_active_leaves_nothing_behind(data_api, monkeypatch):
    monkeypatch.setattr(planet_download, "MOST_POLLS", 2)
    scene = find_scenes(AREA, DAY, "planetscope").scenes[1]
    serve_assets(data_api, scene.id, ["ortho_analytic_4b_sr", "ortho_udm2"])
    data_api.answers["/assets/ortho_analytic_4b_sr"] = data_api.answers["/assets/ortho_analytic_4b_sr"][:1]
    with pytest.raises(SceneUnreadableError, match="was not ready"):
        download_scene(scene, poll_s=0)
    assert not list(planet_download.cache_folder("planet", scene.id).iterdir())


def test_what_the_account_may_not_have_is_said(data_api, features):
    features[0]["_permissions"] = ["assets.ortho_visual:download"]
    data_api.answers["/quick-search"] = [(200, {}, json.dumps({"features": features[:1], "_links": {}}).encode())]
    with pytest.raises(MissingCredentialsError, match="may not download"):
        download_scene(find_scenes(AREA, DAY, "planetscope").scenes[0])


def test_radiance_comes_with_its_metadata(features):
    item = stac_item(
        {
            **features[0],
            "_permissions": [f"assets.{n}:download" for n in ("ortho_analytic_4b", "ortho_analytic_4b_xml")],
        }
    )
    scene = Scene("x", "planet/psscene", "planetscope", DAY.middle, AREA.bbox, item=item)
    assert planet_download.wanted_assets(scene) == ("ortho_analytic_4b", "ortho_analytic_4b_xml")
