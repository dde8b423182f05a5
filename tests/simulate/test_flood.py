"""The embedded flood: the same bytes every time, in the layouts of the real collections, and physics that hold."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pystac
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rio_cogeo import cog_validate
from scipy.ndimage import label

from geoseg.core.area import Area
from geoseg.core.request import Dates, Request
from geoseg.errors import MissingBandError, UnknownNameError
from geoseg.pipeline import map_flood
from geoseg.simulate import ensure, region, regions
from geoseg.simulate.flood import fill
from geoseg.simulate.landscape import SHALLOWEST_M, make_landscape
from geoseg.simulate.radar import backscatter, with_speckle
from geoseg.simulate.records import surfaces
from geoseg.simulate.settlements import density
from geoseg.simulate.surface import surfaces_at, truth
from geoseg.sources.search import find_items, find_scenes

NAME = "arid"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One region's catalogue, made once."""
    folder = tmp_path_factory.mktemp("demo")
    return ensure(NAME, folder).parent


@pytest.fixture(scope="module")
def items(made):
    return {item["id"]: item for item in json.loads((made / "items.json").read_text())["features"]}


def pixels(made, items, words, asset, band=1):
    """A band of the only item whose id holds every word."""
    (item,) = [item for name, item in items.items() if all(word in name for word in words)]
    with rasterio.open(made / item["assets"][asset]["href"]) as file:
        return file.read(band), item


def day(which):
    return region(NAME).before_day if which == "before" else region(NAME).flood_day


def test_five_regions_that_differ():
    assert set(regions()) == {"arid", "paddy", "forest", "urban", "coastal"}
    assert len({each.crs for each in regions().values()}) == 5
    assert all("simulated" in each.title.lower() or "simulated" in each.place.lower() for each in regions().values())
    with pytest.raises(UnknownNameError, match="paddy"):
        region("padi")


def test_every_file_is_a_cog_that_says_it_is_simulated(made):
    files = sorted((made / NAME).glob("*.tif"))
    assert len(files) > 25
    for path in files:
        valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
        assert valid, f"{path.name}: {errors} {warnings}"
        with rasterio.open(path) as file:
            assert "simulated" in json.dumps(file.tags()).lower(), path.name


def test_the_catalogue_is_stac_and_search_finds_it(made, items):
    catalog = pystac.Catalog.from_file(str(made / "catalog.json"))
    assert {item.id for item in catalog.get_items(recursive=True)} == set(items)
    assert all(item["properties"]["geoseg:simulated"] is True and "SIMULATED" in name for name, item in items.items())
    for name, sensor in (("S1A", "s1"), ("MSIL2A", "s2"), ("PSScene", "planetscope"), ("AERIAL", "aerial")):
        one = next(item for each, item in items.items() if name in each)
        area = Area.from_bbox(one["bbox"])
        found = find_scenes(area, Dates.parse(one["properties"]["datetime"][:10]), sensor, str(made))
        assert [scene.id for scene in found.scenes] == [one["id"]]
    (water,) = find_items(area, None, "demo/reference-water", str(made)).scenes
    assert "REFERENCE_WATER" in water.id


@pytest.mark.heavy
def test_the_same_version_writes_the_same_bytes(made, tmp_path):
    """In another process, so that nothing is shared but the seed."""
    code = f"from pathlib import Path; from geoseg.simulate import ensure; ensure({NAME!r}, Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    assert sorted(files) == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [each for each in files if (made / each).read_bytes() != (tmp_path / each).read_bytes()] == []


def test_five_regions_fit_into_150_megabytes(made):
    """The largest of them is this one."""
    assert sum(path.stat().st_size for path in (made / NAME).rglob("*") if path.is_file()) < 150e6 / 5


def test_no_village_is_a_circle():
    for name in ("urban", "arid"):
        for village in make_landscape(region(name)).villages:
            around = np.linspace(0, 2 * np.pi, 90, endpoint=False)
            x, y = (np.float32(village.radius_m) * each for each in (np.cos(around), np.sin(around)))
            dense = density([village], x + np.float32(village.x), y + np.float32(village.y))
            assert dense.max() - dense.min() > 0.2
            assert village.away(np.zeros(1), np.zeros(1)) == 0


def test_streams_leave_the_hills_without_cliffs():
    """A stream's bank that rose to the hill's height within 25 m was a canyon that hid the water from the radar."""
    landscape = make_landscape(region("arid"))
    bank = (landscape.relief.bank_m > 0) & (landscape.relief.bank_m < 60)
    slope = np.hypot(*np.gradient(landscape.relief.height_m, landscape.grid.pixel_m))
    assert slope[bank].max() < 0.6
    hidden = backscatter(surfaces_at(landscape, landscape.grid)["flood"], region("arid"), 1).hidden
    assert not hidden[bank].any()


@given(arrays(np.float32, (12, 14), elements=st.floats(-2, 9, width=32)), st.floats(0, 8), st.floats(0, 4))
def test_a_higher_river_never_dries_anything(hand, stage, more):
    source = np.zeros(hand.shape, bool)
    source[5, :3] = True
    hand[source] = -1
    low, high = fill(hand, source, stage), fill(hand, source, stage + more)
    assert (high >= low).all()
    assert (high[hand >= stage + more] == 0).all()


