"""What a person gets wrong: one line that says so and what to do, the right exit status, and nothing left behind."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import geopandas
import pytest
import rasterio
from shapely.geometry import Point, box

from tests.support.made_scenes import INSIDE, codes

PRODUCTS = ("flood.tif", "probability.tif", "source.tif", "preview.png", "run.json")
GOOD = {"--bbox": INSIDE, "--date": "2024-05-01", "--sensor": "s1", "--model": "otsu"}
TOMORROW = str(date.today() + timedelta(days=2))


def words(options):
    return [word for pair in options.items() if pair[1] is not None for word in pair]


def everything_in(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.fixture
def refused(geoseg, lagoon, tmp_path):
    """Ask for a map that cannot be; give the line that it was refused with, having checked that nothing was left."""

    def ask(status, *more, **instead):
        asked = {"--catalog": lagoon, **GOOD, "--out": tmp_path / "out"}
        asked |= {f"--{name.replace('_', '-')}": value for name, value in instead.items()}
        before = everything_in(tmp_path)
        said = geoseg("map", *words(asked), *more, "-q")
        assert said.status == status, said
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        assert said.err.startswith("Error: ")
        assert everything_in(tmp_path) == before
        return said.err.removeprefix("Error: ").strip()

    return ask


@pytest.mark.parametrize(
    ("status", "instead", "says"),
    [
        (2, {"bbox": "47.8,95.0,47.9,95.1"}, "swapped"),
        (2, {"bbox": "9.03,47.83,9.00,47.85"}, "west 9.03 is beyond east 9"),
        (2, {"bbox": "9.0,47.85,9.03,47.83"}, "south 47.85 is beyond north 47.83"),
        (2, {"bbox": "9.0,47.83,9.0,47.85"}, "has no extent"),
        (2, {"bbox": "190,47,191,48"}, "outside the world"),
        (2, {"bbox": "9,-95,191,48"}, "outside the world"),
        (2, {"bbox": "9,47,10"}, "has 3"),
        (2, {"bbox": "nine,47,10,48"}, "four numbers"),
        (2, {"bbox": "nan,47,10,48"}, "not finite"),
        (2, {"bbox": "-180,-90,180,90"}, "fits no UTM zone"),
        (2, {"bbox": None}, "Give an area"),
        (1, {"bbox": "5,40,15,50"}, "--yes"),
        (1, {"resolution": "0.001"}, "--yes"),
        (2, {"resolution": "-10"}, "--resolution"),
        (2, {"resolution": "nan"}, "--resolution"),
        (2, {"date": "01.05.2024"}, "YYYY-MM-DD"),
        (2, {"date": "2024-02-30"}, "does not exist"),
        (2, {"date": "2024-05-02/2024-05-01"}, "backwards"),
        (2, {"date": "2024-05-01/2024-05-02/2024-05-03"}, "FIRST/LAST"),
        (2, {"date": TOMORROW}, "future"),
        (2, {"date": None}, "Missing: --date"),
        (1, {"date": "2024-05-04"}, "The nearest are of 2024-05-01: add --window-days 3"),
        (1, {"date": "0001-01-01", "window_days": "30"}, "No s1 scene"),
        (1, {"bbox": "-70.1,-10.1,-70,-10"}, "No s1 scene"),
        (1, {"bbox": "179.9,-17,180,-16.9"}, "No s1 scene"),
        (1, {"bbox": "10,89.9,20,90"}, "No s1 scene"),
        (1, {"sensor": "s2", "model": "mndwi"}, "No s2 scene"),
        (2, {"sensor": "s3"}, "Did you mean s"),
        (2, {"sensor": None}, "Missing: --sensor"),
        (2, {"model": "ottsu"}, "Did you mean otsu"),
        (1, {"model": "mndwi"}, "reads s2"),
        (2, {"model": "sar-change"}, "--before"),
        (2, {"model": ""}, "--model is empty"),
        (2, {"catalog": "planetary-computre"}, "Did you mean planetary-computer"),
        (2, {"catalog": ""}, "--catalog is empty"),
        (2, {"catalog": "./nothing"}, "geoseg catalog add"),
        (2, {"reference_water": "planetary-computer/jrc-gws"}, "Did you mean planetary-computer/jrc-gsw"),
        (2, {"reference_water": "planetary-computer/naip"}, "not reference water"),
        (2, {"crs": "EPSG:4326"}, "not projected in metres"),
        (2, {"crs": "EPSG:123456"}, "not a CRS"),
        (2, {"composite": "mean"}, "nearest or median"),
        (2, {"window_days": "-1"}, "--window-days"),
        (2, {"max_cloud": "120"}, "--max-cloud"),
        (2, {"before": "2024-05-01"}, "must end before"),
        (2, {"device": "tpu"}, "--device"),
        (2, {"workers": "2", "scheduler": "tcp://127.0.0.1:1"}, "exclude each other"),
        (2, {"workers": "1000000"}, "on this machine of"),
        (2, {"aoi": "district.gpkg"}, "not both"),
    ],
)
def test_a_request_that_cannot_be(refused, status, instead, says):
    assert says in refused(status, **instead)


def test_a_number_that_is_none_is_bad_usage(geoseg, lagoon, tmp_path):
    said = geoseg("map", "--catalog", lagoon, *words(GOOD), "--resolution", "fine", "--out", tmp_path / "out")
    assert said.status == 2
    assert len(said.errors) == 1
    assert "--resolution" in said.errors[0]
    assert not (tmp_path / "out").exists()


def test_an_error_is_json_too_where_json_is_asked_for(geoseg, lagoon, tmp_path):
    asked = {"--catalog": lagoon, **GOOD, "--model": "ottsu", "--out": tmp_path / "out"}
    said = geoseg("map", *words(asked), "--json")
    assert said.status == 2
    assert said.record["error"]["kind"] == "UnknownNameError"
    assert said.errors == [f"Error: {said.record['error']['message']}"]


# -- areas of interest ----------------------------------------------------------------------------------------------


def test_an_aoi_without_a_crs(refused, tmp_path):
    geopandas.GeoDataFrame(geometry=[box(9, 47, 10, 48)], crs=4326).to_file(tmp_path / "place.shp")
    (tmp_path / "place.prj").unlink()
    assert "has no CRS" in refused(2, bbox=None, aoi=tmp_path / "place.shp")


def test_an_aoi_without_a_polygon(refused, tmp_path):
    geopandas.GeoDataFrame(geometry=[Point(9, 47)], crs=4326).to_file(tmp_path / "place.gpkg")
    assert "holds no polygon" in refused(2, bbox=None, aoi=tmp_path / "place.gpkg")


def test_an_aoi_that_is_no_map(refused, tmp_path):
    (tmp_path / "place.geojson").write_text("here")
    assert "not a vector file" in refused(2, bbox=None, aoi=tmp_path / "place.geojson")
    assert "nowhere.gpkg to use as an AOI" in refused(2, bbox=None, aoi=tmp_path / "nowhere.gpkg")


# -- scenes that are broken -----------------------------------------------------------------------------------------


def truncate(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_a_truncated_scene_alone(refused, tmp_path):
    truncate(tmp_path / "files" / "lagoon.tif")
    assert "None of the 1 scenes could be read" in refused(1)


def test_a_scene_whose_file_is_gone(refused, tmp_path):
    (tmp_path / "files" / "lagoon.tif").unlink()
    assert "None of the 1 scenes could be read" in refused(1)


def test_a_scene_of_absurd_size(refused, tmp_path):
    """Sparse: 400 GB by its header, a few kilobytes on the disk."""
    path = tmp_path / "files" / "lagoon.tif"
    path.unlink()
    size = {"width": 450_000, "height": 450_000, "count": 2, "dtype": "uint8"}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.01, 0, 500_000, 0, -0.01, 5_300_000)}
    tiles = {"tiled": True, "blockxsize": 16384, "blockysize": 16384}
    with rasterio.open(path, "w", "GTiff", **size, **place, **tiles, SPARSE_OK=True, BIGTIFF="YES"):
        pass
    assert "None of the 1 scenes could be read" in refused(1)


def test_a_missing_band(geoseg, add_scene, tmp_path):
    add_scene(tmp_path / "single", "single", bands=("VV",))
    asked = {"--catalog": tmp_path / "single", **GOOD, "--model": "otsu-vh", "--out": tmp_path / "out"}
    said = geoseg("map", *words(asked), "-q")
    assert said.status == 1
    assert "vh" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_dead_scene_among_good_ones_fails_and_is_named(geoseg, lagoon, add_scene, tmp_path):
    """The map is the one that the good scene makes alone, exit 3, and every record says what is missing."""
    asked = {"--catalog": lagoon, **GOOD}
    alone = geoseg("map", *words(asked), "--out", tmp_path / "alone", "--json")
    truncate(add_scene(lagoon, "dead"), share=0.3)
    said = geoseg("map", *words(asked), "--out", tmp_path / "both")
    assert (alone.status, said.status) == (0, 3)
    assert [line for line in said.err.splitlines() if line.startswith("Failed: dead: ")]
    assert (codes(tmp_path / "both" / "flood.tif") == codes(tmp_path / "alone" / "flood.tif")).all()
    run = json.loads((tmp_path / "both" / "run.json").read_text())
    assert [each["id"] for each in run["failed"]] == ["dead"]
    assert any("dead" in note for note in run["notes"])


def test_failed_scenes_are_named_even_quietly(geoseg, lagoon, add_scene, tmp_path):
    truncate(add_scene(lagoon, "dead"), share=0.3)
    said = geoseg("map", "--catalog", lagoon, *words(GOOD), "--out", tmp_path / "out", "-q")
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith("Failed: dead: ")


def test_a_scene_of_nothing_is_a_map_of_nothing_said_loudly(geoseg, add_scene, tmp_path):
    add_scene(tmp_path / "empty", "empty", nodata=True)
    said = geoseg("map", "--catalog", tmp_path / "empty", *words(GOOD), "--out", tmp_path / "out")
    assert said.status == 0
    assert "NOTHING WAS OBSERVED" in said.err
    assert (codes(tmp_path / "out" / "flood.tif") == 255).all()


def hostile(catalog: Path, href: str) -> None:
    """Point the only asset of a catalogue's item elsewhere."""
    path = next(catalog.glob("local-s1/*.json"))
    item = json.loads(path.read_text())
    for asset in item["assets"].values():
        asset["href"] = href
    path.write_text(json.dumps(item))


