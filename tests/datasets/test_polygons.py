"""Labels drawn in QGIS: read, refused, and put on a grid."""

from __future__ import annotations

from pathlib import Path

import geopandas
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from rasterio.transform import from_origin
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from geoseg.datasets.pair import UNLABELLED
from geoseg.datasets.polygons import Polygons, check_classes, read_polygons
from geoseg.errors import BadLabelsError, BadOptionError, NotTrainableError

UTM = "EPSG:32632"
LEFT, TOP = 500_000.0, 5_300_000.0
GRID = from_origin(LEFT, TOP, 10, 10)


def square(column: float, row: float, side: float = 10) -> Polygon:
    """In pixels of ``GRID``."""
    return box(LEFT + 10 * column, TOP - 10 * (row + side), LEFT + 10 * (column + side), TOP - 10 * row)


def write(path: Path, geometries: list, values: list, *, crs: str | None = UTM, field: str = "class") -> Path:
    geopandas.GeoDataFrame({field: values}, geometry=geometries, crs=crs).to_file(path)
    return path


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
def test_every_kind_of_file_says_the_same(tmp_path, suffix):
    values = ["water", "DRY ", "1", "0"]
    crs = "EPSG:4326" if suffix == "geojson" else UTM
    shapes = geopandas.GeoSeries([square(2, 3), square(20, 3), square(2, 20), square(20, 20)], crs=UTM).to_crs(crs)
    drawn = read_polygons(write(tmp_path / f"labels.{suffix}", list(shapes), values, crs=crs))
    assert drawn.indices == (1, 0, 1, 0)
    mask, contradicted = drawn.to(UTM).rasterise(GRID, (40, 40))
    wanted = np.full((40, 40), UNLABELLED)
    wanted[3:13, 2:12], wanted[3:13, 20:30], wanted[20:30, 2:12], wanted[20:30, 20:30] = 1, 0, 1, 0
    assert (mask == wanted).all() and mask.dtype == np.int16 and contradicted == 0


def test_numbers_and_another_field(tmp_path):
    path = write(tmp_path / "l.gpkg", [square(0, 0), square(20, 0)], [1.0, 0.0], field="what")
    assert read_polygons(path, class_field="what").indices == (1, 0)
    with pytest.raises(BadOptionError, match="no field 'class': it has what"):
        read_polygons(path)


def test_contradicting_polygons_are_unlabelled(tmp_path):
    path = write(tmp_path / "l.gpkg", [square(0, 0), square(5, 0), square(2, 0, 3)], ["water", "dry", "water"])
    mask, contradicted = read_polygons(path).rasterise(GRID, (10, 15))
    assert contradicted == 50
    assert (mask[:, :5] == 1).all() and (mask[:, 5:10] == UNLABELLED).all() and (mask[:, 10:] == 0).all()


def test_only_areas_count(tmp_path):
    shapes = [
        square(0, 0),
        None,
        Point(LEFT, TOP),
        LineString([(LEFT, TOP), (LEFT + 9, TOP)]),
        Polygon(),
        square(20, 0),
    ]
    path = write(tmp_path / "l.gpkg", shapes, ["water", "dry", "nonsense", "dry", "dry", "dry"])
    drawn = read_polygons(path)
    assert drawn.indices == (1, 0)
    assert "2 features without geometry" in drawn.notes[0] and "2 features without area" in drawn.notes[1]


def test_a_bow_tie_becomes_its_two_triangles(tmp_path):
    knot = Polygon([(LEFT, TOP), (LEFT + 200, TOP - 200), (LEFT + 200, TOP), (LEFT, TOP - 200)])
    mask, _ = read_polygons(write(tmp_path / "l.gpkg", [knot], ["water"])).rasterise(GRID, (20, 20))
    assert 160 <= (mask == 1).sum() <= 220 and mask[10, 3] == 1 and mask[3, 10] == UNLABELLED


