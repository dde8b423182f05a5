"""Reference water from real files: what is water, what is not, and what is unknown."""

from __future__ import annotations

import pickle

import geopandas
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin
from shapely import Point, box

from geoseg.core.grid import output_grid
from geoseg.errors import BadOptionError, RadiometryUnknownError
from geoseg.water.reference import WaterMask, open_reference

GRID = GeoBox.from_bbox((500000, 5000000, 503000, 5002000), "EPSG:32632", resolution=100)  # 20 x 30


def raster(path, values, *, nodata=None, crs="EPSG:32632", transform=None, count=1):
    profile = {
        "driver": "GTiff",
        "height": values.shape[0],
        "width": values.shape[1],
        "dtype": values.dtype,
        "count": count,
    }
    with rasterio.open(path, "w", crs=crs, transform=transform or GRID.affine, nodata=nodata, **profile) as tif:
        for band in range(1, count + 1):
            tif.write(values, band)
    return path


def test_a_mask_on_its_own_grid_is_itself(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (20, 30)).astype(np.uint8)
    found = open_reference(raster(tmp_path / "mask.tif", values)).on(GRID)
    assert (found.water == values).all()
    assert found.known.all()
    assert found.unknown_px == 0


def test_occurrence_is_water_from_half_the_time_on_and_255_is_unknown(tmp_path):
    values = np.tile(np.array([0, 49, 50, 100, 255], np.uint8), (20, 6))
    for nodata in (255, None):
        found = open_reference(raster(tmp_path / f"jrc{nodata}.tif", values, nodata=nodata), "occurrence").on(GRID)
        assert (found.water == np.isin(values, (50, 100))).all()
        assert (found.known == (values != 255)).all()


def test_beyond_the_file_is_unknown_not_dry(tmp_path):
    values = np.ones((20, 15), np.uint8)
    values[:, 3] = 0
    found = open_reference(raster(tmp_path / "half.tif", values)).on(GRID)
    assert found.known[:, :15].all()
    assert not found.known[:, 15:].any()
    assert not found.water[:, 15:].any()
    assert found.unknown_px == 300


def test_windows_agree_with_the_whole(tmp_path):
    values = np.random.default_rng(1).integers(0, 101, (50, 80)).astype(np.uint8)
    transform = from_origin(8.99, 45.17, 0.0007, 0.0007)
    reference = open_reference(raster(tmp_path / "jrc.tif", values, crs="EPSG:4326", transform=transform), "occurrence")
    grid = output_grid((9.0, 45.14, 9.03, 45.16), 10)
    whole = reference.on(grid)
    rows = [reference.on(grid[y : min(y + 64, grid.shape[0]), :]) for y in range(0, grid.shape[0], 64)]
    cut = np.concatenate([row.water for row in rows])
    # PROJ's approximate transformer may place a rare pixel on a cell's rim either way
    assert (cut == whole.water).mean() > 0.999
    assert whole.known.mean() > 0.99


def test_geographic_pixels_land_where_they_are(tmp_path):
    values = np.zeros((40, 40), np.uint8)
    values[10:20, 5:15] = 100
    transform = from_origin(9.0, 45.2, 0.001, 0.001)
    found = open_reference(raster(tmp_path / "jrc.tif", values, crs="EPSG:4326", transform=transform), "occurrence")
    grid = output_grid((9.0, 45.161, 9.039, 45.199), 10)
    y, x = np.argwhere(found.on(grid).water).T + 0.5
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(
        grid.affine.a * x + grid.affine.c, grid.affine.e * y + grid.affine.f
    )
    assert (lon.min(), lon.max()) == pytest.approx((9.005, 9.015), abs=2e-4)
    assert (lat.min(), lat.max()) == pytest.approx((45.18, 45.19), abs=2e-4)


WHOLE = {
    "land cover": (10, 20, 50, 80, 90, 100),
    "height above drainage": (0, 1, 2, 5, 14, 37),
    "seasonality": (0, 3, 12),
    "three classes": (0, 1, 2),
    "occurrence that does not say so": (0, 25, 50, 99, 100),
    "negative": (-5, 40),
    "over 100": (0, 150),
}


