"""Real scenes: Sentinel-2 L2A, PlanetScope radiance and reflectance, Sen1Floods11, NAIP, a Planet mosaic."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from scipy.ndimage import maximum_filter

from geoseg.core.grid import output_grid
from geoseg.core.scene import Scene
from geoseg.readers import Cube
from tests.support.rasters import DAY


def grid_of(path: Path) -> GeoBox:
    with rasterio.open(path) as file:
        return GeoBox(file.shape, file.transform, file.crs)


def outline(path: Path) -> tuple[float, float, float, float]:
    box = grid_of(path).extent.to_crs("EPSG:4326").boundingbox
    return (box.left, box.bottom, box.right, box.top)


def own(
    path: Path, sensor: str, units: str, bands: list[str], numbers: list[dict[str, Any]], mask: Path | None = None
) -> Scene:
    """A person's own file, as ``geoseg catalog add`` describes it."""
    data = {"href": str(path), "eo:bands": [{"name": name} for name in bands], "raster:bands": numbers}
    assets = {"data": data} | ({"udm": {"href": str(mask), "roles": ["mask"]}} if mask else {})
    item = {"type": "Feature", "id": path.stem, "properties": {"geoseg:units": units}, "assets": assets}
    return Scene(path.stem, f"local/{sensor}", sensor, DAY, outline(path), item=item)


def raw(path: Path, index: int = 1) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(index)


@pytest.fixture
def sentinel2(data) -> Scene:
    """The scene as Earth Search describes it, its files beside the item."""
    folder = data / "sentinel2_l2a" / "S2A_29RKH_20200219_0_L2A"
    item = json.loads((folder / f"{folder.name}.json").read_text())
    for asset in item["assets"].values():
        asset["href"] = str(folder / asset["href"].rsplit("/", 1)[-1])
    time = datetime(2020, 2, 19, 11, 34, tzinfo=UTC)
    return Scene(item["id"], "earth-search/sentinel-2-l2a", "s2", time, outline(folder / "B03.tif"), item=item)


def test_sentinel_2_at_its_own_grid(sentinel2, data):
    folder = data / "sentinel2_l2a" / sentinel2.id
    target = grid_of(folder / "B03.tif")
    cube = Cube.of([sentinel2], target, ("green", "swir16"), instant=sentinel2.time, tile_px=2048)
    pixels = cube.tile(0, 0)
    green, classes = raw(folder / "B03.tif"), raw(folder / "SCL.tif")
    swir = raw(folder / "B11.tif")
    fine = np.kron(classes, np.ones((2, 2), dtype=np.uint8))
    near = np.kron(swir, np.ones((2, 2), dtype=np.uint16))
    observed = (green > 0) & (near > 0) & ~np.isin(fine, [0, 1, 3, 8, 9, 10])
    np.testing.assert_array_equal(pixels.source == 0, observed)
    assert 0.5 < observed.mean() < 1  # there are clouds, and there is desert
    np.testing.assert_allclose(pixels.values[0][observed], green[observed] / 10000, atol=1e-6)
    assert np.abs(pixels.values[1] - near / 10000)[observed].mean() < 0.02
    assert cube.notes == ()


def test_sentinel_2_in_another_zone_keeps_its_numbers(sentinel2):
    target = output_grid((-11.5, 24.8, -11.3, 25.0), 100, "EPSG:32628")
    pixels = Cube.of([sentinel2], target, ("green",), instant=sentinel2.time).tile(0, 0)
    observed = np.isfinite(pixels.values[0])
    assert observed.mean() > 0.5
    assert 0.05 < np.median(pixels.values[0][observed]) < 0.6


def test_planetscope_reflectance_with_its_old_mask(data):
    folder = data / "planetscope" / "deering"
    path = folder / "20160909_213104_0e19_3B_AnalyticMS_SR_clip.tif"
    mask = folder / "20160909_213104_0e19_3B_AnalyticMS_DN_udm_clip.tif"
    number = {"scale": 1e-4, "offset": 0, "nodata": 0}
    scene = own(path, "planetscope", "dn", ["blue", "green", "red", "nir"], [number] * 4, mask)
    cube = Cube.of([scene], grid_of(path), ("nir", "green"), instant=DAY, tile_px=2048)
    pixels = cube.tile(0, 0)
    nir, green, unusable = raw(path, 4), raw(path, 2), raw(mask)
    rim = maximum_filter(np.all([raw(path, band) == 1 for band in (1, 2, 3)], axis=0), 5)
    expected = (unusable == 0) & np.all([raw(path, 4) > 0, raw(path, 2) > 0], axis=0) & ~rim
    np.testing.assert_array_equal(pixels.source == 0, expected)
    assert 0.2 < expected.mean() < 0.3  # a clip along a coast
    np.testing.assert_allclose(pixels.values[0][expected], nir[expected] / 10000, atol=1e-6)
    np.testing.assert_allclose(pixels.values[1][expected], green[expected] / 10000, atol=1e-6)


