"""The output grid covers the area, on whole multiples of the resolution."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.core.grid import output_grid, utm_crs
from geoseg.errors import AreaTooLargeError, BadOptionError


@st.composite
def boxes(draw):
    west = draw(st.floats(-179, 178))
    south = draw(st.floats(-85, 84.5))
    return west, south, west + draw(st.floats(0.01, 0.9)), south + draw(st.floats(0.01, 0.45))


@settings(deadline=None, max_examples=60)
@given(boxes(), st.sampled_from([3.0, 10.0, 30.0, 12.5]), st.data())
def test_every_point_of_the_box_is_on_the_grid(bbox, resolution, data):
    grid = output_grid(bbox, resolution, limit_megapixels=None)
    west, south, east, north = bbox
    lon, lat = data.draw(st.floats(west, east)), data.draw(st.floats(south, north))
    x, y = Transformer.from_crs(4326, str(grid.crs), always_xy=True).transform(lon, lat)
    left, bottom, right, top = grid.extent.boundingbox
    assert left - 0.5 <= x <= right + 0.5
    assert bottom - 0.5 <= y <= top + 0.5


@pytest.mark.parametrize("bbox", [(6.2, 62.0, 11.8, 64.0), (6.2, -64.0, 11.8, -62.0), (-40.0, 84.6, 0.0, 85.0)])
def test_the_bulge_of_a_long_edge_is_on_the_grid(bbox):
    """A parallel is a curve in UTM: 60 km further at the middle of a wide box than at its corners."""
    grid = output_grid(bbox, 100.0, limit_megapixels=None)
    west, south, east, north = bbox
    edges = [(west + (east - west) * n / 500, lat) for n in range(501) for lat in (south, north)]
    lon, lat = zip(*edges, strict=True)
    x, y = Transformer.from_crs(4326, str(grid.crs), always_xy=True).transform(lon, lat)
    left, bottom, right, top = grid.extent.boundingbox
    assert left - 50 <= min(x) <= max(x) <= right + 50
    assert bottom - 50 <= min(y) <= max(y) <= top + 50


@settings(deadline=None, max_examples=60)
@given(boxes(), st.sampled_from([3.0, 10.0, 30.0]))
def test_edges_lie_on_whole_multiples(bbox, resolution):
    grid = output_grid(bbox, resolution, limit_megapixels=None)
    assert grid.affine.c / resolution == round(grid.affine.c / resolution)
    assert grid.affine.f / resolution == round(grid.affine.f / resolution)
    assert grid.affine.a == -grid.affine.e == resolution


@pytest.mark.parametrize(
    ("bbox", "crs"),
    [
        ((9, 48, 10, 49), "EPSG:32632"),
        ((-71, -33, -70, -32), "EPSG:32719"),
        ((179, 10, 180, 11), "EPSG:32660"),
        ((-180, 10, -179, 11), "EPSG:32601"),
        ((10, 86, 11, 87), "EPSG:3413"),
        ((10, -86, 11, -85), "EPSG:3031"),
    ],
)
def test_the_zone_is_the_one_of_the_middle(bbox, crs):
    assert utm_crs(bbox) == crs


def test_an_area_over_the_limit_wants_a_yes():
    with pytest.raises(AreaTooLargeError, match="--yes"):
        output_grid((0, 45, 20, 60), 10)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2263", "mars"])
def test_a_crs_that_is_not_in_metres_is_refused(crs):
    with pytest.raises(BadOptionError, match="crs"):
        output_grid((-74.1, 40.5, -74.0, 40.6), 10, crs)
