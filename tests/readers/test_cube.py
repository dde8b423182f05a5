"""Scenes on one grid: order, gaps, failures, and tiles that do not depend on how they are cut."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from geoseg.errors import BadOptionError, MissingBandError, RadiometryUnknownError
from geoseg.readers import Cube, Failure
from geoseg.readers.composites.median import median
from geoseg.readers.composites.mosaic import Mosaic
from tests.support.rasters import DAY, grid

CLEAR, CLOUD = 4, 9


def flat(number: int, size: int = 40) -> np.ndarray:
    return np.full((size, size), number, dtype=np.uint16)


def layers(green, swir=None, scl=None, size=40):
    """Assets of a scene: green at 10 m, swir16 and classes at 20 m."""
    fine, overview = grid(size, size), grid(size // 2, size // 2, 20)
    swir = flat(2000, size // 2) if swir is None else swir
    scl = np.full((size // 2, size // 2), CLEAR, dtype=np.uint8) if scl is None else scl
    return {"B03": (green, fine), "B11": (swir, overview), "SCL": (scl, overview)}


def whole(cube: Cube) -> tuple[np.ndarray, np.ndarray]:
    """Every tile, put together."""
    rows, cols = cube.tiles
    tiles = [[cube.tile(iy, ix) for ix in range(cols)] for iy in range(rows)]
    values = np.block([[tile.values for tile in row] for row in tiles])
    return values, np.block([[tile.source for tile in row] for row in tiles])


def test_a_scene_comes_out_as_reflectance(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    pixels = Cube.of([scene], grid(40, 40), ("swir16", "green"), instant=DAY).tile(0, 0)
    assert pixels.values.dtype == np.float32
    assert pixels.source.dtype == np.uint8
    np.testing.assert_allclose(pixels.values[0], 0.1, atol=1e-6)
    np.testing.assert_allclose(pixels.values[1], 0.05, atol=1e-6)
    assert (pixels.source == 0).all()
    assert pixels.failures == ()


def test_a_pixel_is_observed_only_where_every_band_is_and_nothing_hides_it(make_scene):
    green = flat(1500)
    green[0:4] = 0
    swir = flat(2000, 20)
    swir[:, 0:2] = 0
    classes = np.full((20, 20), CLEAR, dtype=np.uint8)
    classes[18:] = CLOUD
    scene = make_scene(assets=layers(green, swir, classes))
    pixels = Cube.of([scene], grid(40, 40), ("green", "swir16"), instant=DAY).tile(0, 0)
    expected = np.ones((40, 40), dtype=bool)
    expected[0:4] = expected[36:] = False
    expected[:, 0:4] = False
    np.testing.assert_array_equal(pixels.source == 0, expected)
    np.testing.assert_array_equal(pixels.source == 255, ~expected)
    for band in pixels.values:
        np.testing.assert_array_equal(np.isfinite(band), expected)


def test_the_nearest_scene_in_time_comes_first_and_others_fill_its_gaps(make_scene):
    cloudy = np.full((20, 20), CLEAR, dtype=np.uint8)
    cloudy[:, :10] = CLOUD
    near = make_scene("near", time=DAY + timedelta(days=1), assets=layers(flat(1100), scl=cloudy))
    far = make_scene("far", time=DAY - timedelta(days=3), assets=layers(flat(3000)))
    cube = Cube.of([far, near], grid(40, 40), ("green", "swir16"), instant=DAY)
    assert [scene.id for scene in cube.scenes] == ["near", "far"]
    pixels = cube.tile(0, 0)
    np.testing.assert_array_equal(pixels.source, np.where(np.arange(40) < 20, 1, 0)[None].repeat(40, 0))
    np.testing.assert_allclose(pixels.values[0], np.where(pixels.source == 1, 0.2, 0.01), atol=1e-6)


def test_a_scene_that_is_not_needed_is_not_opened(make_scene):
    near = make_scene("near", assets=layers(flat(1100)))
    far = make_scene("far", time=DAY + timedelta(days=5), assets=layers(flat(3000)))
    for asset in far.item["assets"].values():
        Path(asset["href"]).unlink()
    pixels = Cube.of([near, far], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    assert pixels.failures == ()
    assert (pixels.source == 0).all()


def test_a_dead_scene_is_named_and_the_next_one_fills(make_scene):
    near = make_scene("near", assets=layers(flat(1100)))
    far = make_scene("far", time=DAY + timedelta(days=5), assets=layers(flat(3000)))
    Path(near.item["assets"]["B11"]["href"]).unlink()
    pixels = Cube.of([near, far], grid(40, 40), ("green", "swir16"), instant=DAY).tile(0, 0)
    assert (pixels.source == 1).all()
    (failure,) = pixels.failures
    assert failure.scene_id == "near"
    assert "near-B11.tif cannot be read" in failure.reason
    assert "\n" not in failure.reason


def test_a_truncated_file_is_a_failure_and_not_a_map_of_zeros(make_scene):
    rng = np.random.default_rng(0)
    numbers = rng.integers(1000, 4000, (400, 400)).astype(np.uint16)
    scene = make_scene(assets=layers(numbers, size=400), tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    path = scene.item["assets"]["B03"]["href"]
    os.truncate(path, Path(path).stat().st_size // 2)
    pixels = Cube.of([scene], grid(400, 400), ("green",), instant=DAY).tile(0, 0)
    assert [failure.scene_id for failure in pixels.failures] == ["scene"]
    assert (pixels.source == 255).all()
    assert np.isnan(pixels.values).all()


def test_a_file_without_a_place_on_earth_is_a_failure(make_scene, data):
    scene = make_scene(assets=layers(flat(1500)))
    amplitude = next((data / "sentinel1_grd").rglob("iw-vv.tiff"))
    scene.item["assets"]["B03"]["href"] = str(amplitude)
    (failure,) = Cube.of([scene], grid(40, 40), ("green",), instant=DAY).tile(0, 0).failures
    assert "no CRS" in failure.reason


def test_a_file_that_names_other_files_is_not_opened(make_scene, tmp_path):
    scene = make_scene(assets=layers(flat(1500)))
    asset = scene.item["assets"]["B03"]
    disguised = tmp_path / "disguised.tif"
    rasterio.shutil.copy(asset["href"], disguised, driver="VRT")
    asset["href"] = str(disguised)
    (failure,) = Cube.of([scene], grid(40, 40), ("green",), instant=DAY).tile(0, 0).failures
    assert "disguised.tif cannot be read" in failure.reason


def test_a_mask_in_a_file_beside_counts(make_scene):
    scene = make_scene(assets=layers(flat(1500)), nodata=None)
    path = scene.item["assets"]["B03"]["href"]
    valid = np.full((40, 40), 255, dtype=np.uint8)
    valid[:7] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(valid)
    assert Path(path + ".msk").exists()
    pixels = Cube.of([scene], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    np.testing.assert_array_equal(pixels.source == 0, valid > 0)


def test_a_mask_inside_the_file_counts(make_scene):
    scene = make_scene(assets=layers(flat(1500)), nodata=None)
    valid = np.full((40, 40), 255, dtype=np.uint8)
    valid[:, :9] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(scene.item["assets"]["B03"]["href"], "r+") as file:
        file.write_mask(valid)
    pixels = Cube.of([scene], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    np.testing.assert_array_equal(pixels.source == 0, valid > 0)


def test_an_outline_that_is_drawn_a_little_too_tight_loses_nothing(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    west, south, east, north = scene.bbox
    aside = replace(scene, bbox=(west + 0.012, south, east + 0.012, north))
    assert aside.bbox[0] > east
    pixels = Cube.of([aside], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    assert (pixels.source == 0).all()


def test_a_scene_whose_outline_is_elsewhere_is_not_opened(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    elsewhere = replace(scene, bbox=(100.0, 10.0, 101.0, 11.0))
    for asset in scene.item["assets"].values():
        Path(asset["href"]).unlink()
    pixels = Cube.of([elsewhere], grid(40, 40), ("green",), instant=DAY).tile(0, 0)
    assert pixels.failures == ()
    assert (pixels.source == 255).all()


def test_a_file_that_lies_elsewhere_than_its_item_says_is_a_failure(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    far_off = grid(40, 40, shift=(300_000, 0))
    west, south, east, north = scene.bbox
    claiming = replace(scene, bbox=(west + 3, south - 0.5, east + 5, north + 0.5))
    (failure,) = Cube.of([claiming], far_off, ("green",), instant=DAY).tile(0, 0).failures
    assert "scene-SCL.tif lies elsewhere on Earth" in failure.reason


@pytest.mark.parametrize(("crs", "x", "y"), [("EPSG:32760", 833_000, 8_000_000), ("EPSG:3413", 0, 0)])
def test_the_antimeridian_and_the_pole_are_places_like_others(make_scene, crs, x, y):
    there = GeoBox((40, 40), Affine(10, 0, x - 200, 0, -10, y + 200), crs)
    overview = GeoBox((20, 20), Affine(20, 0, x - 200, 0, -20, y + 200), crs)
    classes = np.full((20, 20), CLEAR, dtype=np.uint8)
    scene = make_scene(assets={"B03": (flat(1500), there), "SCL": (classes, overview)})
    pixels = Cube.of([scene], there, ("green",), instant=DAY, tile_px=16).tile(1, 1)
    assert (pixels.source == 0).all()


def test_a_tile_without_any_scene_is_not_observed(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    far_off = grid(40, 40, shift=(300_000, 0))
    pixels = Cube.of([scene], far_off, ("green",), instant=DAY).tile(0, 0)
    assert (pixels.source == 255).all()
    assert np.isnan(pixels.values).all()
    nothing = Cube.of([], far_off, ("green",), instant=DAY).with_composite("median").tile(0, 0)
    assert (nothing.source == 255).all()


@given(st.integers(13, 50), st.sampled_from(["nearest", "median"]), st.sampled_from([10.0, 13.0]), st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tile_size_changes_nothing(make_scene, tile_px, composite, resolution, other_zone):
    rng = np.random.default_rng(7)
    scenes = []
    for number in range(3):
        green = rng.integers(1000, 3000, (40, 40)).astype(np.uint16)
        green[rng.random((40, 40)) < 0.2] = 0
        classes = rng.choice([CLEAR, CLOUD], (20, 20), p=[0.6, 0.4]).astype(np.uint8)
        time = DAY + timedelta(days=number)
        swir = rng.integers(1000, 3000, (20, 20)).astype(np.uint16)
        scenes.append(make_scene(f"s{number}", time=time, assets=layers(green, swir, classes)))
    target = grid(47, 45, resolution, shift=(-30, -20))
    if other_zone:
        target = target.to_crs("EPSG:32634", resolution=resolution)
    bands = ("green", "swir16")
    values, source = whole(Cube.of(scenes, target, bands, instant=DAY, tile_px=tile_px).with_composite(composite))
    expected, from_scene = whole(Cube.of(scenes, target, bands, instant=DAY, tile_px=1024).with_composite(composite))
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(source, from_scene)
    assert (source != 255).any()


def test_the_median_of_passes_against_numpy(make_scene):
    rng = np.random.default_rng(3)
    stack, scenes = [], []
    for number in range(4):
        green = rng.integers(1000, 3000, (40, 40)).astype(np.uint16)
        green[rng.random((40, 40)) < 0.4] = 0
        green[5, 5] = 0
        stack.append(np.where(green == 0, np.nan, (green.astype(float) - 1000) / 10000))
        scenes.append(make_scene(f"s{number}", time=DAY + timedelta(days=number), assets=layers(green)))
    pixels = Cube.of(scenes, grid(40, 40), ("green",), instant=DAY).with_composite("median").tile(0, 0)
    observed = np.isfinite(stack).any(axis=0)
    expected = np.full((40, 40), np.nan)
    expected[observed] = np.nanmedian(np.array(stack)[:, observed], axis=0)
    np.testing.assert_allclose(pixels.values[0], expected, atol=1e-6)
    np.testing.assert_array_equal(pixels.source, np.where(observed, np.isfinite(stack).argmax(axis=0), 255))


def test_neighbouring_granules_of_one_pass_count_once_in_the_median(make_scene):
    left, right = flat(1100), flat(1300)
    left[:, 25:] = 0
    right[:, :15] = 0
    scenes = [
        make_scene("pass-a", assets=layers(left)),
        make_scene("pass-b", time=DAY + timedelta(seconds=20), assets=layers(right)),
        make_scene("x-later", time=DAY + timedelta(days=2), assets=layers(flat(1900))),
    ]
    pixels = Cube.of(scenes, grid(40, 40), ("green",), instant=DAY).with_composite("median").tile(0, 0)
    # where both granules lie, the pass still is one voice beside the later one
    np.testing.assert_allclose(pixels.values[0][:, :25], (0.01 + 0.09) / 2, atol=1e-6)
    np.testing.assert_allclose(pixels.values[0][:, 25:], (0.03 + 0.09) / 2, atol=1e-6)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_median_is_nanmedian(count, seed):
    rng = np.random.default_rng(seed)
    stack = rng.random((count, 2, 5, 5), dtype=np.float32)
    hidden = rng.random((count, 5, 5)) < 0.5
    passes = []
    for number, (values, gone) in enumerate(zip(stack, hidden, strict=True)):
        values[:, gone] = np.nan
        passes.append((values.copy(), np.where(gone, 255, number).astype(np.uint8)))
    result, source = median(passes)
    some = ~hidden.all(axis=0)
    np.testing.assert_allclose(result[:, some], np.nanmedian(stack[:, :, some], axis=0), rtol=1e-6)
    assert np.isnan(result[:, ~some]).all()
    np.testing.assert_array_equal(source, np.where(some, (~hidden).argmax(axis=0), 255))


def test_a_canvas_knows_the_smallest_rectangle_that_is_missing():
    canvas = Mosaic(1, (10, 10))
    assert canvas.missing_window() == (slice(0, 10), slice(0, 10))
    everything = np.ones((10, 10), dtype=bool)
    everything[3:5, 7] = False
    canvas.fill((slice(0, 10), slice(0, 10)), [np.zeros((10, 10), np.float32)], everything, 0)
    assert canvas.missing_window() == (slice(3, 5), slice(7, 8))
    canvas.fill((slice(3, 5), slice(7, 8)), [np.ones((2, 1), np.float32)], np.ones((2, 1), dtype=bool), 1)
    assert canvas.missing_window() is None
    assert canvas.values.sum() == 2


# -- refused before any pixel is opened ---------------------------------------------------------------------------


def test_a_missing_band_is_named_with_what_there_is(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    with pytest.raises(MissingBandError, match="Scene scene has no band 'nir'; it has green, swir16"):
        Cube.of([scene], grid(40, 40), ("green", "nir"), instant=DAY)


def test_more_scenes_than_codes_are_refused(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    with pytest.raises(BadOptionError, match="Narrow --date"):
        Cube.of([scene] * 256, grid(40, 40), ("green",), instant=DAY)


def test_a_misspelt_keyword_is_a_type_error(make_scene):
    scene = make_scene(assets=layers(flat(1500)))
    with pytest.raises(TypeError, match="composit"):
        Cube.of([scene], grid(40, 40), ("green",), instant=DAY, composit="median")  # type: ignore[call-arg]


def test_a_tile_that_is_not_there_is_an_index_error(make_scene):
    cube = Cube.of([make_scene(assets=layers(flat(1500)))], grid(40, 40), ("green",), instant=DAY)
    with pytest.raises(IndexError, match="1 x 1"):
        cube.tile(0, 1)


def test_a_missing_cloud_mask_is_remembered(make_scene):
    assets = layers(flat(1500))
    del assets["SCL"]
    cube = Cube.of([make_scene(assets=assets)], grid(40, 40), ("green",), instant=DAY)
    assert cube.notes == ("Scene scene has no SCL layer: its clouds and shadows are not masked.",)


# -- numbers in another unit than they are said to be in -----------------------------------------------------------


def own_scene(make_scene, sensor, units, values, **more):
    return make_scene(
        collection=f"local/{sensor}",
        sensor=sensor,
        properties={"geoseg:units": units},
        assets={"data": (values, grid(*values.shape[-2:]))},
        nodata=None,
        words={"data": {"eo:bands": [{"name": "vv" if sensor == "s1" else "green"}], **more}},
    )


@pytest.mark.parametrize(
    ("sensor", "units", "numbers", "words"),
    [
        ("s2", "reflectance", (300, 3000), "lie outside -0.2..2"),
        ("s1", "db", (0.001, 1.2), "as linear power does"),
        ("s1", "linear", (-25.0, -5.0), "never negative"),
    ],
)
def test_numbers_in_another_unit_are_refused(make_scene, sensor, units, numbers, words):
    values = np.random.default_rng(0).uniform(*numbers, (64, 64)).astype(np.float32)
    scene = own_scene(make_scene, sensor, units, values)
    cube = Cube.of([scene], grid(64, 64), ("vv" if sensor == "s1" else "green",), instant=DAY)
    with pytest.raises(RadiometryUnknownError, match=words) as refusal:
        cube.tile(0, 0)
    assert "--units" in str(refusal.value)


@pytest.mark.parametrize(
    ("sensor", "units", "numbers"),
    [("s2", "reflectance", (0.9, 1.6)), ("s1", "db", (-28, 2)), ("s1", "linear", (1e-3, 3))],
)
def test_bright_cloud_calm_water_and_cities_are_no_reason_to_refuse(make_scene, sensor, units, numbers):
    values = np.random.default_rng(0).uniform(*numbers, (64, 64)).astype(np.float32)
    scene = own_scene(make_scene, sensor, units, values)
    cube = Cube.of([scene], grid(64, 64), ("vv" if sensor == "s1" else "green",), instant=DAY)
    assert (cube.tile(0, 0).source == 0).all()


# -- fill that nobody declared -------------------------------------------------------------------------------------


def own_bands(make_scene, sensor, units, values, **more):
    """A person's scene of two bands in one file."""
    names = ("vv", "vh") if sensor == "s1" else ("green", "swir16" if sensor == "s2" else "nir")
    scene = make_scene(
        more.pop("name", "own"),
        collection=f"local/{sensor}",
        sensor=sensor,
        properties={"geoseg:units": units},
        assets={"data": (values, grid(*values.shape[-2:]))},
        nodata=more.pop("nodata", None),
        words={"data": {"eo:bands": [{"name": name} for name in names], "raster:bands": [more, more]}},
    )
    return scene, names


