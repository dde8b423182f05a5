"""Where pixels lie, and what they hold there, against GDAL and against themselves in pieces."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geoseg.readers.raster import GridWindow, read_band
from geoseg.readers.read_spec import BandReadSpec, Conversion
from geoseg.readers.sampling import block_mean, place
from tests.support.rasters import ORIGIN, UTM, grid, write

PLAIN = BandReadSpec("green", "", 1, Conversion())


def whole(target: GeoBox) -> GridWindow:
    return GridWindow(target, (0, target.shape[0]), (0, target.shape[1]))


def ramp(where: GeoBox) -> np.ndarray:
    """A plane: each pixel holds its easting + 3 x northing (relative), which bilinear sampling gives back exactly."""
    xs = np.arange(where.shape[1]) * where.transform.a + where.transform.c - ORIGIN[0]
    ys = ORIGIN[1] - (np.arange(where.shape[0]) * -where.transform.e * -1 + where.transform.f)
    return (xs[None, :] + 3 * ys[:, None]).astype(np.float32)


def test_an_aligned_grid_is_pasted_bit_for_bit(tmp_path):
    numbers = np.random.default_rng(1).random((40, 50), dtype=np.float32)
    path = write(tmp_path / "a.tif", numbers, grid(40, 50))
    read = read_band(str(path), PLAIN, whole(grid(20, 30, shift=(100, 50))))
    np.testing.assert_array_equal(read, numbers[5:25, 10:40])


def test_upsampling_a_plane_gives_the_plane_back(tmp_path):
    path = write(tmp_path / "a.tif", ramp(grid(40, 40, 20)), grid(40, 40, 20))
    target = grid(40, 40, 10, shift=(200, 200))
    # The coarse pixel's corner is its coordinate in the ramp, its centre lies 5 m further than the fine one's.
    expected = ramp(target) - 5 + 3 * -5
    read = read_band(str(path), PLAIN, whole(target))
    np.testing.assert_allclose(read, expected, atol=1e-3)


@pytest.mark.parametrize("crs", ["EPSG:32634", "EPSG:3035", "EPSG:4326"])
@pytest.mark.parametrize("axis", [0, 1])
def test_reprojection_finds_each_pixel_where_proj_says_it_is(tmp_path, crs, axis):
    """A raster whose values are its own pixel coordinates, read on another grid, gives each pixel's place in it."""
    source = grid(300, 300)
    places = np.mgrid[0:300, 0:300][axis].astype(np.float32)
    path = write(tmp_path / "a.tif", places, source)
    box = source.extent.to_crs(crs).boundingbox
    resolution = 10 if crs != "EPSG:4326" else 10 / 111_000
    target = GeoBox.from_bbox(box, crs=crs, resolution=resolution)[60:200, 60:200]
    rows, cols = np.mgrid[0:140, 0:140] + 0.5
    out = target.transform
    x, y = Transformer.from_crs(crs, UTM, always_xy=True).transform(out.c + cols * out.a, out.f + rows * out.e)
    expected = (ORIGIN[1] - y) / 10 - 0.5 if axis == 0 else (x - ORIGIN[0]) / 10 - 0.5
    read = read_band(str(path), PLAIN, whole(target))
    assert np.isfinite(read).mean() > 0.9
    np.testing.assert_allclose(read[np.isfinite(read)], expected[np.isfinite(read)], atol=2e-3)


def test_reprojection_agrees_with_gdal_on_a_smooth_picture(tmp_path):
    source = grid(120, 120)
    y, x = np.mgrid[0:120, 0:120]
    path = write(tmp_path / "a.tif", (np.sin(x / 30) + np.cos(y / 25)).astype(np.float32), source)
    target = GeoBox.from_bbox(source.extent.to_crs("EPSG:32634").boundingbox, crs="EPSG:32634", resolution=10)
    target = target[40:90, 40:90]
    expected = np.full(target.shape, np.nan, dtype=np.float32)
    with rasterio.open(path) as file:
        band = rasterio.band(file, 1)
        there = {"dst_crs": "EPSG:32634", "dst_transform": target.transform, "dst_nodata": np.nan}
        reproject(band, expected, **there, resampling=Resampling.bilinear, tolerance=0)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(read_band(str(path), PLAIN, whole(target)), expected, atol=5e-3)