@given(arrays(np.float32, (12, 14), elements=st.floats(-2, 9, width=32)), st.floats(0.1, 8))
def test_water_is_connected_to_where_it_comes_from(hand, stage):
    source = np.zeros(hand.shape, bool)
    source[5, :3] = True
    hand[source] = -1
    parts, _ = label(fill(hand, source, stage) > 0)
    assert set(np.unique(parts)) <= {0, parts[5, 0]}


def test_the_flood_reaches_the_river_and_spares_the_hollow_behind_the_dike():
    landscape = make_landscape(region("urban"))
    truth = landscape.truth()
    assert 0.02 < (truth == 2).mean() < 0.2
    assert 0.05 < (truth == 1).mean() < 0.6
    below = landscape.relief.hand_m < region("urban").stage_m
    assert (below & (truth == 0)).mean() > 0.01, "nothing lies below the flood and dry: no dike holds"


def test_radar_sees_water_dark(made, items):
    vv, item = pixels(made, items, ("S1A", f"{day('flood'):%Y%m%d}"), "vv")
    assert vv.dtype == np.float32
    with rasterio.open(made / item["assets"]["truth"]["href"]) as file:
        truth = file.read(1)
    seen = vv != -32768
    db = 10 * np.log10(vv, where=seen & (vv > 0), out=np.full(vv.shape, np.nan, np.float32))
    assert np.nanmedian(db[truth > 0]) < np.nanmedian(db[truth == 0]) - 3


@given(st.floats(1e-4, 2), st.floats(1, 20))
def test_speckle_has_the_looks_it_should(mean, looks):
    image = with_speckle(np.full((300, 300), mean, np.float32), np.random.default_rng(3), looks).astype(float)
    assert image.mean() == pytest.approx(mean, rel=0.02)
    assert image.mean() ** 2 / image.var() == pytest.approx(looks, rel=0.05)


def test_optical_numbers_carry_the_offset_and_clouds_are_classified(made, items):
    green, item = pixels(made, items, ("MSIL2A", f"{day('flood'):%Y%m%d}"), "B03")
    scl, _ = pixels(made, items, ("MSIL2A", f"{day('flood'):%Y%m%d}"), "SCL")
    assert item["properties"]["s2:processing_baseline"] >= "04.00"
    assert green.dtype == np.uint16
    assert np.percentile(green, 1) > 1000
    coarse = green[: scl.shape[0] * 2 : 2, : scl.shape[1] * 2 : 2]
    cloud, land = np.isin(scl, (8, 9)), np.isin(scl, (4, 5))
    assert cloud.mean() > 0.01
    assert (scl == 3).any(), "clouds throw no shadow"
    assert np.median(coarse[cloud]) > np.median(coarse[land]) + 500
    assert abs(item["properties"]["eo:cloud_cover"] - 100 * cloud.mean()) < 0.01


@pytest.mark.parametrize("name", ["arid", "forest", "coastal"])
def test_permanent_water_was_there_before_and_the_flood_was_not(name):
    landscape = make_landscape(region(name))
    truth = landscape.truth()
    assert (landscape.before_m[truth == 2] > 0).all()
    assert (landscape.before_m[truth == 1] <= SHALLOWEST_M).all()
    assert (landscape.flood_m >= landscape.before_m).all()
    assert (truth == 1).mean() > 0.05


def test_rice_under_water_is_a_trap_for_radar():
    """Before the flood the paddies are as dark as a lake, and no flood."""
    landscape = make_landscape(region("paddy"))
    seen = surfaces_at(landscape, landscape.grid)["before"]
    rice = seen.water == surfaces().water_code("paddy")
    assert rice.mean() > 0.01
    power = backscatter(seen, region("paddy"), 1).power["vv"]
    land, river = (seen.water == 0), (seen.water == surfaces().water_code("river"))
    db = {
        name: 10 * np.log10(np.median(power[where]))
        for name, where in (("rice", rice), ("land", land), ("river", river))
    }
    assert db["rice"] < db["land"] - 2
    assert (truth({"before": seen, "flood": seen}) != 1).all()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--sensor", "aerial"), "red, green and blue, in which no model of geoseg's finds water"),
        (("--sensor", "radar"), "The demo maps s1, s2, planetscope, not 'radar'"),
        (("--region", "urbn"), "Did you mean urban"),
    ],
)
def test_what_the_demo_cannot_map_is_refused_before_anything_is_made(words, says, tmp_path):
    code = "from geoseg.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_the_aerial_image_has_no_near_infrared_for_ndwi(made, items, tmp_path):
    (item,) = [item for name, item in items.items() if "AERIAL" in name]
    box = ",".join(f"{number:.5f}" for number in item["bbox"])
    request = Request.of(bbox=box, date=str(day("flood")), sensor="aerial", catalog=str(made))
    with pytest.raises(MissingBandError, match="no band 'nir'; it has blue, green, red"):
        map_flood(request, tmp_path / "out")
