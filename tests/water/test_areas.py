"""Areas against the ellipsoid and an equal-area projection; counts against numpy, however the mask is cut."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from pyproj import Geod, Transformer
from shapely import Polygon, box, get_coordinates, segmentize, transform

from geoseg.catalog.target import WATER
from geoseg.core.grid import output_grid
from geoseg.water.areas import CODES, AreaCounter, aoi_mask, cells_km2
from geoseg.water.codes import Legend

PLACES = {
    "middle of a UTM zone": ((8.9, 45.0, 9.1, 45.15), None),
    "rim of a UTM zone": ((5.9, 60.0, 6.1, 60.1), "EPSG:32632"),
    "beyond the rim": ((3.0, 10.0, 3.3, 10.2), "EPSG:32632"),
    "equator, south": ((30.0, -0.3, 30.3, -0.1), None),
    "polar": ((-40.0, 85.0, -38.0, 85.2), None),
    "web mercator at 60 north": ((10.0, 60.0, 10.2, 60.1), "EPSG:3857"),
}


def outline(grid):
    """The grid's frame, densified, in degrees."""
    ring = segmentize(box(*grid.boundingbox), 500)
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    return transform(ring, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1])))


def block_of(grid, codes, **more):
    tally = AreaCounter(grid)
    tally.add((slice(0, codes.shape[0]), slice(0, codes.shape[1])), codes, **more)
    return tally.total()


@pytest.mark.parametrize("place", PLACES)
def test_a_whole_grid_has_the_area_of_its_outline_on_the_ellipsoid(place):
    bbox, crs = PLACES[place]
    grid = output_grid(bbox, 30, crs)
    shares = block_of(grid, np.zeros(grid.shape, np.uint8))
    geodesic = abs(Geod(ellps="WGS84").geometry_area_perimeter(outline(grid))[0]) / 1e6
    assert shares.total_km2 == pytest.approx(geodesic, rel=5e-5)
    if place != "polar":  # EPSG:6933 ends at 86.01 degrees and is very flat there
        to_equal = Transformer.from_crs(4326, 6933, always_xy=True)
        equal = transform(outline(grid), lambda xy: np.column_stack(to_equal.transform(xy[:, 0], xy[:, 1]))).area / 1e6
        assert shares.total_km2 == pytest.approx(equal, rel=1e-4)


def test_the_nominal_square_would_be_wrong():
    grid = output_grid(*PLACES["web mercator at 60 north"][:1], 30, "EPSG:3857")
    nominal = grid.shape[0] * grid.shape[1] * 9e-4
    assert nominal / block_of(grid, np.zeros(grid.shape, np.uint8)).total_km2 == pytest.approx(4, rel=0.05)


def test_a_polygon_has_its_area():
    grid = output_grid((5.9, 59.95, 6.3, 60.15), 10, "EPSG:32632")
    polygon = Polygon([(5.95, 59.98), (6.25, 60.0), (6.2, 60.12), (6.0, 60.1)])
    text = json.dumps(polygon.__geo_interface__)
    rows, columns = grid.shape
    window = (slice(0, rows), slice(0, columns))
    shares = block_of(grid, np.ones(grid.shape, np.uint8), inside=aoi_mask(text, grid, window))
    lonlat = get_coordinates(segmentize(polygon, 0.001))
    geodesic = abs(Geod(ellps="WGS84").polygon_area_perimeter(*lonlat.T)[0]) / 1e6
    assert shares.km2[1] == pytest.approx(geodesic, rel=2e-4)
    assert shares.pct(1) == pytest.approx(100)
    assert shares.pixels[0] == 0


def test_an_aoi_is_the_same_pixel_by_pixel_however_it_is_windowed():
    grid = output_grid((8.9, 45.0, 9.0, 45.05), 30)
    polygon = Polygon([(8.91, 45.01), (8.99, 45.0), (8.97, 45.05)], [[(8.94, 45.02), (8.95, 45.02), (8.95, 45.03)]])
    text = json.dumps(polygon.__geo_interface__)
    rows, columns = grid.shape
    whole = aoi_mask(text, grid, (slice(0, rows), slice(0, columns)))
    cut = np.block(
        [
            [
                aoi_mask(text, grid, (slice(y, min(y + 50, rows)), slice(x, min(x + 64, columns))))
                for x in range(0, columns, 64)
            ]
            for y in range(0, rows, 50)
        ]
    )
    assert (cut == whole).all()
    projected = Geometry(json.loads(text), 4326).segmented(0.001).to_crs(grid.crs).geom
    y, x = np.argwhere(whole).T + 0.5
    from shapely import contains_xy

    inside = contains_xy(projected, grid.affine.a * x + grid.affine.c, grid.affine.e * y + grid.affine.f)
    assert inside.mean() > 0.999
    assert whole.sum() * 9e-4 == pytest.approx(projected.area / 1e6, rel=5e-3)