@pytest.mark.parametrize("values", WHOLE.values(), ids=WHOLE.keys())
def test_a_range_alone_is_not_believed(tmp_path, values):
    """Whatever lies within 0..100 may be classes, metres or months: only a declaration or the option decides."""
    path = raster(tmp_path / "what.tif", np.resize(np.array(values, np.int16), (20, 30)))
    with pytest.raises(RadiometryUnknownError, match="--reference-kind occurrence"):
        open_reference(path)
    with pytest.raises(RadiometryUnknownError, match="expected 0 and 1"):
        open_reference(path, "mask")
    if min(values) < 0 or max(values) > 100:
        with pytest.raises(RadiometryUnknownError, match=r"0\.\.100"):
            open_reference(path, "occurrence")
    else:
        assert open_reference(path, "occurrence").on(GRID).known.all()


@given(st.lists(st.integers(0, 100), min_size=1, max_size=8, unique=True).filter(lambda held: set(held) - {0, 1}))
@settings(max_examples=25, deadline=None)
def test_no_set_of_whole_numbers_is_guessed_to_be_occurrence(tmp_path_factory, values):
    path = raster(tmp_path_factory.mktemp("whole") / "what.tif", np.resize(np.array(values, np.uint8), (20, 30)))
    with pytest.raises(RadiometryUnknownError):
        open_reference(path)


@pytest.mark.parametrize(
    ("description", "unit", "believed"),
    [
        ("Water occurrence 1984-2021", "", True),
        ("occurrence", "%", True),
        ("", "percent", True),
        ("surface water frequency", "%", True),
        ("tree cover", "%", False),
        ("probability of class 1", "%", False),
        ("height above nearest drainage", "m", False),
        ("", "", False),
    ],
)
def test_occurrence_is_believed_where_the_file_declares_it(tmp_path, description, unit, believed):
    path = raster(tmp_path / "w.tif", np.resize(np.array([0, 49, 50, 100], np.uint8), (20, 30)))
    with rasterio.open(path, "r+") as file:
        file.descriptions, file.units = (description or None,), (unit or None,)
    if not believed:
        with pytest.raises(RadiometryUnknownError, match="--reference-kind"):
            open_reference(path)
        return
    found = open_reference(path)
    assert found.on(GRID).water.mean() == pytest.approx(0.5, abs=0.02)
    (note,) = found.notes
    assert "w.tif: read as water occurrence" in note
    assert "50 % or more" in note


def test_a_mask_that_calls_itself_occurrence_is_asked_about(tmp_path):
    path = raster(tmp_path / "w.tif", np.resize(np.array([0, 1], np.uint8), (20, 30)))
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("water occurrence",)
    with pytest.raises(RadiometryUnknownError, match=r"--reference-kind mask or --reference-kind occurrence"):
        open_reference(path)
    assert open_reference(path, "mask").on(GRID).water.any()
    assert not open_reference(path, "occurrence").on(GRID).water.any()


def test_shares_of_one_are_no_per_cent(tmp_path):
    path = raster(tmp_path / "w.tif", np.resize(np.array([0, 0.3, 1], np.float32), (20, 30)))
    with pytest.raises(RadiometryUnknownError, match="Multiply them by 100"):
        open_reference(path, "occurrence")


def test_a_mask_of_0_and_255_is_refused(tmp_path):
    path = raster(tmp_path / "w.tif", np.resize(np.array([0, 255], np.uint8), (20, 30)))
    with pytest.raises(RadiometryUnknownError, match="0 and 255"):
        open_reference(path)


def test_polygons_are_of_no_kind(tmp_path):
    path = tmp_path / "lakes.gpkg"
    geopandas.GeoDataFrame(geometry=[box(9, 45, 10, 46)], crs=4326).to_file(path)
    with pytest.raises(BadOptionError, match="applies to rasters"):
        open_reference(path, "mask")