UNDECLARED = [
    ("s2", "reflectance", "float32", (0.02, 0.4), 0, {}),
    ("s2", "reflectance", "float32", (0.02, 0.4), -9999, {}),
    ("s2", "reflectance", "int16", (200, 4000), -32768, {"data_type": "int16", "scale": 1e-4}),
    ("s2", "reflectance", "uint16", (200, 4000), 65535, {"data_type": "uint16", "scale": 1e-4}),
    ("s2", "reflectance", "uint16", (200, 4000), 0, {"data_type": "uint16", "scale": 1e-4, "nodata": 65535}),
    ("planetscope", "dn", "uint16", (200, 4000), 0, {"scale": 1e-4, "nodata": 65535}),
    ("s1", "db", "float32", (-25, -3), 0, {}),
    ("s1", "db", "float32", (-25, -3), -9999, {}),
    ("s1", "linear", "float32", (1e-3, 0.5), -9999, {}),
]


@pytest.mark.parametrize("shift", [0, 5])
@pytest.mark.parametrize(("sensor", "units", "dtype", "numbers", "fill", "more"), UNDECLARED)
def test_fill_that_nobody_declared_is_not_observed(make_scene, sensor, units, dtype, numbers, fill, more, shift):
    """On the file's own grid and between its pixels; also in tiles that hold nothing else."""
    values = np.random.default_rng(0).uniform(*numbers, (2, 96, 96)).astype(dtype)
    values[:, :, :56] = fill
    scene, bands = own_bands(make_scene, sensor, units, values, **more)
    cube = Cube.of([scene], grid(95, 95, shift=(shift, 0)), bands, instant=DAY, tile_px=48)
    seen, source = whole(cube)
    first = 56 if shift == 0 else 55  # halfway between two pixels, the one to the right counts
    np.testing.assert_array_equal(source == 0, np.arange(95)[None].repeat(95, 0) >= first)
    assert np.isnan(seen[:, :, :first]).all()
    low, high = np.nanmin(seen), np.nanmax(seen)
    expected = np.array(numbers, dtype=float) * more.get("scale", 1)
    expected = 10 * np.log10(expected) if units == "linear" else expected
    assert expected[0] - 1e-3 <= low < high <= expected[1] + 1e-3