def test_a_long_edge_of_an_aoi_is_straight_in_degrees_not_on_the_grid():
    """Five degrees along a parallel bulge by kilometres in UTM: GeoJSON (RFC 7946) draws the line in degrees."""
    from shapely import contains_xy

    corners = [(6.5, 60.2), (11.5, 60.2), (11.5, 60.5), (6.5, 60.5)]
    grid = output_grid((6.5, 60.1, 11.5, 60.6), 100)
    window = (slice(0, grid.shape[0]), slice(0, grid.shape[1]))
    inside = aoi_mask(json.dumps(Polygon(corners).__geo_interface__), grid, window)
    rows, columns = np.meshgrid(np.arange(grid.shape[0]) + 0.5, np.arange(grid.shape[1]) + 0.5, indexing="ij")
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    lon, lat = to_degrees.transform(grid.affine.a * columns + grid.affine.c, grid.affine.e * rows + grid.affine.f)
    expected = contains_xy(Polygon(corners), lon, lat)
    assert expected.mean() > 0.3
    assert (inside != expected).mean() < 1e-4


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(4, 40),
    st.integers(4, 40),
    st.integers(0, 99),
    st.sampled_from([7.0, 90.0, 1500.0]),
)
def test_counts_and_areas_do_not_depend_on_the_cut(rows, columns, high, wide, seed, resolution):
    grid = GeoBox.from_bbox((0, 0, 1, 1), "EPSG:32632", shape=(1, 1))
    grid = GeoBox((rows, columns), type(grid.affine)(resolution, 0, 3e5, 0, -resolution, 5e6), "EPSG:32632")
    random = np.random.default_rng(seed)
    codes = random.choice(np.array(CODES, np.uint8), (rows, columns))
    inside = random.random((rows, columns)) > 0.3
    permanent = random.random((rows, columns)) > 0.5
    pieces = [
        (slice(y, min(y + high, rows)), slice(x, min(x + wide, columns)))
        for y in range(0, rows, high)
        for x in range(0, columns, wide)
    ]
    tally = AreaCounter(grid)
    for index in random.permutation(len(pieces)):
        piece = pieces[index]
        tally.add(piece, codes[piece], inside[piece], permanent[piece])
    total = tally.total()
    assert total == block_of(grid, codes, inside=inside, permanent=permanent)
    assert total.pixels == {code: int(((codes == code) & inside).sum()) for code in CODES}
    truth = cells_km2(grid, np.arange(rows + 1), np.arange(columns + 1))
    for code in CODES:
        assert total.km2[code] == pytest.approx(truth[(codes == code) & inside].sum(), rel=2e-5)
    watched = inside & permanent & (codes != 255)
    assert total.reference_px == (watched.sum(), (watched & (codes == 2)).sum())


def test_an_empty_area_of_interest_has_no_shares():
    grid = output_grid((8.9, 45.0, 8.91, 45.01), 30)
    shares = block_of(grid, np.zeros(grid.shape, np.uint8), inside=np.zeros(grid.shape, bool))
    assert (shares.total_px, shares.pct(0), shares.reference_seen_pct) == (0, 0.0, None)


def test_a_record_uses_the_legends_words():
    grid = output_grid((8.9, 45.0, 8.91, 45.01), 30)
    codes = np.zeros(grid.shape, np.uint8)
    codes[: codes.shape[0] // 2] = 1
    record = block_of(grid, codes).record(Legend.of(WATER, has_reference=False))
    assert set(record["pct"]) == {"water", "dry", "not_observed"}
    assert sum(record["pct"].values()) == pytest.approx(100)
    assert record["pixels"]["water"] == (codes == 1).sum()
    assert json.loads(json.dumps(record)) == record
