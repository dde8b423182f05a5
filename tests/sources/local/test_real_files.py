"""The real files: what each becomes, checked against what its provider documents and rasterio reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from odc.stac import parse_item
from pystac import Item as PystacItem

from geoseg.errors import GeosegError, NotIngestibleError, RadiometryUnknownError
from geoseg.sources.local.add import Added, add
from geoseg.sources.local.options import TypedOptions
from geoseg.sources.local.validate import validate

S2_BANDS = "B01,B02,B03,B04,B05,B06,B07,B08,B8A,B09,B11,B12"

ADDED = [
    ("sen1floods11/S1Hand", {"sensor": "s1", "units": "db", "date": "2018-09-21"}, 10, "vv vh"),
    ("planetscope/harvey", {"sensor": "planetscope"}, 1, "blue green red nir"),
    ("planetscope/deering", {"sensor": "planetscope"}, 1, "blue green red nir"),
    (
        "planetscope/superdove_8band",
        {"sensor": "planetscope", "units": "reflectance"},
        2,
        "coastal blue green_i green yellow red rededge nir",
    ),
    ("naip", {"sensor": "aerial", "bands": "red,green,blue,nir", "date": "2014-07-20"}, 2, "red green blue nir"),
    ("spacenet7", {"sensor": "aerial", "date": "2018-06-01"}, 2, "red green blue alpha"),
    ("terramind/S1RTC", {"sensor": "s1", "units": "db", "bands": "VV,VH", "date": "2021-07-21"}, 3, "vv vh"),
    (
        "terramind/S2L2A",
        {"sensor": "s2", "s2_offset": 0, "bands": S2_BANDS, "date": "2021-07-20"},
        3,
        "coastal blue green red rededge1 rededge2 rededge3 nir nir08 nir09 swir16 swir22",
    ),
    (
        "sen1floods11/S2Hand",
        {"sensor": "s2", "units": "reflectance", "level": "L1C", "date": "2019-09-26"},
        1,
        "coastal blue green red rededge1 rededge2 rededge3 nir nir08 nir09 cirrus swir16 swir22",
    ),
]


def added(path: Path, out: Path, **words) -> Added:
    return add([path], out, TypedOptions(**words).checked())


@pytest.mark.parametrize(("folder", "words", "count", "bands"), ADDED, ids=[case[0] for case in ADDED])
def test_it_becomes_items_that_say_what_the_file_says(data, tmp_path, folder, words, count, bands):
    answer = added(data / folder, tmp_path / "mine", **words)
    assert (len(answer.items), answer.refused) == (count, ())
    for item in answer.items:
        asset = item["assets"]["data"]
        assert " ".join(band["name"] for band in asset["eo:bands"]) == bands
        with rasterio.open(asset["href"]) as source:
            assert item["properties"]["proj:shape"] == list(source.shape)
            assert item["properties"]["proj:transform"] == list(source.transform)[:6]
            assert item["properties"]["proj:code"] == source.crs.to_string()
            assert [band["data_type"] for band in asset["raster:bands"]] == list(source.dtypes)
            geobox = parse_item(PystacItem.from_dict(item)).geoboxes()[0]
            assert geobox.shape == source.shape and geobox.affine == source.transform
    assert validate(tmp_path / "mine") == (count, ())


def test_sen1floods11_is_decibel_with_nan(data, tmp_path):
    item = added(
        data / "sen1floods11/S1Hand/Nigeria_812045_S1Hand.tif",
        tmp_path / "mine",
        sensor="s1",
        units="db",
        date="2018-09-21",
    ).items[0]
    assert item["properties"]["geoseg:units"] == "db"
    assert item["properties"]["geoseg:collection"] == "local/s1"
    assert item["properties"]["datetime"] == "2018-09-21T12:00:00Z"
    assert item["assets"]["data"]["raster:bands"] == 2 * [
        {"data_type": "float32", "nodata": "nan", "scale": 1.0, "offset": 0.0, "unit": "dB"}
    ]


def test_an_image_that_is_all_nan_is_still_an_image(data, tmp_path):
    answer = added(
        data / "sen1floods11/S1Hand/Paraguay_34417_S1Hand.tif",
        tmp_path / "mine",
        sensor="s1",
        units="db",
        date="2018-10-31",
    )
    assert len(answer.items) == 1


def test_radiance_takes_its_coefficients_from_the_xml(data, tmp_path):
    folder = data / "planetscope/harvey"
    item = added(folder, tmp_path / "mine", sensor="planetscope").items[0]
    # independent: the same numbers by another road
    root = ElementTree.parse(next(folder.glob("*_metadata.xml"))).getroot()
    stated = [float(e.text) for e in root.iter() if e.tag.endswith("}reflectanceCoefficient")]
    assert [band["scale"] for band in item["assets"]["data"]["raster:bands"]] == stated
    assert item["properties"]["geoseg:level"] == "TOA"
    assert item["properties"]["datetime"] == "2017-08-31T17:27:54Z"
    assert item["properties"]["eo:cloud_cover"] == 2
    assert item["assets"]["udm"]["roles"] == ["mask"]
    assert Path(item["assets"]["udm"]["href"]).name.endswith("_DN_udm.tif")
    with rasterio.open(item["assets"]["data"]["href"]) as source:
        pixels = source.read(masked=True)
    reflectance = pixels * np.array(stated)[:, None, None]
    assert 0.05 < reflectance.mean() < 0.5


def test_surface_reflectance_ignores_the_radiance_coefficients_beside_it(data, tmp_path):
    """Deering's XML is that of AnalyticMS: its coefficients would make reflectance three times too small."""
    item = added(data / "planetscope/deering", tmp_path / "mine", sensor="planetscope").items[0]
    assert {band["scale"] for band in item["assets"]["data"]["raster:bands"]} == {0.0001}
    assert item["properties"]["geoseg:level"] == "SR"
    assert item["properties"]["datetime"].startswith("2016-09-09T21:31:04")


