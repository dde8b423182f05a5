"""An area is a box or the polygons of a file; whatever is not one place on Earth is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box, shape

from geoseg.core.area import Area
from geoseg.errors import BadAreaError, BadOptionError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3", "has 3"),
        ("a,b,c,d", "four numbers"),
        ("", "has 0"),
        ("48.1,101.5,48.3,101.7", "swapped"),
        ("10,95,11,96", "swapped"),
        ("170,10,-170,11", "antimeridian"),
        ("10,48,9,49", "beyond east"),
        ("9,49,10,48", "beyond north"),
        ("9,48,9,49", "no extent"),
        ("9,48,10,48", "no extent"),
        ("190,48,191,49", "outside the world"),
        ("nan,48,10,49", "not finite"),
        ("9,48,inf,49", "not finite"),
    ],
)
def test_a_box_that_is_no_area_is_refused(text, says):
    with pytest.raises(BadAreaError, match=says):
        Area.from_bbox(text)


@given(st.tuples(*[st.one_of(st.floats(-200, 200), st.just(float("nan"))) for _ in range(4)]))
def test_any_four_numbers_are_an_area_or_a_plain_refusal(numbers):
    try:
        area = Area.from_bbox(numbers)
    except BadAreaError as error:
        assert "\n" not in str(error)
        return
    west, south, east, north = area.bbox
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90


def test_an_aoi_file_in_any_crs_is_its_polygons_in_degrees(tmp_path):
    frame = geopandas.GeoDataFrame(geometry=[box(500_000, 5_300_000, 501_000, 5_301_000), Point(0, 0)], crs=32632)
    for name in ("aoi.gpkg", "aoi.geojson"):
        path = tmp_path / name
        (frame.to_crs(4326) if name.endswith("json") else frame).to_file(path)
        west, south, east, north = Area.from_file(path).bbox
        assert 8.99 < west < 9.0 + 1e-6 < east < 9.02
        assert 47.8 < south < north < 47.9


def test_an_aoi_file_that_is_none_is_refused(tmp_path):
    lines = tmp_path / "lines.gpkg"
    geopandas.GeoDataFrame(geometry=[LineString([(0, 0), (1, 1)])], crs=4326).to_file(lines)
    placeless = tmp_path / "placeless.shp"
    geopandas.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326).to_file(placeless)
    placeless.with_suffix(".prj").unlink()
    text = tmp_path / "text.geojson"
    text.write_text("no map")
    for path, says in (
        (lines, "no polygon"),
        (placeless, "no CRS"),
        (text, "not a vector"),
        (tmp_path / "no", "There is no file"),
    ):
        with pytest.raises(BadAreaError, match=says):
            Area.from_file(path)


# -- files ------------------------------------------------------------------------------------------------------------


def geojson(path: Path, *geometries: dict) -> Path:
    features = [{"type": "Feature", "properties": {}, "geometry": each} for each in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def ring(*corners: tuple[float, float]) -> dict:
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in corners]]}


def west_east(west: float, east: float, south: float = -16.813, north: float = -16.787) -> list:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def test_all_layers_are_united_with_a_note_and_one_can_be_named(tmp_path):
    path = tmp_path / "two.gpkg"
    geopandas.GeoDataFrame(geometry=[box(8, 47, 8.1, 47.1)], crs=4326).to_file(path, layer="a")
    geopandas.GeoDataFrame(geometry=[box(9, 47, 9.1, 47.1)], crs=4326).to_crs(32632).to_file(path, layer="B two")
    geopandas.GeoDataFrame(geometry=[Point(0, 0)], crs=4326).to_file(path, layer="points")
    both = Area.from_file(path)
    assert both.bbox == pytest.approx((8, 47, 9.1, 47.1), abs=1e-9)
    assert "all 2 layers with polygons are used (a, B two)" in both.notes[0]
    for name in ("layername=a", "layername=A", "layerid=0", "layername=a|geometrytype=Polygon"):
        one = Area.from_file(f"{path}|{name}")
        assert one.bbox == (8, 47, 8.1, 47.1)
        assert one.source == f"{path}|{name}"
        assert one.notes == ()
    with pytest.raises(BadOptionError, match=r"no layer 'c'. Its layers: a, B two, points"):
        Area.from_file(f"{path}|layername=c")
    with pytest.raises(BadAreaError, match=r"holds no polygon \(1 feature without area"):
        Area.from_file(f"{path}|layername=points")
    with pytest.raises(BadOptionError, match="subset"):
        Area.from_file(f"{path}|layername=a|subset=name = 1")


def test_polygons_that_cross_themselves_and_collections_are_an_area(tmp_path):
    knot = ring((8, 47), (8.2, 47.2), (8.2, 47), (8, 47.2), (8, 47))
    other = ring((8.1, 47), (8.3, 47.2), (8.3, 47), (8.1, 47.2), (8.1, 47))
    collection = {"type": "GeometryCollection", "geometries": [knot, {"type": "Point", "coordinates": [50, 50]}]}
    area = Area.from_file(geojson(tmp_path / "a.geojson", collection, other, None))
    assert area.bbox == (8, 47, 8.3, 47.2)
    assert shape(area.geojson).is_valid
    assert area.notes == (f"{tmp_path / 'a.geojson'}: 1 feature without geometry left out.",)


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    opened = ring((8, 47), (8.2, 47), (8.2, 47.2), (8, 47.2))
    endless = ring((8, 47), (float("inf"), 47), (8.2, 47.2), (8, 47))
    far = ring((8, 47), (1e300, 47), (8.2, 47.2), (8, 47))
    good = ring((8, 47), (8.2, 47), (8.2, 47.2), (8, 47))
    with pytest.raises(BadAreaError) as error:
        Area.from_file(geojson(tmp_path / "a.geojson", opened, good, endless, far))
    said = str(error.value)
    assert "feature 1 has a ring that is not closed" in said
    assert "feature 3 has a coordinate that is not finite" in said
    assert "feature 4 lies nowhere on Earth" in said
    assert "feature 2" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("crs", "says"),
    [
        ("EPSG:99999", "unknown to PROJ"),
        ("urn:ogc:def:crs:IAU:2015:49900", "not of the Earth"),
    ],
)
def test_a_crs_that_is_unknown_or_of_another_body_is_refused(tmp_path, crs, says):
    path = geojson(tmp_path / "a.geojson", ring((8, 47), (8.2, 47), (8.2, 47.2), (8, 47)))
    content = json.loads(path.read_text()) | {"crs": {"type": "name", "properties": {"name": crs}}}
    path.write_text(json.dumps(content))
    with pytest.raises(BadAreaError, match=says):
        Area.from_file(path)


def test_swapped_latitude_and_longitude_are_hinted_at(tmp_path):
    path = geojson(tmp_path / "a.geojson", ring((26.7, 93.7), (26.8, 93.7), (26.8, 93.8), (26.7, 93.7)))
    with pytest.raises(BadAreaError, match=r"look swapped: the order is longitude, latitude"):
        Area.from_file(path)


def test_a_file_that_points_to_others_is_refused(tmp_path):
    path = tmp_path / "aoi.vrt"
    path.write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/x.gpkg</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>"
    )
    with pytest.raises(BadAreaError, match="virtual file"):
        Area.from_file(path)


def around_180(spelling: str) -> geopandas.GeoDataFrame:
    """An area of 3 km across 180 degrees as files spell it."""
    utm = geopandas.GeoSeries([Point(180, -16.8)], crs=4326).to_crs(32760)[0].buffer(1500, cap_style="square")
    geographic = {
        "cut in two": MultiPolygon([box(179.986, -16.813, 180, -16.787), box(-180, -16.813, -179.986, -16.787)]),
        "two islands": MultiPolygon([box(179.9, -16.8, 179.95, -16.7), box(-179.95, -16.8, -179.9, -16.7)]),
        "jumping ring": Polygon(west_east(179.986, -179.986)[0]),
        "beyond 180": box(179.986, -16.813, 180.014, -16.787),
        "beyond -180": box(-180.014, -16.813, -179.986, -16.787),
        "wholly beyond": box(180.986, -16.813, 181.014, -16.787),
        "collection": GeometryCollection([box(179.986, -16.813, 180, -16.787), box(-180, -16.813, -179.986, -16.787)]),
    }
    if spelling == "utm":
        return geopandas.GeoDataFrame(geometry=[utm], crs=32760)
    if spelling == "pole":
        return geopandas.GeoDataFrame(geometry=[box(-1e5, -1e5, 1e5, 1e5)], crs=3413)
    if spelling == "two features":
        parts = [box(179.986, -16.813, 180, -16.787), box(-180, -16.813, -179.986, -16.787)]
        return geopandas.GeoDataFrame(geometry=parts, crs=4326)
    return geopandas.GeoDataFrame(geometry=[geographic[spelling]], crs=4326)


@pytest.mark.parametrize(
    "spelling",
    [
        "utm",
        "cut in two",
        "two islands",
        "two features",
        "jumping ring",
        "beyond 180",
        "beyond -180",
        "wholly beyond",
        "collection",
        "pole",
    ],
)
def test_an_aoi_across_the_antimeridian_is_refused_by_that_word(tmp_path, spelling):
    path = tmp_path / "aoi.gpkg"
    around_180(spelling).to_file(path)
    with pytest.raises(BadAreaError, match="antimeridian") as error:
        Area.from_file(path)
    boxes = [word.removeprefix("--bbox=").rstrip(".") for word in str(error.value).split() if "--bbox=" in word]
    if spelling != "pole":
        assert boxes
        for each in boxes:  # what the message advises is accepted
            assert Area.from_bbox(each)


@given(west=st.floats(-180, 179.9), width=st.floats(0.001, 179), south=st.floats(-89, 88), height=st.floats(0.001, 1))
def test_an_aoi_on_one_side_is_taken_and_one_across_is_not(tmp_path_factory, west, width, south, height):
    path = tmp_path_factory.mktemp("aoi") / "a.geojson"
    east, north = west + width, south + height
    wrapped = east - 360 if east > 180 else east
    geojson(path, ring((west, south), (wrapped, south), (wrapped, north), (west, north), (west, south)))
    if east > 180 and west - wrapped > 180:
        with pytest.raises(BadAreaError, match="antimeridian"):
            Area.from_file(path)
    elif east <= 180:
        assert Area.from_file(path).bbox == pytest.approx((west, south, east, north), abs=1e-9)


corner = st.tuples(st.one_of(st.floats(-190, 190), st.just(float("inf")), st.just(float("nan"))), st.floats(-95, 95))


@given(st.lists(st.tuples(st.lists(corner, max_size=7), st.booleans()), max_size=4))
def test_any_rings_are_an_area_or_one_line_of_refusal(tmp_path_factory, rings):
    path = tmp_path_factory.mktemp("aoi") / "a.geojson"
    geojson(path, *(ring(*corners, *(corners[:1] if closed else [])) for corners, closed in rings))
    try:
        area = Area.from_file(path)  # a warning is an error here
    except BadAreaError as error:
        assert "\n" not in str(error)
        return
    west, south, east, north = area.bbox
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90
    assert shape(area.geojson).is_valid
