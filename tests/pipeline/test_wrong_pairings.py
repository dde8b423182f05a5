"""Maps that would be wrong without a word: another level of reflectance, another orbit, a day too early."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.support.made_scenes import INSIDE, codes


def box_of(item):
    return "--bbox=" + ",".join(str(number) for number in item["bbox"])


def notes_of(said):
    record = json.loads(Path(said.record["run"]).read_text(encoding="utf-8"))
    assert [*record["notes"], *record["limits"]] == said.record["notes"]
    return record["notes"]


# -- top of the atmosphere ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chip(data, geoseg, tmp_path_factory):
    """The Sen1Floods11 chip of Sentinel-2, level 1C."""
    folder = tmp_path_factory.mktemp("l1c")
    words = ("--sensor", "s2", "--units", "reflectance", "--level", "L1C", "--date", "2019-09-26")
    said = geoseg("catalog", "add", data / "sen1floods11" / "S2Hand", *words, "-o", folder, "--json")
    assert said.status == 0, said.err
    return folder, said.record["added"][0]


def test_a_level_1c_scene_is_mapped_by_the_index(chip, geoseg, tmp_path):
    folder, item = chip
    words = ("--catalog", folder, box_of(item), "--date", "2019-09-26", "--sensor", "s2", "--json")
    plain = geoseg("map", *words, "--out", tmp_path / "plain")
    assert plain.status == 0, plain.err
    record = json.loads((tmp_path / "plain" / "run.json").read_text())
    assert record["model"]["name"] == "mndwi"
    assert any("top-of-atmosphere" in note and "--model flood-s2" in note for note in notes_of(plain)[:3])
    index = geoseg("map", *words, "--model", "mndwi", "--out", tmp_path / "index")
    assert np.array_equal(codes(tmp_path / "plain" / "flood.tif"), codes(tmp_path / "index" / "flood.tif"))
    assert not any("top-of-atmosphere" in note for note in notes_of(index))
    network = geoseg("map", *words, "--model", "flood-s2", "--out", tmp_path / "network")
    assert network.status == 0, network.err
    assert any("top-of-atmosphere" in note and "--model mndwi" in note for note in notes_of(network)[:3])
    listed = geoseg("scenes", *words)
    assert listed.status == 0 and len(listed.record["scenes"]) == 1


def test_planetscope_radiance_is_mapped_by_the_index_and_its_surface_reflectance_by_the_network(
    planetscope, geoseg, tmp_path
):
    items = {item["id"]: item for item in geoseg("catalog", "list", planetscope, "--json").record["items"]}
    models = {}
    for name, item in items.items():
        west, south, east, north = item["bbox"]
        x, y = (west + east) / 2, (south + north) / 2
        out, day = tmp_path / name, item["datetime"][:10]
        box = f"--bbox={x - 0.002},{y - 0.002},{x + 0.002},{y + 0.002}"
        said = geoseg(
            "map", "--catalog", planetscope, box, "--date", day, "--sensor", "planetscope", "--out", out, "--json"
        )
        assert said.status == 0, said.err
        level = json.loads((planetscope / "local-planetscope" / f"{name}.json").read_text())["properties"]
        models[name] = (level["geoseg:reflectance"], json.loads((out / "run.json").read_text())["model"]["name"])
    expected = {"surface": "flood-planetscope", "toa": "ndwi", "unknown": "flood-planetscope"}
    assert {"surface", "toa"} <= {level for level, _ in models.values()}
    assert all(model == expected[level] for level, model in models.values()), models


# -- another orbit --------------------------------------------------------------------------------------------------


TRACK = {"sat:relative_orbit": 22, "sat:orbit_state": "ascending"}


@pytest.fixture
def passes(tmp_path, add_scene):
    """Words of a map of two passes, water at the later one only; ``passes(**earlier)`` says the earlier one's track."""

    def words(**earlier):
        folder = tmp_path / "passes"
        add_scene(folder, "before", day="2024-04-24", water=lambda x, y: x < 0)
        add_scene(folder, "event", day="2024-05-06")
        for name, track in (("before", earlier), ("event", TRACK)):
            path = folder / "local-s1" / f"{name}.json"
            item = json.loads(path.read_text())
            item["properties"] |= track
            path.write_text(json.dumps(item))
        dates = ("--date", "2024-05-06", "--before", "2024-04-24")
        return ("--catalog", folder / "catalog.json", f"--bbox={INSIDE}", "--sensor", "s1", *dates, "--json")

    return words


