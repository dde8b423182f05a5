"""What a person reads when a training is over, and whether the command it ends with works as printed."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from shapely.geometry import box
from torch import nn

from geoseg.models.bundle import load_bundle, save_bundle
from geoseg.sources.local.add import add
from geoseg.sources.local.product import Options
from tests.support.command import geoseg
from tests.support.little_sets import write_folder

SMALL = ("--set", "options.base=2", "--set", "chip_px=32", "--batch-size", "2", "--device", "cpu", "--steps", "1")
PLAIN = ("--sensor", "s1", "--bands", "vv,vh", "--unit", "dB")
PIXEL_M = 40.0


@pytest.fixture(scope="module")
def coarse(tmp_path_factory) -> tuple[Path, Path]:
    """A catalogue of one Sentinel-1 scene with pixels of 40 m, and polygons on it."""
    folder = tmp_path_factory.mktemp("coarse scenes")  # a space: what is printed must survive a shell
    values = np.full((2, 60, 60), -9, np.float32) + np.random.default_rng(0).normal(0, 1, (2, 60, 60)).astype("f4")
    values[:, 20:40, 20:40] -= 12
    profile = {"driver": "GTiff", "dtype": "float32", "count": 2, "height": 60, "width": 60, "nodata": np.nan}
    where = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, PIXEL_M, PIXEL_M)}
    with rasterio.open(folder / "scene.tif", "w", **profile, **where) as file:
        file.write(values)
        file.descriptions = ("VV", "VH")
    add(
        [folder / "scene.tif"],
        folder / "catalog",
        Options(sensor="s1", units="db", time=datetime(2024, 5, 1, tzinfo=UTC)),
    )
    lake, land = box(500_900, 5_298_500, 501_500, 5_299_100), box(500_100, 5_299_300, 501_900, 5_299_800)
    frame = geopandas.GeoDataFrame({"class": ["water", "dry"]}, geometry=[lake, land], crs="EPSG:32632")
    frame.to_file(folder / "drawn.gpkg")
    return folder / "catalog", folder / "drawn.gpkg"


@pytest.fixture(scope="module")
def trained(coarse, tmp_path_factory) -> tuple[str, Path]:
    """What was printed, and the bundle."""
    catalog, drawn = coarse
    bundle = tmp_path_factory.mktemp("trained") / "my model"
    status, out, err = geoseg(
        "finetune", "--labels", drawn, "--scene", catalog, "--sensor", "s1", *SMALL, "--out", bundle
    )
    assert status == 0, err
    return out, bundle


def test_the_last_lines_are_a_command_that_works(trained, tmp_path, monkeypatch):
    out, bundle = trained
    before, last = out.splitlines()[-2:]
    assert before == "Map with:"
    words = shlex.split(last)
    assert words[:2] == ["geoseg", "map"] and str(bundle) in words
    monkeypatch.chdir(tmp_path)
    status, said, err = geoseg(*words[1:], "--json")
    assert status == 0, err
    assert json.loads(said)["shares_pct"]["not_observed"] < 100 and (tmp_path / "my-map" / "flood.tif").is_file()


def test_tiles_are_tiles_parameters_are_parameters_and_the_score_is_none_of_skill(trained):
    out, _ = trained
    assert "Learned from 1 tile: " in out and "Note: 1 tile: too few" in out
    assert " image" not in out.lower().replace("imagery", "") and "numbers" not in out
    assert re.search(r": [\d.,]+( M)? parameters, all of them learned\n", out)
    assert re.search(r"^Water IoU on what it learned from: \d\.\d\d \(this is no measure of skill\)$", out, re.M)


def test_the_seconds_hold_the_whole_command(tmp_path):
    folder = write_folder(tmp_path / "chips", 3)
    words = ("finetune", "--data", folder, *PLAIN, *SMALL, "--json", "--out", tmp_path / "m")
    status, out, err = geoseg(*words)
    assert status == 0, err
    record = json.loads(out)
    assert record["seconds_in_all"] >= record["seconds"]
    assert record["on_training"]["iou"] == record["card"]["training"]["on_training"]["iou"]
    assert "not a measure of skill" in record["on_training"]["mean"]
    assert record["map"].startswith("geoseg map --model ") and " --sensor s1 " in record["map"]
    assert "--bbox=WEST,SOUTH,EAST,NORTH" in record["map"] and "--date YYYY-MM-DD" in record["map"]


def test_a_coarse_scene_on_a_fine_grid_is_told_and_resolution_is_the_way_out(coarse, trained, tmp_path):
    catalog, drawn = coarse
    assert "own pixels are 40 m" in trained[0] and "--resolution 40" in trained[0]
    words = ("--labels", drawn, "--scene", catalog, "--sensor", "s1", *SMALL, "--resolution", "40")
    status, out, err = geoseg("finetune", *words, "--out", tmp_path / "m")
    assert status == 0, err
    assert "own pixels" not in out and out.splitlines()[-1].count("--resolution 40") == 1
    pixels = sum(int(each.replace(",", "")) for each in re.findall(r"([\d,]+) px", out))
    before = sum(int(each.replace(",", "")) for each in re.findall(r"([\d,]+) px", trained[0]))
    assert before > 10 * pixels > 0
    status, _, err = geoseg(
        "finetune", "--data", tmp_path, *PLAIN, *SMALL, "--resolution", "40", "--out", tmp_path / "n"
    )
    assert status == 2 and "--resolution is of --labels" in err


@pytest.mark.parametrize(
    ("bias", "said"), [(-9.0, "found no water anywhere"), (9.0, "calls all of the observed area water")]
)
def test_a_map_of_one_class_is_told_of_a_network_and_not_of_a_threshold(coarse, trained, tmp_path, bias, said):
    model = load_bundle(trained[1])
    head = [part for part in model.module.modules() if isinstance(part, nn.Conv2d) and part.out_channels == 1][-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(bias)
    save_bundle(tmp_path / "blind", model.module, model.card)
    where = ("--bbox", _box(trained[0]), "--date", "2024-05-01", "--sensor", "s1", "--catalog", coarse[0])
    told = {}
    for name, chosen in (("blind", tmp_path / "blind"), ("otsu", "otsu")):
        status, out, err = geoseg(
            "map", "--model", chosen, *where, "--resolution", "40", "--out", tmp_path / name, "--json"
        )
        assert status == 0, err
        told[name] = " ".join(json.loads(out)["notes"])
    assert said in told["blind"]
    assert "observed area" not in told["otsu"]


def _box(out: str) -> str:
    return next(
        word.removeprefix("--bbox=") for word in shlex.split(out.splitlines()[-1]) if word.startswith("--bbox=")
    )