@pytest.mark.parametrize(("sensor", "units", "numbers"), [("s2", "reflectance", (0.02, 0.4)), ("s1", "db", (-25, -3))])
def test_zero_in_one_band_is_a_number_like_others(make_scene, sensor, units, numbers):
    values = np.random.default_rng(0).uniform(*numbers, (2, 40, 40)).astype(np.float32)
    values[0, :9] = 0
    scene, bands = own_bands(make_scene, sensor, units, values)
    assert (Cube.of([scene], grid(40, 40), bands, instant=DAY).tile(0, 0).source == 0).all()


def test_zero_in_the_files_of_all_polarisations_is_fill(make_scene):
    rng = np.random.default_rng(0)
    files = {name: rng.uniform(-25, -3, (40, 40)).astype(np.float32) for name in ("vv", "vh")}
    files["vv"][:9] = files["vh"][:5] = 0
    scene = make_scene(
        collection="local/s1",
        sensor="s1",
        properties={"geoseg:units": "db"},
        assets={name: (values, grid(40, 40)) for name, values in files.items()},
        nodata=None,
        words={name: {"eo:bands": [{"name": name}]} for name in files},
    )
    pixels = Cube.of([scene], grid(40, 40), ("vv", "vh"), instant=DAY).tile(0, 0)
    np.testing.assert_array_equal(pixels.source == 0, np.arange(40)[:, None].repeat(40, 1) >= 5)


