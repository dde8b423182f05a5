"""``geoseg finetune`` as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import yaml
from rasterio.features import shapes
from shapely.geometry import shape

from geoseg.catalog.cards import CARD, WEIGHTS
from geoseg.cli.main import run
from geoseg.training.loop import ProgressCallback
from tests.support.command import geoseg
from tests.support.little_sets import same_weights, write_folder

PLAIN = ("--sensor", "s1", "--bands", "vv,vh", "--unit", "dB")
SMALL = ("--model", "unet", "--set", "options.base=2", "--set", "round_steps=2", "--batch-size", "2", "--device", "cpu")
LARGER = ("--set", "options.base=4", "--set", "chip_px=64", "--set", "round_steps=80")

DYING = """
import os, signal, sys
from geoseg.training.loop import ProgressCallback
told = ProgressCallback.on_train_batch_end
def on_train_batch_end(self, trainer, *more):
    told(self, trainer, *more)
    if trainer.global_step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
ProgressCallback.on_train_batch_end = on_train_batch_end
from geoseg.cli.main import run
run(sys.argv[1:])
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_folder(tmp_path / "chips", 4)


@pytest.mark.heavy
def test_killed_and_resumed_it_comes_to_the_same_numbers(folder, tmp_path):
    words = ["finetune", "--data", str(folder), *PLAIN, *SMALL, "--steps", "8", "--set", "ema=0.5", "-q", "--out"]
    whole, parts = (tmp_path / name / "m" for name in ("whole", "parts"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}

    def started(*command: object) -> subprocess.Popen:
        # every run in a process of its own: what this one did before must not matter
        return subprocess.Popen([sys.executable, *map(str, command)], env=environment)

    killed, unhurt = started("-c", DYING, *words, parts), started("-m", "geoseg", *words, whole)
    assert (killed.wait(timeout=900), unhurt.wait(timeout=900)) == (-signal.SIGKILL, 0)
    assert not (parts / CARD).exists()
    status, _, err = geoseg(*words, parts)
    assert status == 1 and "--resume" in err
    assert started("-m", "geoseg", *words, parts, "--resume").wait(timeout=900) == 0
    assert same_weights(parts, whole)


def test_interrupted_it_says_how_to_go_on(folder, tmp_path, monkeypatch):
    words = ("finetune", "--data", folder, *PLAIN, *SMALL, "--steps", "6", "--out", tmp_path / "m")
    told = ProgressCallback.on_train_batch_end

    def pressed(self, trainer, *more):
        told(self, trainer, *more)
        if trainer.global_step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressCallback, "on_train_batch_end", pressed)
        status, _, err = geoseg(*words)
    assert status == 130 and "the same command with --resume carries on" in err and "Traceback" not in err
    status, out, err = geoseg(*words, "--resume", "--json")
    assert status == 0, err
    assert [line["step"] for line in json.loads(out)["history"]] == [2, 4, 6]


