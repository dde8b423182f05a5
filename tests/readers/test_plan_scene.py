"""Every item that real catalogues serve: its bands, scale, offset and validity, or the reason it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoseg.catalog.collections import collection
from geoseg.core.scene import Scene
from geoseg.errors import MissingBandError, RadiometryUnknownError
from geoseg.readers.plan_scene import plan_scene, refusal
from geoseg.readers.read_spec import Conversion
from tests.support.rasters import DAY

PC, CDSE, ES = "planetary-computer", "cdse", "earth-search"
RAW, SHIFTED = Conversion(1e-4, 0.0, (0.0,)), Conversion(1e-4, -0.1, (0.0,))
OPTICAL = ("green", "swir16")
BRIGHT = Conversion(1 / 255)

RESOLVED: list[tuple[str, str, tuple[str, ...], Conversion, dict[str, str], str | None]] = [
    # file, collection record, bands, conversion, how each band's address ends, how the mask's ends
    ("sentinel-2-l2a-pc", f"{PC}/sentinel-2-l2a", OPTICAL, SHIFTED, {"green": "B03_10m.tif"}, "SCL_20m.tif"),
    ("sentinel-2-l2a-pc-single", f"{PC}/sentinel-2-l2a", OPTICAL, SHIFTED, {"swir16": "B11_20m.tif"}, "SCL_20m.tif"),
    (
        "planetarycomputer-microsoft-com_api__sentinel-2-l2a",
        f"{PC}/sentinel-2-l2a",
        OPTICAL,
        RAW,
        {"green": "B03_10m.tif"},
        "SCL_20m.tif",
    ),
    (
        "odc-stac__S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531",
        f"{PC}/sentinel-2-l2a",
        OPTICAL,
        RAW,
        {"green": "B03_10m.tif"},
        "SCL_20m.tif",
    ),
    (
        "sentinel-1-rtc-pc",
        f"{PC}/sentinel-1-rtc",
        ("vv", "vh"),
        Conversion(nodata=(-32768.0,), quantity="power"),
        {"vv": "iw-vv.rtc.tiff", "vh": "iw-vh.rtc.tiff"},
        None,
    ),
    ("naip-pc", f"{PC}/naip", ("red", "nir"), BRIGHT, {"red": ".tif", "nir": ".tif"}, None),
    (
        "earth-search-aws-element84-com_v1__sentinel-2-l2a",
        f"{ES}/sentinel-2-l2a",
        OPTICAL,
        RAW,
        {"green": "B03.tif", "swir16": "B11.tif"},
        "SCL.tif",
    ),
    (
        "earth-search-aws-element84-com_v1__sentinel-2-c1-l2a",
        f"{ES}/sentinel-2-c1-l2a",
        OPTICAL,
        SHIFTED,
        {"green": "B03.tif", "swir16": "B11.tif"},
        "SCL.tif",
    ),
    (
        "cdse__issue1043-api-proj-code.FeatureCollection",
        f"{CDSE}/sentinel-2-l2a",
        OPTICAL,
        SHIFTED,
        {"green": "B03_10m.jp2", "swir16": "B11_20m.jp2"},
        "SCL_20m.jp2",
    ),
    (
        "cdse__issue1547-inconsistent-nodata-handling.FeatureCollection",
        f"{CDSE}/sentinel-2-l2a",
        OPTICAL,
        SHIFTED,
        {"green": "B03_10m.jp2"},
        "SCL_20m.jp2",
    ),
]

REFUSED: list[tuple[str, str, tuple[str, ...], type[Exception], str]] = [
    # file, the record one would read it with, bands, error, what it says
    (
        "earth-search-aws-element84-com_v1__sentinel-1-grd",
        f"{ES}/sentinel-1-grd",
        ("vv",),
        RadiometryUnknownError,
        "GRD",
    ),
    # top of atmosphere served beside surface reflectance: no claim about the offset
    (
        "earth-search-aws-element84-com_v1__sentinel-2-l1c",
        f"{ES}/sentinel-2-l2a",
        OPTICAL,
        RadiometryUnknownError,
        "offset",
    ),
    ("eodag__earth_search_search", f"{ES}/sentinel-2-l2a", OPTICAL, RadiometryUnknownError, "offset"),
    # the catalogue of before 2022 names its assets B03, not green, and its collection has no record
    (
        "earth-search-aws-element84-com_v0__sentinel-s2-l2a-cogs",
        f"{ES}/sentinel-2-l2a",
        OPTICAL,
        MissingBandError,
        "green",
    ),
    ("odc-stac__S2A_28QCH_20200714_0_L2A", f"{ES}/sentinel-2-l2a", OPTICAL, MissingBandError, "green"),
    # an OData answer, no STAC item
    ("eodag__cop_dataspace_search", f"{CDSE}/sentinel-2-l2a", OPTICAL, MissingBandError, "green"),
    # a monthly mosaic in numbers whose unit nothing declares
    ("planet-nicfi-analytic-pc", "local/planetscope", ("green", "nir"), RadiometryUnknownError, "declares no units"),
    # Planet's Data API: names of products to order, no files
    ("planet/data_item_20220125_075509_67_1061", "planet/psscene", ("green",), MissingBandError, "green"),
    ("planet/data_item_20220125_075511_17_1061", "planet/psscene", ("green",), MissingBandError, "green"),
    ("planet/data_item_20220125_075650_17_1061", "planet/psscene", ("green",), MissingBandError, "green"),
    # orders delivered with an item that names no unit, or not even bands: `geoseg catalog add` reads their metadata
    ("planet/planet_stac__Sentinel1", "local/s1", ("vv",), MissingBandError, "vv"),
    ("planet/planet_stac__Sentinel2L1C", "local/s2", OPTICAL, RadiometryUnknownError, "no units"),
    ("planet/planet_stac__psorthotile", "planet/psscene", ("green",), MissingBandError, "green"),
    ("planet/planet_stac__psscene", "planet/psscene", ("green",), RadiometryUnknownError, "declares no units"),
]


def items(data: Path, name: str) -> list[dict[str, Any]]:
    content = json.loads((data / "stac_items" / f"{name}.json").read_text())
    if isinstance(content, list):
        return content
    return content.get("features") or content.get("value") or [content]


def scene(item: dict[str, Any], record: str) -> Scene:
    return Scene(str(item.get("id", "nameless")), record, collection(record).sensor or "", DAY, (0, 0, 1, 1), item=item)


@pytest.mark.parametrize(("name", "record", "bands", "rule", "ends", "mask"), RESOLVED, ids=[r[0] for r in RESOLVED])
def test_an_item_resolves(data, name, record, bands, rule, ends, mask):
    for item in items(data, name):
        spec = plan_scene(scene(item, record), bands)
        assert [band.name for band in spec.bands] == list(bands)
        for band in spec.bands:
            assert band.conversion == rule
            assert band.href.endswith(ends.get(band.name, ""))
        assert [m.href.endswith(str(mask)) for m in spec.masks] == ([True] if mask else [])
        assert spec.notes == ()
        assert refusal(scene(item, record), bands) is None


def test_bands_of_one_file_are_told_apart(data):
    spec = plan_scene(scene(items(data, "naip-pc")[0], f"{PC}/naip"), ("nir", "green"))
    assert [band.index for band in spec.bands] == [4, 2]
    assert len({band.href for band in spec.bands}) == 1


@pytest.mark.parametrize(("name", "record", "bands", "error", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_an_item_is_refused_by_name(data, name, record, bands, error, words):
    for item in items(data, name):
        with pytest.raises(error, match=words) as caught:
            plan_scene(scene(item, record), bands)
        assert scene(item, record).id in str(caught.value)
        assert refusal(scene(item, record), bands) == str(caught.value)


def test_every_item_is_spoken_of(data):
    told = {entry[0] for entry in (*RESOLVED, *REFUSED)}
    folder = data / "stac_items"
    assert {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.json")} == told
