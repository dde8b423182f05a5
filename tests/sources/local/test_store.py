"""The catalogue on disk: merged, whole or not there, and read by everyone who reads STAC."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pystac
import pystac_client
import pytest
from odc.stac import load
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from stac_geoparquet.arrow import stac_table_to_items

from geoseg.errors import NotIngestibleError, OutputNotWritableError, SearchFailedError
from geoseg.sources.local.add import add
from geoseg.sources.local.options import TypedOptions
from geoseg.sources.local.store import read_items
from geoseg.sources.local.validate import validate

CHIP = {"sensor": "s1", "units": "db", "date": "2018-09-21"}


@pytest.fixture
def mine(made, backscatter, surface, tmp_path) -> Path:
    """A catalogue of every sensor: NaN beside 0 as nodata, one file and several an item, with and without masks."""
    folder = tmp_path / "mine"
    chip = made("a.tif", backscatter, descriptions=("vv", "vh"))
    add([chip], folder, TypedOptions(**CHIP).checked())
    for band in ("B03", "B11"):
        made(f"scene/{band}.tif", surface(1), nodata=0)
    made("scene/SCL.tif", surface(1).astype("uint8"))
    add([tmp_path / "scene"], folder, TypedOptions(sensor="s2", s2_offset=-1000, date="2023-01-01").checked())
    dove = made("20230421_093723_45_2479_3B_AnalyticMS_SR.tif", surface(4))
    add([dove], folder, TypedOptions(sensor="planetscope").checked())
    return folder


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- who reads it ---------------------------------------------------------------------------------------------------


def test_pystac_reads_the_catalogue_and_its_own_schemas_accept_it(mine):
    catalogue = pystac.Catalog.from_file(mine / "catalog.json")
    assert sorted(item.id for item in catalogue.get_items(recursive=True)) == [
        "20230421_093723_45_2479",
        "a",
        "scene",
    ]
    validator = JsonSchemaSTACValidator()
    kinds = {"Catalog": pystac.STACObjectType.CATALOG, "Collection": pystac.STACObjectType.COLLECTION}
    checked = 0
    for path in sorted(mine.rglob("*.json")):
        content = json.loads(path.read_text())
        if content["type"] != "FeatureCollection":
            # pystac carries the core schemas; those of extensions would want the network
            kind = kinds.get(content["type"], pystac.STACObjectType.ITEM)
            validator.validate_core(content, kind, "1.1.0", href=str(path))
            checked += 1
    assert checked == 7


def test_every_link_leads_somewhere(mine):
    for path in sorted(mine.rglob("*.json")):
        for link in json.loads(path.read_text()).get("links", []):
            assert (path.parent / link["href"]).is_file(), (path, link)


@pytest.mark.filterwarnings("ignore::pystac_client.warnings.FallbackToPystac")  # what reading a static catalogue is
def test_pystac_client_reads_it(mine):
    client = pystac_client.Client.from_file(str(mine / "catalog.json"))
    assert {collection.id for collection in client.get_collections()} == {"local-s1", "local-s2", "local-planetscope"}
    assert len(list(client.get_items(recursive=True))) == 3


def test_the_parquet_file_holds_the_same_items(mine):
    table = pyarrow.parquet.read_table(mine / "items.parquet")
    theirs = {item["id"]: item for item in stac_table_to_items(table)}
    ours = {item["id"]: item for item in json.loads((mine / "items.json").read_text())["features"]}
    assert set(theirs) == set(ours)
    for name, item in ours.items():
        assert theirs[name]["bbox"] == pytest.approx(item["bbox"])
        for key, value in item["properties"].items():
            if key != "datetime":
                assert theirs[name]["properties"][key] == value
        for key, asset in item["assets"].items():
            again = theirs[name]["assets"][key]
            assert again["href"] == asset["href"] and again["proj:transform"] == asset["proj:transform"]
            for band, stated in zip(again["raster:bands"], asset["raster:bands"], strict=True):
                if "nodata" in stated:
                    assert str(band["nodata"]) == str(float(stated["nodata"]))
                assert band.get("scale") == stated.get("scale")


def test_odc_stac_loads_the_pixels(mine, backscatter):
    item = next(pystac.Catalog.from_file(mine / "catalog.json").get_items("a", recursive=True))
    item.make_asset_hrefs_absolute()
    cube = load([item], bands=["vv", "vh"], crs="EPSG:32632", resolution=10)
    assert (cube.vv.values[0] == backscatter[0]).all() and (cube.vh.values[0] == backscatter[1]).all()


@pytest.fixture
def server(mine, tmp_path) -> Iterator[str]:
    """A real STAC API on loopback over ``items.json``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [Path(sys.executable).parent / "rustac", "serve", "--create-collections", "--addr", address]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen([*command, mine / "items.json"], stdout=log, stderr=log)
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"http://{address}/", timeout=5).close()
                    break
                except urllib.error.URLError:
                    assert process.poll() is None, (tmp_path / "server.log").read_text()
                    time.sleep(0.1)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(10)


