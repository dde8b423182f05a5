"""Ten real Sentinel-1 chips: from files to catalogue to maps, against hand labels, and again through a STAC API."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.made_scenes import codes, looked_up
from tests.support.stac_server import stac_server

DATE = ("--date", "2018-09-21", "--sensor", "s1")
NIGERIA, PARAGUAY = "Nigeria_812045", "Paraguay_34417"


def box_of(item):
    return "--bbox=" + ",".join(str(number) for number in item["bbox"])


@pytest.fixture(scope="module")
def items(sen1floods11, geoseg):
    listed = geoseg("catalog", "list", sen1floods11, "--json").record["items"]
    assert len(listed) == 10
    return {item["id"].removesuffix("_S1Hand"): item for item in listed}


@pytest.fixture(scope="module")
def maps(sen1floods11, items, geoseg, tmp_path_factory):
    """Every chip mapped on its own box: what the command said, and where."""
    folder, made = tmp_path_factory.mktemp("maps"), {}
    for name, item in items.items():
        arguments = ("--catalog", sen1floods11, box_of(item), *DATE, "--model", "otsu", "--out", folder / name)
        made[name] = geoseg("map", *arguments, "--json")
    return made


def water_iou(mask: np.ndarray, label: np.ndarray) -> float:
    """Intersection over union of water, over pixels that both speak of."""
    seen = (mask != 255) & (label >= 0)
    water, truth = (mask == 1) & seen, (label == 1) & seen
    return float((water & truth).sum() / (water | truth).sum())


def test_every_chip_maps(maps):
    assert {name: said.status for name, said in maps.items()} == dict.fromkeys(maps, 0)


def test_nigerias_water_is_where_people_drew_it(maps, data):
    flood = maps[NIGERIA].record["flood"]
    label, _ = looked_up(data / "sen1floods11" / "LabelHand" / f"{NIGERIA}_LabelHand.tif", flood, outside=-1)
    assert water_iou(codes(flood), label[0]) >= 0.75


def test_chips_without_water_stay_nearly_dry(maps):
    """Two chips of Ghana hold no water by hand; dry and wet savanna must not be split into land and "water"."""
    for name in ("Ghana_53713", "Ghana_97059"):
        assert maps[name].record["shares_pct"]["water"] < 5, name


def test_255_is_exactly_where_the_image_is_nan(maps, data):
    for name, said in maps.items():
        flood = said.record["flood"]
        image, sure = looked_up(data / "sen1floods11" / "S1Hand" / f"{name}_S1Hand.tif", flood, outside=np.nan)
        missing = np.isnan(image).any(axis=0)
        assert ((codes(flood) == 255) == missing)[sure].all(), name
        assert sure.mean() > 0.9, name


def test_an_image_of_nothing_is_a_mask_of_255_said_loudly(maps, geoseg, sen1floods11, items, tmp_path):
    record = maps[PARAGUAY].record
    assert (codes(record["flood"]) == 255).all()
    assert record["shares_pct"] == {"water": 0.0, "dry": 0.0, "not_observed": 100.0}
    assert any("NOTHING WAS OBSERVED" in note for note in record["notes"])
    box = box_of(items[PARAGUAY])
    said = geoseg("map", "--catalog", sen1floods11, box, *DATE, "--out", tmp_path / "again")
    assert said.status == 0
    assert "NOTHING WAS OBSERVED" in said.err


def test_shares_add_up_and_mask_follows_probability(maps):
    for name, said in maps.items():
        record = said.record
        run = json.loads(Path(record["run"]).read_text())
        assert sum(record["shares_pct"].values()) == pytest.approx(100, abs=0.001), name
        mask, percent, source = (codes(record[key]) for key in ("flood", "probability", "source"))
        observed = percent != 255
        assert ((mask == 1) == (observed & (percent >= run["threshold_pct"]))).all(), name
        assert ((mask == 255) == ~observed).all(), name
        assert ((source == 255) == ~observed).all(), name


# -- the same through a STAC API ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api(sen1floods11):
    """``rustac serve`` over the catalogue's own list of items."""
    with stac_server(sen1floods11 / "items.json") as url:
        yield url


def test_an_api_lists_the_scenes_that_the_folder_does(api, sen1floods11, items, geoseg):
    for name in (NIGERIA, PARAGUAY, "Spain_6860600"):
        asked = (box_of(items[name]), *DATE, "--json")
        folder, server = (geoseg("scenes", "--catalog", where, *asked).record for where in (sen1floods11, api))
        assert [scene["id"] for scene in server["scenes"]] == [f"{name}_S1Hand"]
        assert server["scenes"] == folder["scenes"]
        assert server["rejected"] == folder["rejected"]


def test_an_api_gives_the_map_that_the_folder_does(api, maps, items, geoseg, tmp_path):
    for name in (NIGERIA, "Sri-Lanka_534068"):
        arguments = ("--catalog", api, box_of(items[name]), *DATE, "--model", "otsu", "--out", tmp_path / name)
        said = geoseg("map", *arguments, "--json")
        assert said.status == 0, said.err
        for product in ("flood", "probability", "source"):
            ours, theirs = (Path(each.record[product]).read_bytes() for each in (said, maps[name]))
            assert ours == theirs, (name, product)
