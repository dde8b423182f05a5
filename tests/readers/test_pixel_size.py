"""How long a scene's own pixels are, as its item tells, and what is said where a grid is much finer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from geoseg.core.scene import Scene
from geoseg.readers import Cube
from geoseg.readers.pixel_size import coarser_note, own_pixel_m

DAY = datetime(2024, 5, 1, 10, tzinfo=UTC)
BOX = {
    "EPSG:32633": (13.7, 45.1, 13.9, 45.2),
    "EPSG:4326": (10.0, 59.9, 10.2, 60.1),
    "EPSG:3857": (10, 59.9, 10.2, 60.1),
}


def scene(properties=None, asset=None, bands=("vv", "vh"), crs="EPSG:32633") -> Scene:
    assets = {
        name: {"href": f"/nowhere/{name}.tif", "eo:bands": [{"name": name}], "raster:bands": [{}], **(asset or {})}
        for name in bands
    }
    item = {"type": "Feature", "id": "s", "properties": properties or {}, "assets": assets}
    return Scene("s", "local/s1", "s1", DAY, BOX[crs], item=item)


def grid_of(crs: str, pixel: float) -> dict[str, object]:
    return {"proj:code": crs, "proj:transform": [pixel, 0, 0, 0, -pixel, 0]}


def geobox(metres: float) -> GeoBox:
    return GeoBox((32, 32), Affine(metres, 0, 400_000, 0, -metres, 5_000_000), "EPSG:32633")


@pytest.mark.parametrize(
    ("crs", "pixel", "metres"),
    [("EPSG:32633", 30.0, 30.0), ("EPSG:4326", 0.001, 78.7), ("EPSG:3857", 100.0, 50.0)],
    ids=["UTM", "degrees at 60 north", "a web map at 60 north"],
)
def test_the_files_grid_tells(crs, pixel, metres):
    for where in ({"properties": grid_of(crs, pixel)}, {"asset": grid_of(crs, pixel)}):
        assert own_pixel_m(scene(**where, crs=crs), ["vv", "vh"]) == pytest.approx(metres, rel=0.01)


def test_what_is_stated_counts_where_no_grid_is():
    assert own_pixel_m(scene({"gsd": 30}), ["vv"]) == 30
    assert own_pixel_m(scene({"gsd": 30}, {"gsd": 20}), ["vv"]) == 20
    assert own_pixel_m(scene({"gsd": 30}, {"raster:bands": [{"spatial_resolution": 40}]}), ["vv"]) == 40
    assert own_pixel_m(scene({"gsd": 3} | grid_of("EPSG:32633", 30)), ["vv"]) == pytest.approx(30, rel=0.01)


@pytest.mark.parametrize(
    "properties",
    [{}, {"gsd": 0}, {"gsd": "30"}, {"gsd": True}, {"gsd": float("nan")}, {"proj:transform": [30, 0, 0, 0, -30, 0]},
     grid_of("EPSG:1", 30), {"proj:code": "EPSG:32633", "proj:transform": [30, 0, None, 0, "x", 0]}],
)  # fmt: skip
def test_nothing_is_guessed(properties):
    assert own_pixel_m(scene(properties), ["vv"]) is None
    assert coarser_note([scene(properties)], ["vv"], geobox(1)) is None


def test_the_finest_band_and_the_finest_scene_decide():
    mixed = scene({"gsd": 30})
    mixed.item["assets"]["vh"]["gsd"] = 10
    assert own_pixel_m(mixed, ["vv", "vh"]) == 10
    overview, fine, unknown = scene({"gsd": 30}), scene({"gsd": 10}), scene()
    note = coarser_note([overview, overview], ["vv"], geobox(3))
    assert "30 m" in note and "10 times" in note and "--resolution 30" in note
    assert coarser_note([overview, fine], ["vv"], geobox(5)) is None
    assert coarser_note([overview, unknown], ["vv"], geobox(3)) is None
    assert coarser_note([], ["vv"], geobox(3)) is None


@pytest.mark.parametrize(("metres", "said"), [(10, True), (11, False), (30, False), (90, False)])
def test_three_times_is_worth_a_word(metres, said):
    assert (coarser_note([scene({"gsd": 30})], ["vv"], geobox(metres)) is not None) == said


def test_a_cube_says_it_once_and_only_where_it_was_made(make_scene):
    import pickle

    import numpy as np

    where = geobox(30)
    layers = {name: (np.full((32, 32), 2000, np.uint16), where) for name in ("B03", "B08", "SCL")}
    made = [make_scene(name, assets=layers, properties=grid_of("EPSG:32633", 30)) for name in ("a", "b")]
    cube = Cube.of(made, geobox(10), ["green", "nir"], instant=DAY)
    assert len(cube.notes) == 1 and "--resolution 30" in cube.notes[0]
    assert pickle.loads(pickle.dumps(cube)).notes == (), "a worker has no items and nobody to tell"
