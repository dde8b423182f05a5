"""What lies in --out, read back as QGIS and other programs would."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from pyproj import Geod, Transformer
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.features import shapes
from rio_cogeo.cogeo import cog_validate

from geoseg.products.run_record import RunRecord
from tests.support.made_scenes import INSIDE, centres, codes

PRODUCTS = {"flood.tif", "probability.tif", "source.tif", "preview.png", "run.json"}
ASK = ("--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1", "--window-days", "6", "--model", "otsu")


@pytest.fixture
def two_passes(tmp_path, add_scene):
    """The later pass has a hole, which the earlier one fills but for its own hole."""
    add_scene(tmp_path / "catalog", "holed", hole=(slice(60, 150), slice(60, 150)))
    add_scene(tmp_path / "catalog", "earlier", day="2024-04-27", hole=(slice(100, 120), slice(100, 120)))
    return tmp_path / "catalog"


@pytest.fixture
def result(two_passes, geoseg, tmp_path):
    said = geoseg("map", "--catalog", two_passes, *ASK, "--out", tmp_path / "out", "--json")
    assert said.status == 0, said.err
    return said.record


def test_the_folder_holds_the_products_and_nothing_else(result):
    names = {path.name for path in Path(result["out"]).iterdir()}
    assert names == PRODUCTS | {"flood.tif.aux.xml", "flood.qml", "source.tif.aux.xml"}


def test_rasters_are_valid_cogs_with_255_as_a_value(result):
    for name in ("flood", "probability", "source"):
        assert cog_validate(result[name], strict=True) == (True, [], [])
        with rasterio.open(result[name]) as file:
            assert (file.count, file.dtypes, file.nodata) == (1, ("uint8",), 255)
            assert file.mask_flag_enums == ([MaskFlags.nodata],)
            assert file.crs.to_epsg() == 32632
            assert (file.transform.a, file.transform.e) == (10, -10)
            assert file.transform.c % 10 == file.transform.f % 10 == 0


def test_the_mask_has_colours_and_names(result):
    with rasterio.open(result["flood"]) as file:
        assert file.colorinterp == (ColorInterp.palette,)
        colours = file.colormap(1)
        assert len({colours[code][:3] for code in (0, 1, 255)}) == 3
        assert "water" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
    names = [each.text or "" for each in ET.parse(f"{result['flood']}.aux.xml").iter("Category")]
    assert (names[0], names[1], names[255]) == ("dry", "water", "not observed")


def test_source_names_the_scene_of_every_pixel(result):
    run = json.loads(Path(result["run"]).read_text())
    by_code = {scene["code"]: scene["id"] for scene in run["scenes"]}
    assert list(by_code.values()) == result["scenes"] == ["holed", "earlier"]
    names = [each.text for each in ET.parse(f"{result['source']}.aux.xml").iter("Category")]
    assert names == result["scenes"]
    source = codes(result["source"])
    assert set(np.unique(source)) == {0, 1, 255}
    assert (source == 255).sum() == 20 * 20
    assert (source == 1).sum() == 90 * 90 - 20 * 20


def test_the_run_record_is_one_and_its_digests_hold(result):
    out = Path(result["out"])
    run = RunRecord.model_validate_json((out / "run.json").read_text())
    assert run.outputs == {"flood": "flood.tif", "probability": "probability.tif"} | {
        "source": "source.tif",
        "preview": "preview.png",
    }
    for key, name in run.outputs.items():
        assert run.sha256[key] == hashlib.sha256((out / name).read_bytes()).hexdigest()


def test_the_recorded_command_makes_the_same_bytes(result, geoseg, tmp_path, monkeypatch):
    """From another folder, too."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(json.loads(Path(result["run"]).read_text())["command"])
    assert words[0] == "geoseg"
    where = words.index("--out") + 1
    assert words[where] == result["out"]
    words[where] = "again"
    assert geoseg(*words[1:], "-q").status == 0
    for name in ("flood.tif", "probability.tif", "source.tif", "preview.png"):
        assert Path("again", name).read_bytes() == (Path(result["out"]) / name).read_bytes(), name


def test_areas_are_those_of_the_ellipsoid(result):
    """Against the geodesic area of the polygons that the pixels with their middle in the box make up."""
    to_degrees, geod = Transformer.from_crs(32632, 4326, always_xy=True), Geod(ellps="WGS84")
    west, south, east, north = (float(number) for number in INSIDE.split(","))
    lon, lat = centres(result["flood"], "EPSG:4326")
    counted = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    with rasterio.open(result["flood"]) as file:
        found = list(shapes(file.read(1), mask=counted, transform=file.transform))
    assert {value for _, value in found} == {0, 1, 255}
    for code, name in ((1, "water"), (0, "dry"), (255, "not_observed")):
        m2 = 0.0
        for geometry, value in found:
            rings = geometry["coordinates"] if value == code else []
            for sign, ring in zip((1, *[-1] * len(rings)), rings, strict=False):  # the hull, then its holes
                m2 += sign * abs(geod.polygon_area_perimeter(*to_degrees.transform(*zip(*ring, strict=True)))[0])
        assert result["area_km2"][name] == pytest.approx(m2 / 1e6, rel=1e-5), name
