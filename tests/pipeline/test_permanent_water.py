"""Reference water and imagery of before: class 1 becomes flood, class 2 is the water that was there anyway."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from tests.support.made_scenes import INSIDE, ORIGIN, SHORE_M, centres, codes, lagoon

EAST = ORIGIN[0] + 1000
"""Everything east of the lagoon's middle is known as permanent water."""


def east_half(x, y):
    return lagoon(x, y) & (x > EAST)


@pytest.fixture
def ask(lagoon, geoseg, tmp_path):
    def run(*words, status=0):
        where = ("--catalog", lagoon, "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")
        said = geoseg("map", *where, *words, "--out", tmp_path / "out", "--json")
        assert said.status == status, said.err
        return said.record

    return run


def check_split(record):
    """Observed water is 2 east of the middle, and 1 west of it; names and words follow."""
    mask, percent = codes(record["flood"]), codes(record["probability"])
    x, _ = centres(record["flood"], "EPSG:32632")
    run = json.loads(Path(record["run"]).read_text())
    clear = np.abs(x - EAST) > SHORE_M
    water = (percent != 255) & (percent >= run["threshold_pct"]) & clear
    assert (water & (x > EAST)).sum() > 3000
    assert (mask[water] == np.where(x > EAST, 2, 1)[water]).all()
    assert (mask[~water & clear & (percent != 255)] == 0).all()
    assert record["meaning"] == run["class_1"] == "flood"
    assert set(record["shares_pct"]) == {"flood", "permanent", "dry", "not_observed"}
    assert sum(record["shares_pct"].values()) == pytest.approx(100, abs=0.001)
    names = [each.text or "" for each in ET.parse(f"{record['flood']}.aux.xml").iter("Category")]
    assert names[:3] == ["dry", "flood", "permanent water"]
    assert any(note.startswith("Class 1 is flood") for note in record["notes"])
    return run


def test_a_raster_of_permanent_water(ask, tmp_path):
    """0/1 at another resolution, in another CRS than the map would have by itself."""
    path, known = tmp_path / "known water.tif", np.zeros((200, 200), np.uint8)
    known[:, 100:] = 1
    profile = {"driver": "GTiff", "height": 200, "width": 200, "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=from_origin(EAST - 2000, ORIGIN[1] + 500, 20, 20), **profile) as file:
        file.write(known, 1)
    check_split(ask("--reference-water", path))


def test_polygons_of_permanent_water(ask, tmp_path):
    frame = geopandas.GeoDataFrame(geometry=[box(EAST, ORIGIN[1] - 4000, EAST + 4000, ORIGIN[1])], crs=32632)
    frame.to_crs(3035).to_file(tmp_path / "water.gpkg")
    check_split(ask("--reference-water", tmp_path / "water.gpkg"))


def test_water_seen_before(ask, add_scene, lagoon):
    add_scene(lagoon, "spring", day="2024-04-01", water=east_half)
    run = check_split(ask("--before", "2024-04-01"))
    assert {scene["id"]: scene["role"] for scene in run["scenes"]} == {"lagoon": "input", "spring": "before"}
    assert run["request"]["before"] == "2024-04-01"


def test_what_was_not_seen_before_is_said(ask, add_scene, lagoon):
    """Water over ground that the scene of before did not see is flood, and a note says that some may be permanent."""
    add_scene(lagoon, "spring", day="2024-04-01", water=east_half, hole=(slice(None), slice(0, 120)))
    record = ask("--before", "2024-04-01")
    assert any("may be permanent" in note for note in record["notes"])


def test_no_scene_of_before(ask, tmp_path):
    record = ask("--before", "2023-01-01", status=1)
    assert record["error"]["kind"] == "NoScenesError"
    assert not (tmp_path / "out").exists()


def test_change_against_before(ask, add_scene, lagoon):
    """The change model reads both dates itself: what was water already does not count as flood."""
    add_scene(lagoon, "spring", day="2024-04-01", water=east_half)
    record = ask("--before", "2024-04-01", "--model", "sar-change")
    mask = codes(record["flood"])
    x, y = centres(record["flood"], "EPSG:32632")
    deep = ((x - ORIGIN[0] - 1000) / 600) ** 2 + ((y - ORIGIN[1] + 1100) / 400) ** 2 < 1
    assert (mask[deep & (x < EAST - 100)] == 1).mean() > 0.98
    assert (mask[deep & (x > EAST + 100)] == 0).mean() > 0.98
    assert record["meaning"] == "flood"


def test_none_is_none(ask):
    record = ask("--reference-water", "none")
    assert record["meaning"] == "water"
    assert set(np.unique(codes(record["flood"]))) == {0, 1}
    assert any(note.startswith("Class 1 is water, permanent water included") for note in record["notes"])