@pytest.mark.parametrize(
    ("href", "says"),
    [
        ("/vsicurl/http://127.0.0.1:9/a.tif", "GDAL"),
        ("/vsizip//etc/passwd", "GDAL"),
        ("scene.vrt", "VRT"),
        ("http://user:secret-word@127.0.0.1/a.tif", "user name or password"),
        ("ftp://127.0.0.1/a.tif", "ftp"),
        ("PG:dbname=x host=y", ""),
        ("file://elsewhere/a.tif", "another machine"),
        ("a" * 5000, "overlong"),
    ],
)
def test_hostile_addresses_are_left_out_and_named(refused, lagoon, href, says):
    hostile(lagoon, href)
    line = refused(1)
    assert line.startswith("No s1 scene")
    assert "Left out: lagoon (" in line
    assert says in line
    assert "secret-word" not in line


def test_a_text_file_for_a_scene_is_dead(refused, lagoon):
    """A person's own catalogue may name any file here; only rasters are opened, and no content gets into a message."""
    hostile(lagoon, "/etc/passwd")
    line = refused(1)
    assert "None of the 1 scenes could be read" in line
    assert "root:" not in line


# -- places that cannot be written ----------------------------------------------------------------------------------


def test_an_output_that_exists_is_kept(geoseg, refused, lagoon, tmp_path):
    asked = {"--catalog": lagoon, **GOOD, "--out": tmp_path / "out"}
    assert geoseg("map", *words(asked), "-q").status == 0
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in PRODUCTS}
    assert "--overwrite" in refused(1)
    assert "--overwrite" in refused(1, model="otsu-vh")
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in PRODUCTS} == before