def test_dates_come_from_planets_own_tag_and_win(data, tmp_path):
    answer = added(
        data / "planetscope/superdove_8band",
        tmp_path / "mine",
        sensor="planetscope",
        units="reflectance",
        date="2023-04-21",
    )
    days = [item["properties"]["datetime"][:10] for item in answer.items]
    assert days == ["2023-04-21", "2023-05-18"]
    assert "metadata win" in answer.items[1]["properties"]["geoseg:notes"][0]


def test_a_sentinel2_folder_is_one_item_with_its_classes(data, tmp_path):
    item = added(data / "sentinel2_l2a", tmp_path / "mine", sensor="s2").items[0]
    folder = next((data / "sentinel2_l2a").iterdir())
    theirs = json.loads((folder / f"{folder.name}.json").read_text())
    assert item["id"] == theirs["id"]
    assert item["properties"]["s2:processing_baseline"] == "02.14"
    assert {asset["raster:bands"][0].get("offset") for name, asset in item["assets"].items() if name != "scl"} == {0.0}
    assert item["assets"]["scl"]["roles"] == ["mask"]
    for name, asset in item["assets"].items():
        if name != "scl":  # our names are Earth Search's: its item says which file is which
            assert Path(asset["href"]).name == Path(theirs["assets"][name]["href"]).name
            assert asset["eo:bands"][0]["name"] == name
    assert item["properties"]["proj:shape"] == [1098, 1098]
    assert item["assets"]["coastal"]["proj:shape"] == [183, 183]
    assert "SCL" not in " ".join(item["properties"].get("geoseg:notes", []))


def test_alpha_is_a_mask_and_not_a_band(data, tmp_path):
    item = added(data / "spacenet7", tmp_path / "mine", sensor="aerial", date="2018-06-01").items[0]
    asset = item["assets"]["data"]
    assert asset["geoseg:mask"] == "alpha"
    assert asset["raster:bands"][3] == {"data_type": "uint8"}
    assert asset["raster:bands"][0]["scale"] == pytest.approx(1 / 255)
    assert "geoseg:notes" not in item["properties"]


