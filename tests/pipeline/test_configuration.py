"""``--config FILE.yaml``: it fills in what the command line leaves open, and nothing in it is ignored in silence."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import pytest
import yaml
from shapely.geometry import box

from tests.support.made_scenes import INSIDE

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "configs" / "map").glob("*.yaml"))


@pytest.fixture
def config(tmp_path):
    def write(**content):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_a_file_alone_makes_a_map(geoseg, lagoon, config, tmp_path):
    """A list for the box, an unquoted date, hyphens or underscores, numbers and flags: as people write YAML."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"bbox: [{INSIDE}]\ndate: 2024-05-01\nsensor: s1\nmodel: otsu\nresolution: 20\nwindow-days: 3\n"
        f"catalog: {lagoon}\nout: {tmp_path / 'out'}\njson: true\noverwrite: yes\n"
    )
    said = geoseg("map", "--config", path)
    assert said.status == 0, said.err
    run = json.loads(Path(said.record["run"]).read_text())
    assert (run["grid"]["resolution_m"], run["request"]["window_days"]) == (20, 3)


def test_flags_win(geoseg, lagoon, config, tmp_path):
    path = config(catalog="nowhere", model="nothing", resolution=40, sensor="s1", date="2024-04-01", out="elsewhere")
    flags = ("--catalog", lagoon, "--model", "otsu", "--date", "2024-05-01", "--out", tmp_path / "out")
    said = geoseg("map", "--config", path, "--bbox", INSIDE, *flags, "--json")
    assert said.status == 0, said.err
    run = json.loads(Path(said.record["run"]).read_text())
    assert (run["model"]["name"], run["grid"]["resolution_m"]) == ("otsu", 40)


def test_an_area_typed_wins_over_the_files_of_the_other_kind(geoseg, lagoon, config, tmp_path):
    geopandas.GeoDataFrame(geometry=[box(9.01, 47.84, 9.015, 47.845)], crs=4326).to_file(tmp_path / "aoi.geojson")
    path = config(bbox=INSIDE, catalog=str(lagoon), sensor="s1", date="2024-05-01", model="otsu")
    said = geoseg("map", "--config", path, "--aoi", tmp_path / "aoi.geojson", "--out", tmp_path / "a", "--json")
    assert json.loads(Path(said.record["run"]).read_text())["request"]["area"] == str(tmp_path / "aoi.geojson")
    path = config(aoi="gone.gpkg", catalog=str(lagoon), sensor="s1", date="2024-05-01", model="otsu")
    said = geoseg("map", "--config", path, "--bbox", INSIDE, "--out", tmp_path / "b", "--json")
    assert json.loads(Path(said.record["run"]).read_text())["request"]["area"] == INSIDE


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("resolutoin: 20", "'resolutoin', which is no option"),
        ("config: other.yaml", "'config', which is no option"),
        ("- sensor\n- s1", "KEY: VALUE"),
        ("sensor: [s1", "is not YAML"),
        ("window_days: many", "window"),
        ("sensor: s9", "no sensor named 's9'"),
        ("date: 2024-05-01\nsensor: s1\nbbox: [9, 47]", "has 2"),
        ("date: 2024-05-01 12:00:00\nsensor: s1\nbbox: [9, 47, 10, 48]", "YYYY-MM-DD"),
        ("catalog: {name: mine}\ndate: 2024-05-01\nsensor: s1\nbbox: [9, 47, 10, 48]", "catalog"),
    ],
)
def test_what_a_file_cannot_say(geoseg, tmp_path, text, says):
    (tmp_path / "bad.yaml").write_text(text)
    base = () if "bbox" in text else ("--bbox", INSIDE)
    base += () if "date" in text else ("--date", "2024-05-01")
    said = geoseg("map", "--config", tmp_path / "bad.yaml", *base, "--out", tmp_path / "out", "-q")
    assert said.status == 2, said
    assert len(said.errors) == 1
    assert says in said.errors[0]
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there(geoseg, tmp_path):
    said = geoseg("map", "--config", tmp_path / "none.yaml", "--bbox", INSIDE)
    assert (said.status, len(said.errors)) == (2, 1)
    assert "none.yaml" in said.errors[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads(geoseg, path, tmp_path, monkeypatch):
    """All its options are known and fit together: what stops it is the search for an area where there is nothing."""
    (tmp_path / "my_planet").mkdir()
    (tmp_path / "my_planet" / "catalog.json").write_text('{"type": "Catalog", "id": "mine", "links": []}')
    monkeypatch.chdir(tmp_path)
    catalog = () if path.stem == "planetscope_order" else ("--catalog", tmp_path / "my_planet")
    said = geoseg("map", "--config", path, *catalog, "--bbox", INSIDE, "--date", "2024-05-01", "-q")
    assert said.status == 1
    assert said.errors[0].startswith("Error: No "), said.err


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES} >= {"s1_quick", "s2_cloudy_season", "planetscope_order"}


def test_what_a_file_switches_on_a_flag_switches_off(geoseg, lagoon, config, tmp_path):
    asked = {"catalog": str(lagoon), "model": "otsu", "sensor": "s1", "date": "2024-05-01", "bbox": INSIDE}
    path = config(**asked, json=True, overwrite=True)
    out = ("--out", tmp_path / "out")
    assert geoseg("map", "--config", path, *out).record["out"] == str(tmp_path / "out")
    said = geoseg("map", "--config", path, *out, "--no-overwrite", "--no-json")
    assert (said.status, said.out) == (1, "")
    assert "add --overwrite" in said.errors[0]
    assert geoseg("map", "--config", path, *out).status == 0


@pytest.mark.parametrize(("flags", "status"), [(("--date", "2099-01-01"), 2), (("--batch-size", "many"), 2), ((), 1)])
def test_an_error_is_json_where_the_file_says_so(geoseg, lagoon, config, tmp_path, flags, status):
    path = config(catalog=str(lagoon), sensor="s1", date="2020-05-01", bbox=INSIDE, json=True)
    said = geoseg("map", "--config", path, "--out", tmp_path / "out", *flags)
    assert said.status == status
    assert said.record["error"]["message"]
