"""A map of buildings: every product says building, and none of them water."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from geoseg.catalog.target import BUILDING, WATER
from geoseg.simulate import ensure, region


def _georeferenced(chip: Path, path: Path) -> Path:
    """A chip of Massachusetts Buildings (1 m, no georeference) as a GeoTIFF somewhere in the state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(chip) as file:
            pixels = file.read()
    place = {"crs": "EPSG:26986", "transform": from_origin(228_000, 893_000, 1, 1)}
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": pixels.shape[1], "width": pixels.shape[2]}
    with rasterio.open(path, "w", photometric="RGB", **profile, **place) as file:
        file.write(pixels)
    return path


@pytest.fixture(params=["demo", "spacenet7", "massachusetts"])
def where(request, data, geoseg, tmp_path):
    """Options that name a little aerial imagery of a town."""
    if request.param == "demo":
        ensure("urban")
        return "--catalog", "demo", "--bbox", "17.064,51.175,17.068,51.178", "--date", region("urban").flood_day
    if request.param == "spacenet7":
        path, half = sorted((data / "spacenet7").rglob("*.tif"))[0], 0.006
    else:
        chip = data / "massachusetts" / "test" / "22828930_15_y0256_x0256.webp"
        path, half = _georeferenced(chip, tmp_path / "chip.tif"), 0.0008
    words = ("--sensor", "aerial", "--date", "2018-06-01", "-o", tmp_path / "catalog", "-q")
    added = geoseg("catalog", "add", path, *words)
    assert added.status == 0, added.err
    with rasterio.open(path) as file:
        west, south, east, north = transform_bounds(file.crs, 4326, *file.bounds)
    lon, lat = (west + east) / 2, (south + north) / 2
    box = f"--bbox={lon - half},{lat - half},{lon + half},{lat + half}"
    return "--catalog", tmp_path / "catalog", box, "--date", "2018-06-01"


def test_buildings_are_mapped_and_every_product_says_so(where, geoseg, tmp_path, request):
    out = tmp_path / "out"
    said = geoseg("map", *where, "--sensor", "aerial", "--model", "buildings-rgb", "--out", out, "--json")
    assert said.status == 0, said.err
    record, run = said.record, json.loads((out / "run.json").read_text())
    assert record["meaning"] == run["class_1"] == "building"
    assert set(record["shares_pct"]) == set(run["shares"]["pct"]) == {"building", "other", "not_observed"}
    assert run["notes"][0] == BUILDING.sentence
    assert not [note for note in run["notes"][:-3] if "water" in note or "flood" in note.lower()]
    names = [each.text for each in ET.parse(out / "flood.tif.aux.xml").iter("Category")]
    assert (names[0], names[1]) == ("no building", "building")
    style = [entry.attrib for entry in ET.parse(out / "flood.qml").iter("paletteEntry")]
    assert {(each["value"], each["label"], each["color"]) for each in style} == {
        ("0", "no building", "#f0eadc"),
        ("1", "building", "#b2182b"),
    }
    with rasterio.open(out / "flood.tif") as file:
        codes = file.read(1)
        assert file.colormap(1)[1][:3] == BUILDING.colour
        assert file.descriptions == ("building mask",)
    assert set(np.unique(codes)) <= {0, 1, 255}
    assert (codes != 255).any()
    if request.node.callspec.id != "spacenet7":  # pixels of 4.8 m are too coarse for this model
        assert (codes == 1).any()
    picture = np.rint(imread(out / "preview.png")[..., :3] * 255)
    legend_px = 900  # of the legend's box; the map adds its own
    assert (picture == BUILDING.colour).all(axis=-1).sum() > legend_px
    assert not (picture == WATER.colour).all(axis=-1).any()