def test_rustac_serves_it_and_a_search_by_box_hits(server, mine):
    client = pystac_client.Client.open(server)
    west, south, east, north = next(item for item in read_items(mine) if item["id"] == "a")["bbox"]
    inside = [(3 * west + east) / 4, (3 * south + north) / 4, (west + 3 * east) / 4, (south + 3 * north) / 4]
    found = client.search(collections=["local-s1"], bbox=inside, datetime="2018-09-21")
    (item,) = found.items()
    assert item.id == "a"
    assert item.properties["geoseg:units"] == "db"
    assert item.assets["data"].extra_fields["raster:bands"][0]["nodata"] == "nan"
    elsewhere = client.search(collections=["local-s1"], bbox=[west + 10, south, east + 10, north])
    assert list(elsewhere.items()) == []


# -- adding again ---------------------------------------------------------------------------------------------------


def test_adding_again_changes_nothing(mine, tmp_path):
    before = snapshot(mine)
    answer = add([tmp_path / "a.tif"], mine, TypedOptions(**CHIP).checked())
    assert (answer.replaced, answer.total) == (("a",), 3)
    after = snapshot(mine)
    assert {name for name in before if before[name] != after[name]} <= {"items.parquet"}
    assert set(before) == set(after)


def test_an_item_of_the_same_name_is_replaced_and_others_stay(mine, tmp_path):
    answer = add([tmp_path / "a.tif"], mine, TypedOptions(**CHIP | {"date": "2020-05-05"}).checked())
    assert answer.replaced == ("a",)
    times = {item["id"]: item["properties"]["datetime"][:4] for item in read_items(mine)}
    assert times == {"a": "2020", "scene": "2023", "20230421_093723_45_2479": "2023"}
    collection = json.loads((mine / "local-s1/collection.json").read_text())
    assert collection["extent"]["temporal"]["interval"] == [["2020-05-05T12:00:00Z"] * 2]


def test_one_name_may_stand_for_two_sensors(made, mine, surface, tmp_path):
    path = made("other/a.tif", surface(2), descriptions=("green", "swir16"))
    add([path], mine, TypedOptions(sensor="s2", units="reflectance", date="2020-05-05").checked())
    assert [item["collection"] for item in read_items(mine) if item["id"] == "a"] == ["local-s1", "local-s2"]


# -- where the files lie --------------------------------------------------------------------------------------------


def test_files_inside_the_catalogue_move_with_it(made, backscatter, tmp_path):
    made("mine/chips/a.tif", backscatter, descriptions=("vv", "vh"))
    add([tmp_path / "mine/chips"], tmp_path / "mine", TypedOptions(**CHIP).checked())
    stated = json.loads((tmp_path / "mine/items.json").read_text())["features"][0]["assets"]["data"]["href"]
    assert stated == "./chips/a.tif"
    shutil.move(tmp_path / "mine", tmp_path / "elsewhere")
    item = next(pystac.Catalog.from_file(tmp_path / "elsewhere/catalog.json").get_items(recursive=True))
    assert item.assets["data"].get_absolute_href() == str(tmp_path / "elsewhere/chips/a.tif")
    assert validate(tmp_path / "elsewhere") == (1, ())


def test_files_outside_are_named_absolutely_also_where_they_were_given_relatively(
    made, backscatter, tmp_path, monkeypatch
):
    made("chips/a.tif", backscatter, descriptions=("vv", "vh"))
    monkeypatch.chdir(tmp_path)
    add([Path("chips")], Path("mine"), TypedOptions(**CHIP).checked())
    (item,) = read_items(Path("mine"))
    assert item["assets"]["data"]["href"] == str(tmp_path / "chips/a.tif")


