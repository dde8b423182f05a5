"""Several scenes, one map: neighbours of one pass in two UTM zones, and several passes over one place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pyproj import Transformer

from tests.support.made_scenes import ORIGIN, UTM, codes
from tests.support.made_scenes import centres as centres_of

WEST, EAST = "EPSG:32632", "EPSG:32633"
SEAM = 12.0
"""Degrees east, where UTM zones 32 and 33 meet."""
LATITUDE = 47.85


def rivers(x, y):
    """Bands of water that run on from zone to zone, 900 m apart, slanting; metres in UTM 32."""
    return np.mod(x + 0.4 * y, 900) < 400


@pytest.fixture
def zones(add_scene, tmp_path):
    """Two scenes 20 s apart, each in its own zone, that overlap by some 300 m at 12 degrees east."""
    for name, crs, reach, day in (
        ("west", WEST, -2200, "2024-05-01T05:00:00"),
        ("east", EAST, -150, "2024-05-01T05:00:20"),
    ):
        x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(SEAM, LATITUDE)
        corner = (round(x / 10) * 10.0 + reach, round(y / 10) * 10 + 700.0)
        add_scene(tmp_path / "zones", name, crs=crs, origin=corner, shape=(150, 235), water=rivers, day=day)
    return tmp_path / "zones"


@pytest.fixture
def map_of(geoseg, tmp_path):
    def run(catalog, bbox, *words, out="out"):
        where = ("--catalog", catalog, f"--bbox={bbox}", "--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")
        said = geoseg("map", *where, *words, "--out", tmp_path / out, "--json")
        assert said.status == 0, said.err
        return said.record

    return run


@pytest.mark.parametrize("composite", ["nearest", "median"])
def test_two_zones_of_one_pass_are_one_picture(zones, map_of, composite):
    record = map_of(zones, "11.975,47.845,12.025,47.853", "--composite", composite)
    mask, source = codes(record["flood"]), codes(record["source"])
    x, y = centres_of(record["flood"], UTM)
    truth = rivers(x, y)
    edge = rivers(x - 25, y) != rivers(x + 25, y)
    assert (mask != 255).all(), "a gap at the seam"
    assert ((mask == 1) == truth)[~edge].mean() > 0.995
    near_seam = np.abs(centres_of(record["flood"], "EPSG:4326")[0] - SEAM) < 0.002
    assert near_seam.sum() > 500
    assert ((mask == 1) == truth)[~edge & near_seam].mean() > 0.99
    assert record["scenes"] == ["west", "east"]
    assert set(np.unique(source)) == {0, 1}
    run = json.loads(Path(record["run"]).read_text())
    assert {scene["id"]: scene["code"] for scene in run["scenes"]} == {"west": 0, "east": 1}
    lon, _ = centres_of(record["flood"], "EPSG:4326")
    assert (source[lon < SEAM - 0.003] == 0).all()
    assert (source[lon > SEAM + 0.004] == 1).all()


def test_nearest_takes_the_day_and_median_the_usual(add_scene, map_of, tmp_path):
    """Water on the day itself, dry before and after: nearest shows it, the median of three days does not."""
    catalog = tmp_path / "days"
    add_scene(catalog, "flooded", day="2024-05-01", water=lambda x, y: x < ORIGIN[0] + 1000)
    for day in ("2024-04-29", "2024-05-04"):
        add_scene(catalog, f"dry-{day}", day=day, water=lambda x, y: x < ORIGIN[0] + 400)
    box = "9.002,47.834,9.026,47.849"
    nearest = map_of(catalog, box, "--window-days", "5", out="nearest")
    median = map_of(catalog, box, "--window-days", "5", "--composite", "median", out="median")
    x, _ = centres_of(nearest["flood"], UTM)
    assert ((codes(nearest["flood"]) == 1) == (x < ORIGIN[0] + 1000)).mean() > 0.98
    assert ((codes(median["flood"]) == 1) == (x < ORIGIN[0] + 400)).mean() > 0.98
    assert set(np.unique(codes(nearest["source"]))) == {0}
    assert nearest["scenes"][0] == "flooded"
    assert len(median["scenes"]) == 3