def test_planetscope_radiance_becomes_reflectance_with_each_bands_own_coefficient(data):
    folder = data / "planetscope" / "harvey"
    path = folder / "20170831_172754_101c_3B_AnalyticMS.tif"
    text = (folder / "20170831_172754_101c_3B_AnalyticMS_metadata.xml").read_text()
    factors = [float(found) for found in re.findall(r"reflectanceCoefficient>([\d.e-]+)<", text)]
    numbers = [{"scale": factor, "offset": 0, "nodata": 0} for factor in factors]
    mask = folder / "20170831_172754_101c_3B_AnalyticMS_DN_udm.tif"
    scene = own(path, "planetscope", "dn", ["blue", "green", "red", "nir"], numbers, mask)
    pixels = Cube.of([scene], grid_of(path), ("green", "nir"), instant=DAY).tile(0, 0)
    observed = pixels.source == 0
    assert observed.any()
    for values, index in zip(pixels.values, (2, 4), strict=True):
        np.testing.assert_allclose(values[observed], raw(path, index)[observed] * factors[index - 1], rtol=1e-6)
        assert 0.01 < np.median(values[observed]) < 0.5


@pytest.mark.parametrize("name", ["Nigeria_812045", "Paraguay_34417", "Pakistan_849790"])
def test_sen1floods11_decibels_on_a_utm_grid(data, name):
    path = data / "sen1floods11" / "S1Hand" / f"{name}_S1Hand.tif"
    scene = own(path, "s1", "db", ["vv", "vh"], [{"nodata": "nan"}] * 2)
    target = output_grid(outline(path), 10)
    pixels = Cube.of([scene], target, ("vv", "vh"), instant=DAY).tile(0, 0)
    numbers = np.stack([raw(path, 1), raw(path, 2)])
    known = np.isfinite(numbers).all(axis=0)
    seen = np.isfinite(pixels.values).all(axis=0)
    np.testing.assert_array_equal(seen, pixels.source == 0)
    if not known.any():
        assert not seen.any()  # an image that is NaN everywhere is observed nowhere
        return
    # Mean power is kept by resampling, apart from the frame that the slanted UTM grid adds around.
    before = 10 ** (numbers[:, known] / 10)
    after = 10 ** (pixels.values[:, seen] / 10)
    np.testing.assert_allclose(after.mean(axis=1), before.mean(axis=1), rtol=0.02)
    # A square degree shrinks with the cosine of the latitude.
    step_m = 8.983152841195215e-05 * 111_320
    area = known.sum() * step_m**2 * np.cos(np.radians(outline(path)[1]))
    assert 0.98 < seen.sum() * 100 / area < 1.02


def test_aerial_imagery_becomes_unitless(data):
    path = data / "naip" / "m_4709963_se_14_1_20120731.tif"
    scene = own(path, "aerial", "uint8", ["red", "green", "blue", "nir"], [{}] * 4)
    pixels = Cube.of([scene], grid_of(path), ("nir", "red"), instant=DAY).tile(0, 0)
    observed = (raw(path, 4) > 0) & (raw(path, 1) > 0)
    np.testing.assert_array_equal(pixels.source == 0, observed)
    np.testing.assert_allclose(pixels.values[0][observed], raw(path, 4)[observed] / 255, atol=1e-6)


def test_an_alpha_band_says_what_was_seen(data):
    path = next((data / "spacenet7").rglob("*_13.tif"))
    alpha = raw(path, 4)
    target = grid_of(path)
    scene = own(path, "aerial", "uint8", ["red", "green", "blue"], [{}] * 3)
    pixels = Cube.of([scene], target, ("red",), instant=DAY, tile_px=2048).tile(0, 0)
    np.testing.assert_array_equal(pixels.source == 0, alpha > 0)