def test_a_value_that_a_thinned_look_missed_is_refused_when_met(tmp_path):
    values = np.zeros((9000, 30), np.uint8)
    values[[101, 4002, 8003], 7] = 80  # three pixels of 270,000, of which the look takes one in twenty
    reference = open_reference(raster(tmp_path / "rare.tif", values))
    assert reference.holds == "mask"
    with pytest.raises(RadiometryUnknownError, match="80"):
        reference.on(GeoBox(values.shape, GRID.affine, "EPSG:32632"))


@given(arrays(np.float32, (5, 6), elements=st.floats(-20, 120, width=32) | st.just(float("nan")) | st.just(77.0)))
def test_unknown_is_never_water(values):
    found = WaterMask.from_occurrence(values, 77.0)
    assert not (found.water & ~found.known).any()
    assert not found.known[np.isnan(values) | (values == 77)].any()
    assert (found.water == ((values >= 50) & (values <= 100) & (values != 77))).all()


@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "shp"])
def test_polygons_in_another_crs(tmp_path, suffix):
    lake = box(500500, 5000500, 501500, 5001500)
    far = box(502500, 5001500, 502900, 5001900)
    path = tmp_path / f"lakes.{suffix}"
    geopandas.GeoDataFrame(geometry=[lake, far], crs="EPSG:32632").to_crs(4326).to_file(path)
    found = open_reference(path).on(GRID)
    truth = np.zeros((20, 30), bool)
    truth[5:15, 5:15] = True
    truth[1:5, 25:29] = True
    assert (found.water == truth).all()
    inner = np.zeros((20, 30), bool)
    inner[2:14, 6:28] = True
    assert found.known[inner].all()
    assert not found.known[-3:].any(), "below the last polygon nobody has looked"


def test_a_world_of_polygons_and_a_map_without_any(tmp_path):
    path = tmp_path / "world.gpkg"
    geopandas.GeoDataFrame(geometry=[box(-180, -80, 0, 80), box(100, -80, 180, 80)], crs=4326).to_file(path)
    found = open_reference(path).on(GRID)
    assert found.known.all()
    assert not found.water.any()


def test_polygons_elsewhere_say_nothing_here(tmp_path):
    path = tmp_path / "elsewhere.gpkg"
    geopandas.GeoDataFrame(geometry=[box(100, 10, 101, 11)], crs=4326).to_file(path)
    found = open_reference(path).on(GRID)
    assert not found.known.any()
    assert not found.water.any()


@pytest.mark.parametrize("kind", ["missing", "text", "no crs", "no polygon", "bands", "raster without crs"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_files_that_are_no_reference_are_refused(tmp_path, kind):
    path = tmp_path / "water.geojson"
    if kind == "text":
        path.write_text("not a map")
    elif kind == "no crs":
        path = tmp_path / "water.shp"
        geopandas.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326).to_file(path)
        path.with_suffix(".prj").unlink()
    elif kind == "no polygon":
        geopandas.GeoDataFrame(geometry=[Point(0, 0)], crs=4326).to_file(path)
    elif kind == "bands":
        path = raster(tmp_path / "rgb.tif", np.ones((2, 2), np.uint8), count=3)
    elif kind == "raster without crs":
        path = raster(tmp_path / "plain.tif", np.ones((2, 2), np.uint8), crs=None)
    with pytest.raises(BadOptionError, match=path.name):
        open_reference(path)


def test_a_reference_travels_to_a_worker(tmp_path):
    values = np.eye(20, 30, dtype=np.uint8)
    reference = pickle.loads(pickle.dumps(open_reference(raster(tmp_path / "mask.tif", values))))
    assert (reference.on(GRID).water == values).all()


def test_real_land_cover_is_refused_because_its_classes_are_not_water(data):
    path = sorted((data / "terramind" / "LULC").rglob("*.tif"))[0]
    with pytest.raises((RadiometryUnknownError, BadOptionError), match=path.name):
        open_reference(path)