OTHERS = {
    "other orbit": TRACK | {"sat:relative_orbit": 168},
    "other direction": TRACK | {"sat:orbit_state": "descending"},
    "both": {"sat:relative_orbit": 168, "sat:orbit_state": "descending"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_change_model_refuses_another_track_and_names_both(passes, geoseg, tmp_path, name):
    words = passes(**OTHERS[name])
    said = geoseg("map", *words, "--model", "sar-change", "--out", tmp_path / "map")
    assert said.status != 0 and not (tmp_path / "map" / "flood.tif").exists()
    (error,) = said.errors
    assert all(str(value) in error for value in (*TRACK.values(), *OTHERS[name].values()))
    assert error.count("relative orbit") == 2 and "--before" in error


def test_water_before_of_another_track_is_warned_about(passes, geoseg, tmp_path):
    words = passes(**OTHERS["both"])
    said = geoseg("map", *words, "--model", "otsu", "--out", tmp_path / "map")
    assert said.status == 0, said.err
    assert any("another track" in note and "168" in note for note in notes_of(said))


@pytest.mark.parametrize("model", ["sar-change", "otsu"])
def test_orbits_that_nobody_states_are_warned_about(passes, geoseg, tmp_path, model):
    words = passes()
    said = geoseg("map", *words, "--model", model, "--out", tmp_path / "map")
    assert said.status == 0, said.err
    assert any("cannot be compared" in note for note in notes_of(said))


def test_one_track_is_no_reason_to_warn(passes, geoseg, tmp_path):
    said = geoseg("map", *passes(**TRACK), "--model", "sar-change", "--out", tmp_path / "map")
    assert said.status == 0, said.err
    assert not any("another track" in note or "cannot be compared" in note for note in notes_of(said))


# -- a day too early ------------------------------------------------------------------------------------------------


def test_a_map_of_pixels_seen_before_the_date_says_so_first(lagoon, geoseg, tmp_path):
    words = ("--catalog", lagoon, f"--bbox={INSIDE}", "--sensor", "s1", "--model", "otsu", "--json")
    early = geoseg("map", *words, "--date", "2024-05-12", "--window-days", "12", "--out", tmp_path / "early")
    assert early.status == 0, early.err
    first = notes_of(early)[0]
    assert "100 %" in first and "11 days BEFORE 2024-05-12" in first and "--date 2024-05-12/2024-05-24" in first
    late = geoseg("map", *words, "--date", "2024-04-29", "--window-days", "3", "--out", tmp_path / "late")
    assert not any("BEFORE" in note for note in notes_of(late))


def test_the_share_is_of_the_observed_pixels_of_the_area(lagoon, add_scene, geoseg, tmp_path):
    """The event's scene has a hole; only there the earlier scene is taken."""
    add_scene(lagoon, "event", day="2024-05-06", hole=(slice(0, 110), slice(0, 220)))
    words = ("--catalog", lagoon, f"--bbox={INSIDE}", "--sensor", "s1", "--model", "otsu", "--json")
    said = geoseg("map", *words, "--date", "2024-05-06", "--window-days", "6", "--out", tmp_path / "map")
    assert said.status == 0, said.err
    with rasterio.open(tmp_path / "map" / "source.tif") as file:
        source = file.read(1)
    assert {0, 1} <= set(np.unique(source)) <= {0, 1, 255}
    early = said.record["scenes"].index("lagoon")
    share = 100 * (source == early).sum() / (source != 255).sum()
    stated = float(notes_of(said)[0].split(" %")[0])
    assert stated == pytest.approx(share, abs=2.5) and "5 days BEFORE 2024-05-06" in notes_of(said)[0]
