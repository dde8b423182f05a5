"""Records that a person adds with GEOSEG_CATALOG_PATH, and one line for each that cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.catalog.records import load_folder
from geoseg.catalog.sensors import Sensor
from geoseg.errors import BadRecordError

SENSOR = """
title: A sensor that was made up
unit: reflectance
valid_range: [-0.2, 2.0]
gsd_m: 10
bands:
  green: {wavelength_um: 0.55, gsd_m: 10}
  swir16: {wavelength_um: 1.6, gsd_m: 10}
display: [green]
default_catalog: made-up
default_model: mndwi
"""
COLLECTION = """
title: Imagery of a sensor that was made up
catalog: made-up
sensor: madeup
source: {kind: local}
bands: {green: g, swir16: s}
nodata: 0
radiometry: {kind: linear, scale: 0.00005, offset: -0.1}
mask: {kind: bits, asset: quality, hidden: [3, 9]}
licence: None
attribution: Nobody
"""
WATER, LAND, FILL = (5000, 3000), (4000, 9000), (0, 0)
"""Numbers of green and swir16."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    own = tmp_path / "own"
    for kind, name, text in (("sensors", "madeup", SENSOR), ("collections", "made-up/images", COLLECTION)):
        path = own / kind / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv("GEOSEG_CATALOG_PATH", f"{tmp_path}{os.pathsep}{own}")
    return own


def write(path: Path, values: np.ndarray) -> str:
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": 32, "width": 32, "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=from_origin(500_000, 5_300_000, 10, 10), **profile) as file:
        file.write(values.astype(np.uint16), 1)
    return path.name


def test_a_made_up_sensor_is_mapped_without_any_python(folder, tmp_path):
    """Water left, land right; a row of fill, and two squares that bits of the mask hide, one over water."""
    wet = np.arange(32) < 16
    green, swir = (np.where(wet, WATER[band], LAND[band])[None].repeat(32, 0) for band in (0, 1))
    green[0], swir[0] = FILL
    quality = np.full((32, 32), 0b1, dtype=np.uint16)
    quality[4:8, 4:8] = 1 << 3
    quality[4:8, 20:24] = 1 << 9 | 0b1
    assets = {
        name: {"href": write(tmp_path / f"{name}.tif", values), "roles": [role]}
        for name, values, role in (("g", green, "data"), ("s", swir, "data"), ("quality", quality, "cloud"))
    }
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "one",
        "bbox": [8.9, 47.8, 9.1, 47.9],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[8.9, 47.8], [9.1, 47.8], [9.1, 47.9], [8.9, 47.9], [8.9, 47.8]]],
        },
        "properties": {"datetime": "2024-05-01T10:00:00Z", "geoseg:collection": "made-up/images"},
        "links": [],
        "assets": assets,
    }
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    asked = [
        "--bbox",
        "9.0001,47.8503,9.0040,47.8527",
        "--date",
        "2024-05-01",
        "--sensor",
        "madeup",
        "--crs",
        "EPSG:32632",
    ]
    where = ["--catalog", str(tmp_path / "items.json"), "--out", str(tmp_path / "map"), "--crs", "EPSG:32632"]
    subprocess.run([sys.executable, "-m", "geoseg", "map", *asked, *where, "-q"], check=True)
    with rasterio.open(tmp_path / "map" / "flood.tif") as file:
        codes, transform = file.read(1), file.transform
    col, row = (round(offset) for offset in ~transform * (500_000, 5_300_000))
    expected = np.full((32, 32), 255, dtype=np.uint8)
    expected[1:] = np.where(wet, 1, 0)
    expected[4:8, 4:8] = expected[4:8, 20:24] = 255
    whole = np.full((400, 400), 255, dtype=np.uint8)
    whole[200 : 200 + codes.shape[0], 200 : 200 + codes.shape[1]] = codes
    seen = whole[200 + row : 232 + row, 200 + col : 232 + col]
    inside = np.zeros((400, 400), dtype=bool)
    inside[200 : 200 + codes.shape[0], 200 : 200 + codes.shape[1]] = True
    inside = inside[200 + row : 232 + row, 200 + col : 232 + col]
    assert inside[4:8, 4:8].any()
    assert inside[4:8, 20:24].any()
    np.testing.assert_array_equal(seen[inside], expected[inside])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: [", "is not YAML"),
        (SENSOR.replace("gsd_m: 10\nbands", "gsd_m: -3\nbands"), "gsd_m: Input should be greater than 0"),
        (SENSOR + "colour: blue\n", "colour: Extra inputs"),
        ("\xff\xfe", "UTF-8"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_line_that_names_the_file(folder, text, words):
    bad = folder / "sensors" / "bad.yaml"
    bad.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadRecordError, match=words) as refusal:
        load_folder("sensors", Sensor)
    assert str(bad) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_name_of_ours_is_refused(folder):
    ours = folder / "sensors" / "s2.yaml"
    ours.write_text(SENSOR)
    with pytest.raises(BadRecordError, match="the name 's2' is taken") as refusal:
        load_folder("sensors", Sensor)
    assert str(ours) in str(refusal.value)


def test_a_folder_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("GEOSEG_CATALOG_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(BadRecordError, match=r"GEOSEG_CATALOG_PATH names .*nowhere"):
        load_folder("sensors", Sensor)


def test_records_of_the_package_come_first(folder):
    names = list(load_folder("sensors", Sensor))
    assert names[-1] == "madeup"
    assert names[:-1] == sorted(names[:-1])