@pytest.mark.heavy
def test_two_devices_write_one_bundle(tmp_path):
    """One square of validation: one device has nothing to look at, and must not wait for the other."""
    folder = write_folder(tmp_path / "chips", 3, splits=("train", "val", "train"))
    words = (
        "finetune",
        "--data",
        folder,
        *PLAIN,
        *SMALL,
        "--steps",
        "3",
        "--devices",
        "2",
        "--json",
        "--out",
        tmp_path / "m",
    )
    command = [sys.executable, "-m", "geoseg", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    said = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
    assert said.returncode == 0, said.stderr
    record = json.loads(said.stdout)
    assert [line["step"] for line in record["history"]] == [2, 3]
    assert sorted(each.name for each in (tmp_path / "m").iterdir()) == [CARD, "training", WEIGHTS]


def test_json_is_one_object_and_errors_are_one_line(folder, tmp_path):
    base = ("finetune", "--data", folder, *PLAIN, *SMALL, "--steps", "1", "--json", "--out", tmp_path / "m")
    status, out, _ = geoseg(*base)
    record = json.loads(out)
    assert status == 0 and record["bundle"] == str(tmp_path / "m") and record["parameters"] == record["trainable"]
    assert record["card"]["training"]["trained_on"] == ["p0", "p1", "p2", "p3"]
    for more, code, said in (
        (("--set", "lrr=1"), 2, "lrr"),
        (("--set", "lr"), 2, "KEY=VALUE"),
        (("--freeze", "half"), 2, "freeze"),
        (("--shots", "9"), 1, "9 shots"),
        (("--config", tmp_path / "no.yaml"), 2, "no.yaml"),
        ((), 1, "--overwrite"),
        (("--resume",), 1, "holds no run"),
    ):
        status, out, err = geoseg(*base, *more)
        errors = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert (status, len(errors)) == (code, 1) and said in errors[0], (more, err)
        assert said in json.loads(out)["error"]["message"]
    status, _, err = geoseg("finetune", "--out", tmp_path / "n")
    assert status == 2 and "Error: " in err


def test_a_plan_file_and_flags_that_win(folder, tmp_path):
    plan = {
        "sources": [{"data": str(folder), "sensor": "s1", "unit": "dB", "bands": ["vv", "vh"]}],
        "recipe": {"model": "unet", "options": {"base": 2}, "steps": 9, "batch_size": 2, "seed": 4},
        "limits": ["Only a toy."],
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    words = ("--config", tmp_path / "plan.yaml", "--steps", "1", "--shots", "2", "--out", tmp_path / "m")
    status, out, err = geoseg("finetune", *words)
    assert status == 0, err
    card = yaml.safe_load((tmp_path / "m" / CARD).read_text())
    assert card["training"]["recipe"] | {"steps": 1, "seed": 4} == card["training"]["recipe"]
    assert "Only a toy." in card["limits"] and len(card["training"]["trained_on"]) == 2
    assert "geoseg map --model" in out


@pytest.fixture(scope="module")
def spain(data, tmp_path_factory) -> tuple[Path, Path, Path]:
    """A catalogue of one Sentinel-1 chip, and polygons drawn on it."""
    folder = tmp_path_factory.mktemp("spain")
    chip = data / "sen1floods11" / "S1Hand" / "Somalia_699062_S1Hand.tif"
    words = ("--sensor", "s1", "--units", "db", "--date", "2018-05-07", "-o", folder / "catalog", "-q")
    status, _, err = geoseg("catalog", "add", chip, *words)
    assert status == 0, err
    with rasterio.open(data / "sen1floods11" / "LabelHand" / "Somalia_699062_LabelHand.tif") as file:
        label, transform, crs = file.read(1), file.transform, file.crs
    drawn = [(shape(each), int(value)) for each, value in shapes(label, label >= 0, transform=transform)]
    chosen = [(g, v) for v in (0, 1) for g, v in sorted((d for d in drawn if d[1] == v), key=lambda d: -d[0].area)[:5]]
    kept = [(g.buffer(-2e-4) if v == 0 else g, ("dry", "water")[v]) for g, v in chosen]
    frame = geopandas.GeoDataFrame({"class": [v for _, v in kept]}, geometry=[g for g, _ in kept], crs=crs)
    frame.to_file(folder / "drawn.gpkg")
    return folder / "catalog", folder / "drawn.gpkg", chip


def test_polygons_on_a_real_scene_become_a_model_that_maps_it(spain, tmp_path):
    catalog, drawn, chip = spain
    words = ("--labels", drawn, "--scene", catalog, "--sensor", "s1", *SMALL, "--steps", "80", "--batch-size", "4")
    status, _, err = geoseg("finetune", *words, "--set", "lr=0.01", *LARGER, "--out", tmp_path / "mine")
    assert status == 0, err
    card = yaml.safe_load((tmp_path / "mine" / CARD).read_text())
    assert card["bands"] == ["vv", "vh"] and card["unit"] == "dB" and "drawn.gpkg" in card["training_data"][0]
    with rasterio.open(chip) as file:
        west, south, east, north = file.bounds
    middle = f"{west + 0.01},{south + 0.01},{east - 0.01},{north - 0.01}"
    where = ("--bbox", middle, "--date", "2018-05-07", "--sensor", "s1", "--catalog", catalog)
    status, _, err = geoseg("map", "--model", tmp_path / "mine", *where, "--out", tmp_path / "map", "-q")
    assert status == 0, err
    with rasterio.open(next((tmp_path / "map").rglob("flood.tif"))) as file:
        found = file.read(1)
    assert {0, 1} <= set(np.unique(found)), "both dry and wet ground, as in the label"


def test_five_shots_of_real_chips(data, tmp_path):
    words = ("--data", data / "sen1floods11", "--shots", "5", "--seed", "1", *SMALL, "--steps", "2")
    status, out, err = geoseg("finetune", *words, "--set", "chip_px=64", "--json", "--out", tmp_path / "m")
    assert status == 0, err
    record = json.loads(out)
    assert len(record["card"]["training"]["trained_on"]) == 5
    assert record["notes"] and any("few" in note for note in record["notes"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "options.base=-4"], "cannot be built"),
        (["--set", "options.base=0"], "a layer of nothing"),
        (["--set", "options.base=1000000"], "would hold"),
        (["--set", "options.bands=3"], "bands is no option"),
        (["--set", "lr=2020-13-45"], "no value that YAML knows"),
        (["--steps", "1" + 30 * "0"], "steps"),
        (["--device", "foo"], "--device is auto, cpu or cuda"),
        (["--config", "/"], "cannot be read"),
    ],
)
def test_what_cannot_be_is_one_line(words, said, tmp_path, data, capfd):
    status = run(["finetune", "-q", "--data", str(data / "sen1floods11"), *words, "--out", str(tmp_path / "out")])
    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
