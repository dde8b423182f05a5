"""Areas of every shape and size: polygons, slivers, less than a pixel, off the scenes, near the edges of the world."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
from pyproj import Geod
from shapely.geometry import MultiPolygon, Point, box
from shapely.geometry.polygon import orient

from tests.support.made_scenes import INSIDE, ORIGIN, SHORE_M, centres, codes

WHEN = ("--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")


@pytest.fixture
def ask(lagoon, geoseg, tmp_path):
    def run(*words, catalog=lagoon, out="out"):
        said = geoseg("map", "--catalog", catalog, *words, *WHEN, "--out", tmp_path / out, "--json")
        assert said.status == 0, said.err
        return said.record

    return run


@pytest.mark.parametrize(("suffix", "crs"), [("geojson", 4326), ("gpkg", 3035), ("shp", 32633)])
def test_outside_a_polygon_is_blank_and_not_counted(ask, tmp_path, suffix, crs):
    """Two parts, one with a hole; every kind of file, in its own CRS."""
    ring = Point(ORIGIN[0] + 900, ORIGIN[1] - 1000).buffer(600) - Point(ORIGIN[0] + 900, ORIGIN[1] - 1000).buffer(300)
    shape = MultiPolygon([ring, box(ORIGIN[0] + 1700, ORIGIN[1] - 1500, ORIGIN[0] + 1900, ORIGIN[1] - 900)])
    frame = geopandas.GeoDataFrame(geometry=[shape], crs=32632)
    frame.to_crs(crs).to_file(tmp_path / f"my area.{suffix}")
    record = ask("--aoi", tmp_path / f"my area.{suffix}")
    x, y = centres(record["flood"], "EPSG:32632")
    inside = geopandas.GeoSeries.from_xy(x.ravel(), y.ravel()).within(shape).to_numpy().reshape(x.shape)
    for layer in ("flood", "probability", "source"):
        assert ((codes(record[layer]) != 255) == inside).mean() > 0.9995, layer
    parts = [orient(part) for part in frame.to_crs(4326).geometry[0].geoms]
    km2 = sum(Geod(ellps="WGS84").geometry_area_perimeter(part)[0] for part in parts) / 1e6
    assert sum(record["area_km2"].values()) == pytest.approx(km2, rel=5e-3)
    assert record["shares_pct"]["not_observed"] == 0
    assert sum(record["shares_pct"].values()) == pytest.approx(100, abs=0.001)


def test_beyond_the_scene_is_not_observed(ask):
    record = ask("--bbox", "9.02,47.84,9.06,47.86")
    x, y = centres(record["flood"], "EPSG:32632")
    on = (x > ORIGIN[0]) & (x < ORIGIN[0] + 2200) & (y < ORIGIN[1]) & (y > ORIGIN[1] - 2400)
    assert ((codes(record["flood"]) != 255) == on).all()
    assert record["shares_pct"]["not_observed"] > 50


def test_a_single_pixel(ask):
    record = ask("--bbox", "9.0133,47.8425,9.01340,47.84257")
    mask = codes(record["flood"])
    assert mask.size <= 4
    assert set(np.unique(mask)) <= {0, 1}


def test_less_than_a_pixel_is_said(ask):
    """No pixel's middle lies in the area: there is a map, nothing can be counted, and that is said."""
    for number, words in enumerate((("--bbox", "9.01000,47.84000,9.010002,47.840002"), ("--resolution", "50000"))):
        box_of = () if "--bbox" in words else ("--bbox", INSIDE)
        record = ask(*words, *box_of, out=f"out{number}")
        counted = sum(record["area_km2"].values())
        assert counted > 0 or any("NOTHING WAS COUNTED" in note for note in record["notes"])


def test_a_sliver(ask):
    record = ask("--bbox", "9.002,47.8420,9.026,47.8423")
    assert codes(record["flood"]).shape[0] <= 8
    assert sum(record["shares_pct"].values()) == pytest.approx(100, abs=0.001)


def test_areas_do_not_depend_on_the_grid(ask):
    """Not on the resolution, and not on web Mercator, whose pixels are 49 % too long at this latitude."""
    fine, coarse = ask("--bbox", INSIDE, out="fine"), ask("--bbox", INSIDE, "--resolution", "60", out="coarse")
    mercator = ask("--bbox", INSIDE, "--crs", "EPSG:3857", out="mercator")
    km2 = [sum(record["area_km2"].values()) for record in (fine, coarse, mercator)]
    true_km2 = Geod(ellps="WGS84").geometry_area_perimeter(box(*map(float, INSIDE.split(","))))[0] / 1e6
    assert km2 == pytest.approx([true_km2] * 3, rel=0.03)
    assert json.loads(Path(mercator["run"]).read_text())["grid"]["crs"] == "EPSG:3857"


@pytest.mark.parametrize(
    ("crs", "origin", "bbox", "zone"),
    [
        ("EPSG:3413", (-100_000, -300_000), "-26,86.9,-20,87.1", "EPSG:3413"),
        ("EPSG:3031", (100_000, 900_000), "7,-81.7,7.6,-81.6", "EPSG:3031"),
        ("EPSG:32701", (180_000, 8_050_000), "-179.99,-17.62,-179.98,-17.61", "EPSG:32701"),
        ("EPSG:32760", (816_000, 8_050_000), "179.98,-17.62,179.99,-17.61", "EPSG:32760"),
    ],
)
def test_the_edges_of_the_world(ask, add_scene, tmp_path, crs, origin, bbox, zone):
    """Both poles' neighbourhoods, and both sides of the antimeridian."""
    from pyproj import Transformer

    west, south, east, north = (float(number) for number in bbox.split(","))
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform((west + east) / 2, (south + north) / 2)
    corner = (round(x / 10) * 10 - 1000.0, round(y / 10) * 10 + 1000.0)

    def half(east_m, north_m):
        columns = np.arange(200)[None, :] + np.zeros((200, 1))
        return columns < 100

    add_scene(tmp_path / "edge", "edge", crs=crs, origin=corner, shape=(200, 200), water=half)
    middle = f"--bbox={(west + east) / 2 - 1e-3},{(south + north) / 2 - 1e-3},{(west + east) / 2 + 1e-3}"
    record = ask(f"{middle},{(south + north) / 2 + 1e-3}", catalog=tmp_path / "edge")
    assert json.loads(Path(record["run"]).read_text())["grid"]["crs"] == zone
    mask = codes(record["flood"])
    left, _ = centres(record["flood"], crs)
    assert (mask != 255).all()
    shore = corner[0] + 1000
    clear = np.abs(left - shore) > SHORE_M
    assert ((mask == 1) == (left < shore))[clear].all()