def test_holes_stay_open(tmp_path):
    ring = square(0, 0, 20).difference(square(5, 5, 10))
    path = write(tmp_path / "l.gpkg", [MultiPolygon([ring])], ["water"])
    mask, _ = read_polygons(path).rasterise(GRID, (20, 20))
    assert (mask[5:15, 5:15] == UNLABELLED).all() and (mask == 1).sum() == 300


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            ["water", "lava"],
            r"feature 2 has 'class' 'lava', which is not a class; allowed are 'dry' or 0",
        ),
        (["mud", "lava"], "feature 1 has 'class' 'mud'.*; feature 2 has 'class' 'lava'"),
        ([None, None], "no polygon has a value in 'class'"),
        ([1, 2], "has 'class' '2', which is not a class"),
        ([1.0, 0.5], "has 'class' '0.5', which is not"),
        ([-1, 1], "feature 1 has 'class' '-1'"),
    ],
)
def test_a_value_that_is_no_class_is_refused(tmp_path, values, said):
    with pytest.raises(BadLabelsError, match=said):
        read_polygons(write(tmp_path / "l.gpkg", [square(0, 0), square(20, 0)], values))


def test_an_empty_class_is_left_out_and_counted_and_the_fields_case_does_not_matter(tmp_path):
    path = write(
        tmp_path / "l.gpkg", [square(0, 0), square(20, 0), square(40, 0)], ["water", None, "dry"], field="Class"
    )
    drawn = read_polygons(path)
    assert drawn.indices == (1, 0)
    assert drawn.notes == (f"{path}: 1 polygon without a value in 'Class' left out.",)


def test_of_several_layers_those_with_the_field_are_read_or_the_one_that_is_named(tmp_path):
    path = tmp_path / "l.gpkg"
    for layer, side, field in (("aoi", 50, "name"), ("first", 5, "class"), ("second", 7, "class")):
        frame = geopandas.GeoDataFrame({field: ["dry"]}, geometry=[square(0, 0, side)], crs=UTM)
        frame.to_file(path, layer=layer)
    both = read_polygons(path)
    assert len(both.indices) == 2
    assert any("first, second" in note and "layername=NAME" in note for note in both.notes)
    assert any("'aoi'" in note for note in both.notes)
    for one in (read_polygons(path, layer="second"), read_polygons(f"{path}|layername=second")):
        assert one.geometries[0].area == 70**2
    with pytest.raises(BadOptionError, match="Name one of them"):
        read_polygons(f"{path}|layername=second", layer="first")
    with pytest.raises(BadOptionError, match="no field 'class': layer 'aoi' has name"):
        read_polygons(path, layer="aoi")


def test_files_that_cannot_be_labels(tmp_path):
    with pytest.raises(BadOptionError, match=r"There is no file .* to use as labels"):
        read_polygons(tmp_path / "none.gpkg")
    (tmp_path / "text.gpkg").write_text("not a database")
    with pytest.raises(BadLabelsError, match="not a vector file"):
        read_polygons(tmp_path / "text.gpkg")
    with pytest.raises(BadLabelsError, match="holds no polygon"):
        read_polygons(write(tmp_path / "points.gpkg", [Point(LEFT, TOP)], ["water"]))
    with pytest.raises(BadLabelsError, match="holds no polygon"):
        read_polygons(write(tmp_path / "empty.gpkg", [], []))


@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_without_a_crs_it_is_refused(tmp_path, suffix):
    with pytest.raises(BadLabelsError, match="has no CRS"):
        read_polygons(write(tmp_path / f"l.{suffix}", [square(0, 0)], ["water"], crs=None))


def test_labels_that_teach_nothing_are_refused():
    check_classes({0: 3, 1: 1}, ("dry", "water"), "x")
    with pytest.raises(NotTrainableError, match=r"x labels only 'water'.*Draw some dry as well"):
        check_classes({1: 9, 0: 0, UNLABELLED: 5}, ("dry", "water"), "x")
    with pytest.raises(NotTrainableError, match="x labels nothing"):
        check_classes({UNLABELLED: 5}, ("dry", "water"), "x")


@given(
    places=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 9), st.integers(0, 2)), max_size=8)
)
def test_a_pixel_has_the_one_class_that_covers_its_middle(places):
    shapes = tuple(square(column, row, side) for column, row, side, _ in places)
    drawn = Polygons(Path("x"), UTM, shapes, tuple(each[3] for each in places), ("a", "b", "c"))
    mask, contradicted = drawn.rasterise(GRID, (30, 30))
    said = [[set() for _ in range(30)] for _ in range(30)]
    for column, row, side, index in places:
        for y in range(row, row + side):
            for x in range(column, column + side):
                said[y][x].add(index)
    wanted = [[each.copy().pop() if len(each) == 1 else UNLABELLED for each in line] for line in said]
    assert (mask == np.array(wanted)).all()
    assert contradicted == sum(len(each) > 1 for line in said for each in line)