def test_a_persons_own_files_in_the_folder_are_left_alone(made, backscatter, tmp_path):
    chip = made("mine/a.tif", backscatter, descriptions=("vv", "vh"))
    (tmp_path / "mine/notes.txt").write_text("keep me")
    add([chip], tmp_path / "mine", TypedOptions(**CHIP).checked())
    assert (tmp_path / "mine/notes.txt").read_text() == "keep me"
    assert chip.is_file()


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_nothing_is_written_where_nothing_could_be_added(made, mine, tmp_path):
    before = snapshot(mine)
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 and no more")
    with pytest.raises(NotIngestibleError, match=r"broken\.tif"):
        add([broken], mine, TypedOptions(**CHIP).checked())
    assert snapshot(mine) == before


def test_a_place_that_cannot_be_written_leaves_the_old_catalogue(made, mine, tmp_path):
    chip = made("b.tif", np.full((3, 8, 8), 9, "uint8"), photometric="RGB")
    (mine / "local-aerial").write_text("in the way")
    before = snapshot(mine)
    with pytest.raises(OutputNotWritableError, match="local-aerial"):
        add([chip], mine, TypedOptions(sensor="aerial", date="2020-01-01", bands="red,green,blue").checked())
    assert snapshot(mine) == before
    with pytest.raises(OutputNotWritableError):
        add(
            [chip],
            tmp_path / "a.tif" / "mine",
            TypedOptions(sensor="aerial", date="2020-01-01", bands="red,green,blue").checked(),
        )


@pytest.mark.parametrize("content", ["", "{}", '{"features": [{"id": "../../x"}]}', '{"features": 3}'])
def test_a_damaged_catalogue_is_refused_and_not_overwritten(mine, tmp_path, content):
    (mine / "items.json").write_text(content)
    with pytest.raises(SearchFailedError, match=r"no list of STAC items"):
        add([tmp_path / "a.tif"], mine, TypedOptions(**CHIP).checked())
    assert (mine / "items.json").read_text() == content


def test_a_catalogue_of_someone_else_is_not_overwritten(made, backscatter, tmp_path):
    chip = made("a.tif", backscatter, descriptions=("vv", "vh"))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/catalog.json").write_text("{}")
    with pytest.raises(NotIngestibleError, match="did not write"):
        add([chip], tmp_path / "theirs", TypedOptions(**CHIP).checked())
    with pytest.raises(NotIngestibleError, match="is a file"):
        add([chip], chip, TypedOptions(**CHIP).checked())


# -- validate -------------------------------------------------------------------------------------------------------


def test_validate_finds_what_has_changed_since(made, mine, backscatter, surface, tmp_path):
    assert validate(mine) == (3, ())
    made("a.tif", backscatter[:, :20], descriptions=("vv", "vh"))
    (tmp_path / "scene/B11.tif").unlink()
    (tmp_path / "20230421_093723_45_2479_3B_AnalyticMS_SR.tif").write_bytes(b"II*\0")
    count, problems = validate(mine)
    told = {problem.item: problem.text for problem in problems}
    assert count == 3
    assert "[20, 32] rows and columns; the item says [32, 32]" in told["a"]
    assert "asset swir16: There is no file" in told["scene"]
    assert "not a whole GeoTIFF" in told["20230421_093723_45_2479"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda item: item["properties"].update({"geoseg:units": "furlongs"}), "numbers cannot be decided"),
        (lambda item: item["assets"]["data"]["raster:bands"][0].pop("scale"), "no scale and offset"),
        (lambda item: item["assets"]["data"]["raster:bands"].pop(), "2 names and 1 conversions"),
        (lambda item: item["assets"]["data"]["eo:bands"][0].update({"name": "xx"}), "no band of s1"),
        (lambda item: item["assets"]["data"]["raster:bands"][0].update({"data_type": "int8"}), "the item says int8"),
        (lambda item: item["assets"]["data"].update({"proj:transform": [1, 0, 0, 0, -1, 0]}), "lies elsewhere"),
        (lambda item: item["assets"]["data"].update({"roles": ["thumbnail"]}), "no asset of role data"),
    ],
)
def test_validate_finds_what_an_item_lacks(mine, spoil, says):
    content = json.loads((mine / "items.json").read_text())
    spoil(next(item for item in content["features"] if item["id"] == "a"))
    (mine / "items.json").write_text(json.dumps(content))
    _, problems = validate(mine)
    assert [problem.item for problem in problems] == ["a"]
    assert says in problems[0].text
