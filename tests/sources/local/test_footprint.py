"""A footprint holds every pixel of its raster, in any CRS, at any size, turned any way."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS
from shapely.geometry import shape as geometry_of

from geoseg.errors import NotIngestibleError
from geoseg.sources.local.footprint import footprint

PLACES = {
    "EPSG:4326": (-100.0, 40.0, 1e-4),
    "EPSG:32632": (500_000.0, 5_400_000.0, 10.0),
    "EPSG:32733": (300_000.0, 7_000_000.0, 10.0),
    "EPSG:3857": (-13_000_000.0, 3_900_000.0, 5.0),
    "EPSG:3035": (4_000_000.0, 3_000_000.0, 30.0),
    "EPSG:3413": (-200_000.0, -1_500_000.0, 40.0),
    "EPSG:6933": (1_000_000.0, 2_000_000.0, 500.0),
    "EPSG:32601": (300_000.0, 6_000_000.0, 100.0),  # reaches across the antimeridian
}


@st.composite
def rasters(draw):
    code = draw(st.sampled_from(sorted(PLACES)))
    x, y, size = PLACES[code]
    rows, columns = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    turn = draw(st.sampled_from([0.0, 0.0, 12.5, 180.0]))
    stretch = draw(st.sampled_from([1.0, 1.0, 0.5]))
    transform = Affine.translation(x, y) * Affine.rotation(turn) * Affine.scale(size, -size * stretch)
    return CRS.from_string(code), transform, (rows, columns)


def corners_and_middles(transform, shape, step=37):
    """Middles of the pixels along the rim, and of some inside."""
    rows, columns = shape
    row = np.unique(np.r_[0 : rows : max(1, rows // step), rows - 1]) + 0.5
    column = np.unique(np.r_[0 : columns : max(1, columns // step), columns - 1]) + 0.5
    r, c = (grid.ravel() for grid in np.meshgrid(row, column))
    return transform.a * c + transform.b * r + transform.c, transform.d * c + transform.e * r + transform.f


@settings(deadline=None, max_examples=150)
@given(rasters())
def test_every_pixel_lies_in_the_footprint(raster):
    crs, transform, shape = raster
    place = footprint(crs, transform, shape)
    lon, lat = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True).transform(
        *corners_and_middles(transform, shape)
    )
    lon = (np.asarray(lon) + 180) % 360 - 180
    outline = geometry_of(place.geometry)
    assert outline.is_valid
    assert shapely.covers(outline, shapely.points(lon, lat)).all()
    west, south, east, north = place.bbox
    assert ((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(50, 3000), st.integers(50, 3000), st.sampled_from([("EPSG:32632", 10), ("EPSG:3035", 300)]))
def test_a_footprint_is_hardly_larger_than_its_raster(rows, columns, grid):
    """Less than a pixel all round, also where the edges are strongly bent: projected back from a dense outline."""
    code, pixel = grid
    x, y, _ = PLACES[code]
    place = geometry_of(footprint(CRS.from_string(code), Affine(pixel, 0, x, 0, -pixel, y), (rows, columns)).geometry)
    back = Transformer.from_crs("EPSG:4326", code, always_xy=True)
    dense = shapely.segmentize(place, 0.01)
    metres = shapely.transform(dense, lambda xy: np.stack(back.transform(*xy.T), axis=1))
    assert rows * columns * pixel**2 <= metres.area * (1 + 1e-9)
    assert metres.area <= (rows + 2) * (columns + 2) * pixel**2


def test_degrees_need_four_corners():
    place = footprint(CRS.from_epsg(4326), Affine(0.1, 0, 5, 0, -0.1, 50), (10, 20))
    assert place.bbox == (5.0, 49.0, 7.0, 50.0)
    assert len(place.geometry["coordinates"][0]) == 5


def test_the_antimeridian_cuts_a_footprint_in_two():
    place = footprint(CRS.from_epsg(4326), Affine(0.1, 0, 179, 0, -0.1, 10), (10, 20))
    parts = geometry_of(place.geometry)
    assert parts.geom_type == "MultiPolygon"
    assert sorted(part.bounds for part in parts.geoms) == [(-180, 9, -179, 10), (179, 9, 180, 10)]
    assert place.bbox[0] == -180 and place.bbox[2] == 180


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_the_whole_world_is_the_whole_world(west):
    place = footprint(CRS.from_epsg(4326), Affine(1, 0, west, 0, -1, 90), (180, 360))
    assert place.bbox == (-180, -90, 180, 90)
    assert geometry_of(place.geometry).area == pytest.approx(360 * 180)


@pytest.mark.parametrize(("code", "pole"), [(3413, 90.0), (3031, -90.0)])
def test_around_a_pole_the_footprint_is_a_cap(code, pole):
    place = footprint(CRS.from_epsg(code), Affine(1000, 0, -500_000, 0, -1000, 300_000), (700, 900))
    assert geometry_of(place.geometry).covers(shapely.Point(123.0, pole))
    assert place.bbox[0] == -180 and place.bbox[2] == 180
    assert 1 < abs(pole - (place.bbox[1] if pole > 0 else place.bbox[3])) < 10


def test_a_grid_beyond_the_earth_is_refused():
    with pytest.raises(NotIngestibleError, match="outside what its CRS can place"):
        footprint(CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 150), (10, 10))