@given(
    resolution=st.sampled_from([5.0, 7.5, 10.0, 20.0, 35.0]),
    crs=st.sampled_from([UTM, "EPSG:32634", "EPSG:3035"]),
    split=st.tuples(st.integers(1, 59), st.integers(1, 59)),
    shift=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    holes=st.integers(0, 60),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_pixel_does_not_depend_on_the_rectangle_it_is_read_with(tmp_path, resolution, crs, split, shift, holes):
    rng = np.random.default_rng(holes)
    numbers = rng.random((90, 90), dtype=np.float32)
    numbers.flat[rng.choice(numbers.size, holes * 20, replace=False)] = np.nan
    source = grid(90, 90)
    path = str(write(tmp_path / f"{holes}.tif", numbers, source))
    corner = source.extent.to_crs(crs).boundingbox
    transform = Affine(resolution, 0, corner.left + shift[0] * 3.7, 0, -resolution, corner.top - shift[1] * 2.9)
    target = GeoBox((60, 60), transform, crs)
    at_once = read_band(path, PLAIN, whole(target))
    assert at_once is not None
    (y, x), pieces = split, np.full(target.shape, np.nan, dtype=np.float32)
    for rows in ((0, y), (y, 60)):
        for cols in ((0, x), (x, 60)):
            part = read_band(path, PLAIN, GridWindow(target, rows, cols))
            if part is not None:
                pieces[slice(*rows), slice(*cols)] = part
    np.testing.assert_array_equal(pieces, at_once)


@given(st.integers(0, 2**32 - 1), st.sampled_from([10.0, 5.0, 4.0]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nodata_is_never_mixed_in_and_the_observed_area_is_the_nearest_pixels(tmp_path, seed, resolution):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1000, 2000, (30, 30)).astype(np.uint16)
    numbers[rng.random((30, 30)) < 0.4] = 0
    path = str(write(tmp_path / "a.tif", numbers, grid(30, 30, 20), nodata=0))
    size = int(600 / resolution)
    target = grid(size, size, resolution)
    read = read_band(path, PLAIN, whole(target))
    assert read is not None
    index = (np.arange(size) * resolution + resolution / 2) // 20
    observed = numbers[index.astype(int)][:, index.astype(int)] > 0
    np.testing.assert_array_equal(np.isfinite(read), observed)
    assert not observed.any() or (np.nanmin(read) >= 1000 and np.nanmax(read) < 2000)


def test_averaging_leaves_nodata_out(tmp_path):
    numbers = np.full((8, 8), 100, dtype=np.uint16)
    numbers[:, 1] = 0  # a quarter of the first column of blocks
    numbers[0:4, 4:7] = 0  # three quarters of one block
    path = str(write(tmp_path / "a.tif", numbers, grid(8, 8), nodata=0))
    read = read_band(path, PLAIN, whole(grid(2, 2, 40)))
    np.testing.assert_array_equal(read, [[100, np.nan], [100, 100]])


def test_a_file_whose_last_block_is_cut_short_is_averaged_over_what_is_there(tmp_path):
    numbers = np.arange(36, dtype=np.float32).reshape(6, 6)
    path = str(write(tmp_path / "a.tif", numbers, grid(6, 6)))
    read = read_band(path, PLAIN, whole(grid(2, 2, 40)))
    assert read is not None
    assert read[0, 0] == numbers[:4, :4].mean()
    assert read[0, 1] == numbers[:4, 4:].mean()
    assert np.isnan(read[1, 1])  # a quarter of a block is not half of it


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_block_mean_is_nanmean_where_half_is_observed(fy, fx, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((3 * fy, 5 * fx), dtype=np.float32)
    values[rng.random(values.shape) < 0.4] = np.nan
    blocks = values.reshape(3, fy, 5, fx).swapaxes(1, 2).reshape(3, 5, fy * fx)
    enough = np.isfinite(blocks).sum(axis=-1) * 2 >= fy * fx
    result = block_mean(values, (fy, fx))
    np.testing.assert_array_equal(np.isfinite(result), enough)
    np.testing.assert_allclose(result[enough], np.nanmean(blocks[enough], axis=-1), rtol=1e-5)


@pytest.mark.parametrize("shift", [(1e6, 0), (0, 1e6), (-1e6, -1e6)])
def test_a_rectangle_beyond_the_file_is_missed(shift):
    assert place(grid(10, 10, shift=shift), (0, 10), (0, 10), grid(50, 50)).no_overlap


def test_decibels_are_averaged_as_power(tmp_path):
    decibels = np.array([[-20, -10], [-10, -10]], dtype=np.float32)
    path = str(write(tmp_path / "a.tif", decibels, grid(2, 2)))
    band = BandReadSpec("vv", "", 1, Conversion(quantity="db"))
    read = read_band(path, band, whole(grid(1, 1, 20)))
    np.testing.assert_allclose(read, [[10 * np.log10((0.01 + 0.1 * 3) / 4)]], rtol=1e-6)
    np.testing.assert_array_equal(read_band(path, band, whole(grid(2, 2))), decibels)