def test_a_single_pixel_outside_what_the_sensor_measures_is_not_observed(make_scene):
    values = np.random.default_rng(0).uniform(0.02, 0.4, (2, 40, 40)).astype(np.float32)
    values[1, 3, 4], values[0, 7, 8] = 2.5, -0.3
    scene, bands = own_bands(make_scene, "s2", "reflectance", values)
    source = Cube.of([scene], grid(40, 40), bands, instant=DAY).tile(0, 0).source
    assert sorted(map(tuple, np.argwhere(source == 255).tolist())) == [(3, 4), (7, 8)]


@pytest.mark.parametrize("composite", ["nearest", "median"])
def test_one_scene_in_another_unit_is_left_out_and_named(make_scene, composite):
    rng = np.random.default_rng(0)
    wrong, bands = own_bands(
        make_scene, "s2", "reflectance", rng.uniform(300, 3000, (2, 64, 64)).astype(np.float32), name="wrong"
    )
    right, _ = own_bands(
        make_scene, "s2", "reflectance", rng.uniform(0.02, 0.4, (2, 64, 64)).astype(np.float32), name="right"
    )
    right = replace(right, time=DAY + timedelta(days=3))
    pixels = Cube.of([wrong, right], grid(64, 64), bands, instant=DAY).with_composite(composite).tile(0, 0)
    assert (pixels.source == 1).all()
    (failure,) = pixels.failures
    assert failure.scene_id == "wrong"
    assert "lie outside -0.2..2" in failure.reason
    with pytest.raises(RadiometryUnknownError, match="--units"):
        Cube.of([wrong], grid(64, 64), bands, instant=DAY).with_composite(composite).tile(0, 0)


