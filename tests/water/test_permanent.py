"""Reference water and water seen before, united: known where either is, water where either says so."""

from __future__ import annotations

from itertools import product

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds
from shapely import Point, box

from geoseg.core.grid import output_grid
from geoseg.core.request import Request
from geoseg.errors import BadOptionError
from geoseg.inference.layers import ByteLayer
from geoseg.water.permanent import PermanentWater, permanent_water, pre_event_water, union
from geoseg.water.reference import WaterMask

DRY, WATER, UNKNOWN = "dry", "water", "unknown"
PAIRS = list(product((DRY, WATER, UNKNOWN), repeat=2))
WINDOW = (slice(0, 1), slice(0, len(PAIRS)))


def test_the_layers_of_a_reference_file_are_told(tmp_path):
    path = tmp_path / "two.gpkg"
    for layer, left in (("lakes", 8.40), ("rivers", 8.45)):
        shapes = [box(left, 11.95, left + 0.02, 11.97), Point(left, 11.95)]
        geopandas.GeoSeries(shapes, crs=4326).to_file(path, layer=layer)
    request = Request.of(bbox="8.40,11.95,8.50,12.00", date="2018-09-21", sensor="s1", reference_water=str(path))
    reference = permanent_water(request, output_grid(request.area.bbox, 100, None, limit_megapixels=None))
    assert "all 2 layers with polygons are used (lakes, rivers)" in reference.notes[0]
    assert len([note for note in reference.notes if "1 feature without area" in note]) == 2
    one = request.with_(reference_water=f"{path}|layername=rivers")
    (note,) = permanent_water(one, None).notes
    assert "1 feature without area" in note


AREA = "8.40,11.95,8.50,12.00"
BEYOND = {
    "another continent": (77.0, 28.0, 77.2, 28.2, "7,"),
    "the next valley": (8.51, 11.95, 8.60, 12.00, "1 km"),
    "north of it": (8.40, 12.10, 8.50, 12.20, "11 km"),
}


@pytest.mark.parametrize("kind", ["polygons", "raster"])
@pytest.mark.parametrize("crs", [4326, 32632])
@pytest.mark.parametrize(("west", "south", "east", "north", "km"), BEYOND.values(), ids=BEYOND.keys())
def test_a_file_that_does_not_reach_the_area_is_refused(tmp_path, kind, crs, west, south, east, north, km):
    if crs == 32632 and west > 70:
        crs = 32643
    path = reference_file(tmp_path, kind, (west, south, east, north), crs)
    request = Request.of(bbox=AREA, date="2018-09-21", sensor="s1", reference_water=str(path))
    with pytest.raises(BadOptionError, match=rf"covers 0 % of the area: it lies {km}"):
        permanent_water(request, output_grid(request.area.bbox, 100))


@pytest.mark.parametrize("kind", ["polygons", "raster"])
def test_a_file_that_reaches_a_corner_is_used(tmp_path, kind):
    path = reference_file(tmp_path, kind, (8.49, 11.99, 8.7, 12.2), 4326)
    request = Request.of(bbox=AREA, date="2018-09-21", sensor="s1", reference_water=str(path))
    grid = output_grid(request.area.bbox, 100)
    found = permanent_water(request, grid).read((slice(0, grid.shape[0]), slice(0, grid.shape[1])))
    assert 0 < found.known.mean() < 0.2


def test_a_file_across_the_antimeridian_reaches_both_sides(tmp_path):
    path = tmp_path / "fiji.gpkg"
    geopandas.GeoSeries([box(179.5, -17.5, 180.5, -16.5)], crs=4326).to_file(path)
    for area in ("179.6,-17.2,179.8,-17.0", "-179.8,-17.2,-179.6,-17.0"):
        request = Request.of(bbox=area, date="2018-09-21", sensor="s1", reference_water=str(path))
        assert permanent_water(request, output_grid(request.area.bbox, 100)) is not None


def test_the_kind_of_a_collection_is_in_its_record():
    request = Request.of(
        bbox=AREA, date="2018-09-21", sensor="s1", reference_water="demo/reference-water", reference_kind="mask"
    )
    with pytest.raises(BadOptionError, match="is a collection"):
        permanent_water(request, output_grid(request.area.bbox, 100))


def reference_file(folder, kind, bounds, crs):
    west, south, east, north = bounds
    if kind == "polygons":
        path = folder / "water.gpkg"
        geopandas.GeoSeries([box(*bounds)], crs=4326).to_crs(crs).to_file(path)
        return path
    path = folder / "water.tif"
    west, south, east, north = geopandas.GeoSeries([box(*bounds)], crs=4326).to_crs(crs).total_bounds
    profile = {"driver": "GTiff", "height": 40, "width": 40, "count": 1, "dtype": "uint8", "crs": crs}
    with rasterio.open(path, "w", transform=from_bounds(west, south, east, north, 40, 40), **profile) as file:
        file.write(np.ones((1, 40, 40), np.uint8))
    return path


def saying(words) -> PermanentWater:
    mask = WaterMask(np.array([[word == WATER for word in words]]), np.array([[word != UNKNOWN for word in words]]))
    return PermanentWater(lambda window: WaterMask(mask.water[window], mask.known[window]))


def test_a_pixel_is_unknown_only_where_both_are_and_water_where_either_is():
    one, other = zip(*PAIRS, strict=True)
    both = union(saying(one), saying(other)).read(WINDOW)
    said = [
        WATER if water else DRY if known else UNKNOWN for water, known in zip(both.water[0], both.known[0], strict=True)
    ]
    expected = {frozenset(pair): WATER if WATER in pair else DRY if DRY in pair else UNKNOWN for pair in PAIRS}
    assert dict(zip(PAIRS, said, strict=True)) == {pair: expected[frozenset(pair)] for pair in PAIRS}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_one_alone_is_as_it_is(missing):
    given = [None if missing in (n, 2) else saying([WATER]) for n in (0, 1)]
    assert union(*given) is next((each for each in given if each), None)


def test_water_before_is_from_the_threshold_on_and_unknown_where_nothing_was_observed(tmp_path):
    layer = ByteLayer.create(tmp_path / "probability.raw", (1, 5))
    layer.write(0, np.array([[0, 49, 50, 100, 255]], np.uint8))
    before = pre_event_water(layer, 50).read((slice(0, 1), slice(0, 5)))
    assert before.water.tolist() == [[False, False, True, True, False]]
    assert before.known.tolist() == [[True, True, True, True, False]]
