"""Landsat Collection 2 and HLS, which are records alone: attributed, read, mapped; nothing cloudy is ever dry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.catalog.collections import collection, collections
from geoseg.core.area import Area
from geoseg.core.scene import Scene
from geoseg.readers.plan_scene import plan_scene
from geoseg.readers.read_spec import Conversion
from geoseg.sources.search.item_filter import ItemFilter
from geoseg.sources.search.query import Query, RawItem
from geoseg.sources.search.source_policy import SourcePolicy

WORLD = Area.from_bbox((-180, -90, 180, 90))
PC = SourcePolicy(local=False, host="planetarycomputer.microsoft.com")
BLOB = "https://hls2euwest.blob.core.windows.net/hls2"

# what USGS and LP DAAC document; a shadow's QA_PIXEL has the "clear" bit set as well
QA_PIXEL = {
    21824: True,  # clear land
    21952: True,  # clear water
    30048: True,  # snow
    5440: True,  # clear land of Landsat 4 to 7, whose cirrus bits are not set
    21762: False,  # dilated cloud
    22280: False,  # cloud
    23888: False,  # cloud shadow
    54596: False,  # cirrus
    55052: False,  # cloud and cirrus
    1: False,  # fill
}
FMASK = {64: True, 0: True, 96: True, 80: True, 192: True, 66: False, 68: False, 72: False, 78: False, 255: False}
"""Aerosol low, none, water, snow, aerosol high; cloud, adjacent, shadow, all three, fill."""

CASES = {
    "landsat": ("planetary-computer/landsat-c2-l2", "green", "swir16", "qa_pixel", QA_PIXEL),
    "hls-l30": ("planetary-computer/hls2-l30", "B03", "B06", "Fmask", FMASK),
    "hls-s30": ("planetary-computer/hls2-s30", "B03", "B11", "Fmask", FMASK),
}


def recorded(data: Path) -> dict[str, Any]:
    path = data / "provider_samples/stac_items/landsat/planetary-computer__LC09_L2SP_089090_20240417_02_T1.json"
    return json.loads(path.read_text())


def hls_item(data: Path, product: str) -> dict[str, Any]:
    """An item by the Planetary Computer's collection document; none of its items is recorded."""
    template = data / f"provider_samples/stac_items/hls/planetary-computer__hls2-{product}.collection-template.json"
    assets = json.loads(template.read_text())["item_assets"]
    name = f"HLS.{product.upper()}.T36NXF.2024006T075321.v2.0"
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": f"hls2-{product}",
        "bbox": [33.9, -0.09, 34.9, 0.9],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[33.9, -0.09], [34.9, -0.09], [34.9, 0.9], [33.9, 0.9], [33.9, -0.09]]],
        },
        "properties": {"datetime": "2024-01-06T08:09:56.026Z", "eo:cloud_cover": 17, "proj:epsg": 32636},
        "links": [],
        "assets": {key: {**asset, "href": f"{BLOB}/{name}.{key}.tif"} for key, asset in assets.items()},
    }


def item_of(data: Path, case: str) -> dict[str, Any]:
    return recorded(data) if case == "landsat" else hls_item(data, case.removeprefix("hls-"))


@pytest.mark.parametrize("case", CASES)
def test_an_item_is_attributed_by_its_collection_and_hosts(data, case):
    name, green, swir, mask, _ = CASES[case]
    item = item_of(data, case)
    found = ItemFilter.of(Query(WORLD, None, collection(name).sensor)).check(RawItem(item, "https://x.example/y", PC))
    assert isinstance(found, Scene)
    assert (found.collection, found.reflectance) == (name, "surface")
    spec = plan_scene(found, ("green", "swir16", "nir"))
    assert [band.href for band in spec.bands[:2]] == [item["assets"][key]["href"] for key in (green, swir)]
    assert [each.href for each in spec.masks] == [item["assets"][mask]["href"]]
    assert spec.notes == ()
    rule = Conversion(2.75e-5, -0.2, (0.0,)) if case == "landsat" else Conversion(1e-4, 0.0, (-9999.0,))
    assert {band.conversion for band in spec.bands} == {rule}