# -- lazily, coarsely, elsewhere -------------------------------------------------------------------------------------


def test_the_lazy_cube_is_the_tiles_with_coordinates(make_scene):
    rng = np.random.default_rng(5)
    scene = make_scene(assets=layers(rng.integers(1000, 3000, (40, 40)).astype(np.uint16)))
    cube = Cube.of([scene], grid(40, 40), ("green", "swir16"), instant=DAY, tile_px=16)
    lazy = cube.lazy()
    assert lazy.pixels.chunks == ((2,), (16, 16, 8), (16, 16, 8))
    assert lazy.pixels.dims == ("band", "y", "x")
    assert list(lazy.band.to_numpy()) == ["green", "swir16"]
    assert lazy.odc.geobox == cube.geobox
    computed = lazy.compute(scheduler="threads")
    values, source = whole(cube)
    np.testing.assert_array_equal(computed.pixels, values)
    np.testing.assert_array_equal(computed.source, source)


def test_a_dask_cluster_computes_the_same(make_scene):
    from distributed import Client, LocalCluster

    rng = np.random.default_rng(5)
    scene = make_scene(assets=layers(rng.integers(1000, 3000, (40, 40)).astype(np.uint16)))
    cube = Cube.of([scene], grid(40, 40), ("green", "swir16"), instant=DAY, tile_px=32)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        computed = cube.lazy().compute()
    np.testing.assert_array_equal(computed.pixels, whole(cube)[0])


