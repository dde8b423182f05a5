"""Labelled chips of simulated floods; the worlds are small, to be quick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.datasets import simulated
from geoseg.datasets.simulated import SimulatedChips, make, simulated_set, starts, varied
from geoseg.errors import BadOptionError, UnknownNameError
from geoseg.simulate import Region, region, regions
from geoseg.simulate.scenes import AERIAL_PX, PLANETSCOPE_PX


@pytest.fixture(scope="module")
def small() -> object:
    """Regions of 3.6 km instead of 8."""
    patch = pytest.MonkeyPatch()
    patch.setattr(simulated, "region", small_region)
    yield
    patch.undo()


def small_region(name: str) -> Region:
    return region(name).model_copy(update={"rows": 360, "cols": 360})


@pytest.fixture(scope="module")
def worlds(small: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's worlds are kept."""
    return tmp_path_factory.mktemp("worlds")


@pytest.mark.parametrize(
    ("sensor", "bands", "metres", "side_px"),
    [
        ("s1", ("vv", "vh"), 10, 360),
        ("s2", ("green", "nir", "swir16"), 10, 360),
        ("planetscope", None, 3, PLANETSCOPE_PX),
    ],
)
def test_water_looks_like_water(worlds, sensor, bands, metres, side_px):
    data = simulated_set(sensor, SimulatedChips(names=["paddy"], chip_px=144, bands=bands), folder=worlds)
    assert data.simulated and data.classes == ("dry", "water") and data.regions == ("sim-paddy",)
    assert len(data.pairs) == 2 * (side_px // 144) ** 2 == len({pair.id for pair in data.pairs})
    assert {pair.gsd_m for pair in data.pairs} == {metres} and len({pair.time for pair in data.pairs}) == 2
    reads = {pair.id: pair.read() for pair in data.pairs}
    for image, mask in reads.values():
        assert image.shape == (len(data.bands), 144, 144) and image.dtype == np.float32
        assert mask.shape == (144, 144) and mask.dtype == np.int16 and set(np.unique(mask)) <= {0, 1}
    images, masks = (np.stack([read[n] for read in reads.values()]) for n in (0, 1))
    level = images[:, data.bands.index({"s1": "vv"}.get(sensor, "nir"))]
    # both kinds of pixel at hand, and water is darker than land in radar and near infrared alike
    assert 0.05 < masks.mean() < 0.9
    assert np.nanmedian(level[masks == 1]) < 0.7 * np.nanmedian(level[masks == 0]) or sensor == "s1"
    if sensor == "s1":
        assert np.nanmedian(level[masks == 1]) < np.nanmedian(level[masks == 0]) - 3
        assert np.nanmin(level) > -40 and np.nanmax(level) < 25
    else:
        assert np.isnan(images).any() and not np.isnan(images).all(), "clouds are not observed"
    water = {moment: np.mean([reads[i][1] for i in reads if moment in i]) for moment in ("before", "flood")}
    assert water["before"] < water["flood"]


def test_buildings_are_where_the_outlines_are(worlds):
    data = simulated_set("aerial", SimulatedChips(names=["paddy"], chip_px=255), folder=worlds)
    assert (data.meaning.name, data.classes, data.unit) == ("building", ("other", "building"), "unitless")
    assert len(data.pairs) == (AERIAL_PX // 255) ** 2 and data.bands == ("red", "green", "blue")
    images, masks = (np.stack(each) for each in zip(*(pair.read() for pair in data.pairs), strict=True))
    assert 0.001 < masks.mean() < 0.4
    assert np.nanmin(images) >= 0 and np.nanmax(images) <= 1
    assert images[:, 0][masks == 1].mean() > images[:, 0][masks == 0].mean(), "roofs are brighter than what is around"


def test_the_label_lies_where_the_truth_lies(worlds):
    data = simulated_set("s1", SimulatedChips(names=["paddy"], chip_px=100, moments=("flood",)), folder=worlds)
    with rasterio.open(make("paddy", 0, worlds).folder / "truth_10m.tif") as file:
        truth, transform = file.read(1), file.transform
    assert [pair.id.split("-")[-3] for pair in data.pairs] == ["flood"] * 9
    for pair in data.pairs:
        column, row = (round(number) for number in ~transform * (pair.place.transform * (0, 0)))
        part = truth[row : row + 100, column : column + 100]
        np.testing.assert_array_equal(pair.read()[1], part > 0)


def test_one_seed_one_world(worlds, tmp_path):
    first, again = make("paddy", 0, worlds), make("paddy", 0, tmp_path)
    assert first.folder.name == again.folder.name
    for name in ("s1_flood_vv.tif", "s2_before_B08.tif", "truth_10m.tif", simulated.BUILDINGS):
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()
    stamp = first.folder.stat().st_mtime_ns
    assert make("paddy", 0, worlds).folder.stat().st_mtime_ns == stamp, "made once"


@pytest.mark.parametrize("name", sorted(regions()))
def test_seeds_make_other_places_of_the_same_kind(name):
    facts = region(name)
    assert varied(facts, 0) == facts
    others = [varied(facts, seed) for seed in range(1, 40)]
    assert others[0] == varied(facts, 1) and len({other.model_dump_json() for other in others}) == 39
    for other in others:
        assert (other.crs, other.centre, other.flood_day) == (facts.crs, facts.centre, facts.flood_day)
        assert other.clouds.flood_pct <= 60 and 0.75 < other.stage_m / facts.stage_m < 1.25


def test_chips_lie_side_by_side():
    assert starts(702, 256) == [95, 351] and starts(256, 256) == [0] and starts(1023, 256) == [127, 383, 639]
    with pytest.raises(BadOptionError, match=r"chip_px: expected 1 to .*got 300"):
        starts(299, 300)


def test_what_is_not_simulated(worlds):
    with pytest.raises(UnknownNameError, match="no simulated sensor named 's3'"):
        simulated_set("s3")
    with pytest.raises(UnknownNameError, match="no simulated region named 'desert'"):
        simulated_set("s1", SimulatedChips(names=["desert"]), folder=worlds)
    with pytest.raises(BadOptionError, match="seeds: expected different whole numbers"):
        simulated_set("s1", SimulatedChips(names=["paddy"], seeds=(1, 1)), folder=worlds)
    with pytest.raises(BadOptionError, match="moments of simulated aerial: there is no imagery of before"):
        simulated_set("aerial", SimulatedChips(names=["paddy"], moments=("before",)), folder=worlds)
