"""``geoseg scenes``: the table, the JSON, and what it costs to import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from geoseg.cli.scenes import scenes
from geoseg.errors import BadAreaError, BadOptionError, NoScenesError
from tests.support.stac_samples import item, with_href, write_list

app = typer.Typer()
app.command()(scenes)
BOX = ["--bbox", "8.2,11.2,8.6,11.6", "--sensor", "s2", "--model", "mndwi"]


@pytest.fixture
def catalogue(tmp_path):
    bad = with_href("/vsicurl/https://a.org/b.tif", name="bad")
    good = item("good", platform="sentinel-2a", **{"eo:cloud_cover": 12.4})
    return str(write_list(tmp_path / "list.json", [good, bad, item("plain", at="2024-05-04T10:00:00Z", west=8.4)]))


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"}, catch_exceptions=True)


def test_the_table_names_scenes_and_what_is_left_out(catalogue):
    result = run(*BOX, "--date", "2024-05-01/2024-05-08", "--catalog", catalogue)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["2024-05-03", "10:00:00", "good", "12", "100", "sentinel-2a", "local/s2"]
    assert lines[2].split() == ["2024-05-04", "10:00:00", "plain", "-", "50", "-", "local/s2"]
    assert "Rejected (1):" in result.stdout
    assert "bad: The href '/vsicurl/https://a.org/b.tif' is a path inside GDAL" in result.stdout


def test_json_is_one_object(catalogue):
    result = run(*BOX, "--date", "2024-05-05", "--window-days", "2", "--catalog", catalogue, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [(s["id"], s["cloud_pct"], s["coverage_pct"]) for s in answer["scenes"]] == [
        ("good", 12.4, 100.0),
        ("plain", None, 50.0),
    ]
    assert answer["scenes"][0]["time"] == "2024-05-03T10:00:00+00:00"
    assert [each["id"] for each in answer["rejected"]] == ["bad"]
    assert answer["request"]["window_days"] == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([*BOX, "--date", "2020-01-01"], NoScenesError),
        (BOX, BadOptionError),
        (["--bbox", "8,11,9,12", "--date", "2024-05-03"], BadOptionError),
        (["--sensor", "s2", "--date", "2024-05-03"], BadAreaError),
    ],
)
def test_failures_are_ours(catalogue, arguments, error):
    assert isinstance(run(*arguments, "--catalog", catalogue).exception, error)


def test_asking_costs_no_heavy_import():
    heavy = (
        "torch",
        "rasterio",
        "xarray",
        "dask",
        "geopandas",
        "shapely",
        "numpy",
        "pystac_client",
        "pyarrow",
        "planet",
    )
    code = f"import geoseg.cli.scenes, geoseg.sources.search, sys; print(*[m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