def test_the_narrow_near_infrared_of_s30_is_read_which_l30_has_too(data):
    for case, band in (("hls-l30", "B05"), ("hls-s30", "B8A")):
        scene = Scene("x", CASES[case][0], "hls", None, (0, 0, 1, 1), item=item_of(data, case))  # type: ignore[arg-type]
        assert plan_scene(scene, ("nir",)).bands[0].href.endswith(f".{band}.tif")


def test_a_scale_that_contradicts_the_record_is_refused(data):
    from geoseg.readers import refusal

    item = recorded(data)
    item["assets"]["green"]["raster:bands"][0]["offset"] = 0
    scene = Scene("L9", CASES["landsat"][0], "landsat", None, (0, 0, 1, 1), item=item)  # type: ignore[arg-type]
    assert "state offset 0 where its collection has -0.2" in str(refusal(scene, ("green",)))


def test_where_the_products_are_served():
    served = {
        sensor: {r.catalog for r in collections().values() if r.sensor == sensor} for sensor in ("landsat", "hls")
    }
    assert served == {
        "landsat": {"planetary-computer", "earth-search", "local"},
        "hls": {"planetary-computer", "local"},
    }


# -- mapped ----------------------------------------------------------------------------------------------------------


def write(path: Path, values: np.ndarray, nodata: float) -> str:
    height, width = values.shape
    profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": values.dtype, "nodata": nodata}
    with rasterio.open(
        path, "w", crs="EPSG:32632", transform=from_origin(500_010, 5_300_010, 30, 30), **profile
    ) as file:
        file.write(values, 1)
    return path.name


@pytest.mark.parametrize("case", CASES)
def test_no_cloud_shadow_or_fill_is_ever_dry(data, tmp_path, case):
    """Two columns of pixels a code, water above land; the last two columns are fill under a clear code."""
    name, green_asset, swir_asset, mask_asset, codes = CASES[case]
    landsat = case == "landsat"
    dtype, fill, (scale, offset) = (np.uint16, 0, (2.75e-5, -0.2)) if landsat else (np.int16, -9999, (1e-4, 0.0))
    width, height = 2 * (len(codes) + 1), 20
    wet = np.arange(height)[:, None].repeat(width, 1) < height // 2
    green, swir = (np.rint((np.where(wet, *pair) - offset) / scale) for pair in ((0.08, 0.1), (0.01, 0.3)))
    quality = np.array([*codes, next(iter(codes))]).repeat(2)[None].repeat(height, 0)
    for band in (green, swir):
        band[:, -2:] = fill
    item = item_of(data, case)
    item["properties"]["geoseg:collection"] = name
    item["bbox"] = [8.9, 47.8, 9.1, 47.9]
    ring = [[8.9, 47.8], [9.1, 47.8], [9.1, 47.9], [8.9, 47.9], [8.9, 47.8]]
    item["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    for key in ("proj:shape", "proj:transform", "proj:epsg"):
        item["properties"].pop(key, None)
    files = {
        green_asset: write(tmp_path / "green.tif", green.astype(dtype), fill),
        swir_asset: write(tmp_path / "swir.tif", swir.astype(dtype), fill),
        mask_asset: write(
            tmp_path / "mask.tif", quality.astype(np.uint16 if landsat else np.uint8), 1 if landsat else 255
        ),
    }
    item["assets"] = {key: {**item["assets"][key], "href": href} for key, href in files.items()}
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    day = item["properties"]["datetime"][:10]
    asked = ["--bbox", "9.0001,47.8460,9.0095,47.8535", "--date", day, "--sensor", str(collection(name).sensor)]
    out = tmp_path / "map"
    words = [*asked, "--catalog", str(tmp_path / "items.json"), "--crs", "EPSG:32632", "--out", str(out), "-q"]
    subprocess.run([sys.executable, "-m", "geoseg", "map", *words], check=True)
    with rasterio.open(out / "flood.tif") as file:
        window = file.window(500_010, 5_300_010 - 30 * height, 500_010 + 30 * width, 5_300_010)
        assert file.res == (30, 30)
        mapped = file.read(1, window=window, boundless=True, fill_value=7)
    observed = np.array([*codes.values(), False]).repeat(2)[None].repeat(height, 0)
    inside = mapped != 7
    assert inside.all()
    np.testing.assert_array_equal(mapped[inside], np.where(observed, np.where(wet, 1, 0), 255)[inside])