REFUSED = [
    (
        "sen1floods11/S1Hand",
        {"sensor": "s1", "date": "2018-09-21"},
        RadiometryUnknownError,
        "--units db or --units lin",
    ),
    (
        "sen1floods11/S1Hand/Ghana_53713_S1Hand.tif",
        {"sensor": "s1", "units": "linear", "date": "2018-09-21"},
        RadiometryUnknownError,
        "100 % of its pixels are negative",
    ),
    ("sen1floods11/S1Hand", {"sensor": "s1", "units": "db"}, NotIngestibleError, "--date"),
    (
        "sen1floods11/LabelHand",
        {"sensor": "s1", "units": "db", "date": "2018-09-21"},
        RadiometryUnknownError,
        "amplitudes or labels",
    ),
    (
        "sen1floods11/S2Hand",
        {"sensor": "s2", "units": "reflectance", "date": "2019-09-26"},
        RadiometryUnknownError,
        "--level L1C",
    ),
    ("planetscope/superdove_8band", {"sensor": "planetscope"}, RadiometryUnknownError, "--units reflectance"),
    (
        "planetscope/water_rgb8",
        {"sensor": "planetscope", "date": "2020-01-01"},
        RadiometryUnknownError,
        "8-bit picture",
    ),
    (
        "ombria/OmbriaS1/train/AFTER",
        {"sensor": "aerial", "date": "2020-01-01"},
        NotIngestibleError,
        "gdal_translate -a_srs",
    ),
    ("sentinel1_grd", {"sensor": "s1", "units": "linear", "date": "2018-07-16"}, NotIngestibleError, "sentinel-1-rtc"),
    (
        "ombria",
        {"sensor": "s1", "units": "linear", "date": "2020-01-01"},
        NotIngestibleError,
        "pictures and no GeoTIFF",
    ),
    ("naip", {"sensor": "aerial", "date": "2014-07-20"}, NotIngestibleError, "--bands"),
    ("spacenet7", {"sensor": "s2", "units": "reflectance", "date": "2018-06-01"}, RadiometryUnknownError, "aerial"),
    ("terramind/S1RTC", {"sensor": "s1", "units": "db", "date": "2021-07-21"}, NotIngestibleError, "--bands"),
    (
        "terramind/S2L2A",
        {"sensor": "s2", "date": "2021-07-20", "bands": S2_BANDS},
        RadiometryUnknownError,
        "--s2-offset",
    ),
    ("stac_items", {"sensor": "s1", "units": "db", "date": "2018-09-21"}, NotIngestibleError, "holds no GeoTIFF"),
]


@pytest.mark.parametrize(("path", "words", "kind", "says"), REFUSED, ids=[f"{c[0]}-{c[3]}" for c in REFUSED])
def test_what_cannot_be_decided_is_refused_with_what_to_do(data, tmp_path, path, words, kind, says):
    with pytest.raises(kind, match=says) as caught:
        added(data / path, tmp_path / "mine", **words)
    assert str(data / path) in str(caught.value)
    assert isinstance(caught.value, GeosegError)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_named_and_the_others_are_added(data, tmp_path):
    chips = tmp_path / "chips"
    chips.mkdir()
    for name in ("Ghana_53713_S1Hand", "Nigeria_812045_S1Hand"):
        (chips / f"{name}.tif").write_bytes((data / f"sen1floods11/S1Hand/{name}.tif").read_bytes())
    whole = (data / "sen1floods11/S1Hand/Mekong_333434_S1Hand.tif").read_bytes()
    (chips / "Mekong.tif").write_bytes(whole[: len(whole) * 2 // 3])
    answer = added(chips, tmp_path / "mine", sensor="s1", units="db", date="2018-08-05")
    assert [item["id"] for item in answer.items] == ["Ghana_53713_S1Hand", "Nigeria_812045_S1Hand"]
    assert [refused.path.name for refused in answer.refused] == ["Mekong.tif"]
    assert "truncated" in answer.refused[0].reason
    assert validate(tmp_path / "mine") == (2, ())


def test_the_time_given_may_be_an_instant():
    assert TypedOptions(sensor="s1", date="2018-09-21T05:32:11+02:00").checked().time == datetime(
        2018, 9, 21, 3, 32, 11, tzinfo=UTC
    )