def test_a_failed_overwrite_loses_nothing(geoseg, refused, lagoon, tmp_path):
    asked = {"--catalog": lagoon, **GOOD, "--out": tmp_path / "out"}
    assert geoseg("map", *words(asked), "-q").status == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in PRODUCTS}
    refused(1, "--overwrite", date="2024-05-04")
    refused(1, "--overwrite", model="mndwi")
    truncate(tmp_path / "files" / "lagoon.tif")
    refused(1, "--overwrite")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in PRODUCTS} == before


def test_overwrite_replaces_what_is_ours_and_keeps_the_rest(geoseg, lagoon, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    asked = {"--catalog": lagoon, **GOOD, "--out": tmp_path / "out"}
    assert geoseg("map", *words(asked), "-q").status == 0
    assert geoseg("map", *words(asked), "--overwrite", "-q").status == 0
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_file_in_the_way(refused, tmp_path):
    (tmp_path / "report.txt").write_text("mine")
    assert "is a file" in refused(1, out=tmp_path / "report.txt")
    assert "not a directory" in refused(1, out=tmp_path / "report.txt" / "map")


@pytest.mark.parametrize("place", ["/proc/geoseg-map", "/sys/geoseg-map"])
def test_a_folder_that_no_one_may_write(refused, place):
    """Where not even root may; refused before any pixel is read."""
    assert f"Cannot write {place}" in refused(1, out=place)


@pytest.mark.parametrize(("limit_kb", "hits"), [(20, "/.geoseg-work/map"), (60, "preview.png")])
def test_a_disk_that_fills_up(lagoon, geoseg, tmp_path, limit_kb, hits):
    """A process that may write no file above a size is refused as by a full disk: early, or at the last product."""
    asked = {"--catalog": lagoon, **GOOD, "--out": tmp_path / "out"}
    assert geoseg("map", *words(asked), "-q").status == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(before["preview.png"]) > limit_kb * 1024

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kb * 1024, limit_kb * 1024))

    line = [sys.executable, "-m", "geoseg", "map", *map(str, words(asked)), "--overwrite", "-q"]
    done = subprocess.run(line, capture_output=True, text=True, preexec_fn=limited, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: Cannot write ")
    assert hits in done.stderr
    assert done.stderr.count("\n") == 1
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert after == before
    assert geoseg("map", *words(asked), "--overwrite", "-q").status == 0


# -- nothing found: what a local catalogue has instead ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("bbox", "date", "sensor", "says"),
    [
        ("47.834,9.002,47.849,9.026", "2024-05-01", "s1", "swapped lies on them: the order is W,S,E,N"),
        (INSIDE, "2023-01-01", "s1", "It holds 1 scene of s1, of 2024-05-01, within 9.0000,47."),
        (INSIDE, "2024-05-01", "s2", "It holds s1, and nothing of s2."),
    ],
)
def test_a_local_catalogue_says_what_it_holds(geoseg, lagoon, bbox, date, sensor, says):
    said = geoseg("scenes", "--catalog", lagoon, "--bbox", bbox, "--date", date, "--sensor", sensor)
    assert (said.status, said.out) == (1, "")
    assert says in said.errors[0]
    assert ("swapped" in said.errors[0]) is ("swapped" in says)