def test_a_cube_travels_without_its_items(make_scene):
    scene = make_scene(properties={"padding": "x" * 100_000}, assets=layers(flat(1500)))
    cube = Cube.of([scene], grid(40, 40), ("green",), instant=DAY)
    packed = pickle.dumps(cube)
    assert len(packed) < 10_000
    arrived = pickle.loads(packed)
    assert arrived == cube
    np.testing.assert_array_equal(arrived.tile(0, 0).values, cube.tile(0, 0).values)
    assert cube.scenes[0].item["assets"]


def test_a_thumbnail_is_small_and_mixes_nothing(make_scene):
    green = flat(1500)
    green[:, :20] = 0
    cube = Cube.of([make_scene(assets=layers(green))], grid(40, 40), ("green",), instant=DAY)
    pixels, geobox = cube.thumbnail(10)
    assert pixels.values.shape == (1, *geobox.shape) == (1, 10, 10)
    np.testing.assert_array_equal(np.isfinite(pixels.values[0]), np.arange(10)[None].repeat(10, 0) >= 5)
    np.testing.assert_allclose(pixels.values[0][:, 5:], 0.05, atol=1e-6)


def test_failures_and_errors_survive_pickling():
    failure = Failure("scene", "dead")
    assert pickle.loads(pickle.dumps(failure)) == failure
    error = RadiometryUnknownError("one sentence")
    assert str(pickle.loads(pickle.dumps(error))) == "one sentence"
