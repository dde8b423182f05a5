"""``geoseg evaluate`` as a person meets it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from geoseg.datasets.synthetic_dataset import EVENTS
from geoseg.evaluation.held_out import file_stem
from geoseg.evaluation.plan import read_evaluation
from tests.support.command import answered, geoseg, refused
from tests.support.made_regions import PLAIN, REGIONS, SMALL, TINY, scene, write_regions
from tests.support.rasters import write_chip

PAPERS = sorted(path.name for path in (Path(__file__).parents[2] / "configs" / "papers").glob("*.yaml"))

DYING = """
import os, signal, sys
from geoseg.training.loop import ProgressCallback
told = ProgressCallback.on_train_batch_end
def on_train_batch_end(self, trainer, *more):
    told(self, trainer, *more)
    if trainer.global_step == 3 and "Lagos" in str(trainer.default_root_dir):
        os.kill(os.getpid(), signal.SIGKILL)
ProgressCallback.on_train_batch_end = on_train_batch_end
from geoseg.cli.main import run
run(sys.argv[1:])
"""


ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def numbers(row: dict[str, str]) -> dict[str, float]:
    """A line of scores.csv without its words; what is empty is NaN."""
    words = ("model", "sensor", "block", "row", "region")
    return {key: float(value or "nan") for key, value in row.items() if key not in words}


def scores(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "scores.csv").read_text().splitlines()))


def test_it_prints_every_region_then_mean_and_spread(words, loro):
    out, answer = loro
    kinds = [(row["model"], row["row"], row["region"]) for row in answer["rows"]]
    assert kinds == [
        (model, *each)
        for model in ("otsu", "unet")
        for each in [*(("group", region) for region in REGIONS), ("mean", ""), ("std", ""), ("all", "")]
    ]
    status, text, _ = geoseg(*words, "--out", out)
    assert status == 0
    for word in ("iou_water", "mean (std)", "n = 3", "Kano", "U-Score", "hold no water"):
        assert word in text
    assert "Leave one region out" in (out / "table.md").read_text()
    assert len(scores(out)) == len(kinds)


def test_a_finished_fold_is_not_done_again_and_a_missing_one_is(words, loro, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(loro[0], out)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("result.json")}
    weights = (out / "unet" / "fold-Lagos" / "weights.safetensors").stat().st_mtime_ns
    lost = out / "unet" / "fold-Lagos" / "result.json"
    kept = json.loads(lost.read_text())["chips"][0]["matrix"]
    lost.unlink()
    answered(*words, "--out", out)
    after = {file: file.stat().st_mtime_ns for file in out.rglob("result.json")}
    assert {file for file in before if before[file] != after[file]} == {lost}
    assert (out / "unet" / "fold-Lagos" / "weights.safetensors").stat().st_mtime_ns == weights, "it was trained"
    again = json.loads(lost.read_text())["chips"][0]["matrix"]
    np.testing.assert_allclose(again, kept, atol=16)  # of 1600 pixels: sums may round otherwise


def test_other_settings_or_labels_are_not_taken_for_those_that_were(words, loro, regions, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(loro[0], out)
    said = refused(*words, "--set", "lr=0.02", "--out", out)
    assert "done with other data, models or settings" in said
    assert "--overwrite" in said
    assert len(list(out.rglob("result.json"))) == 8, "a refusal costs nothing"
    other = tmp_path / "chips"
    shutil.copytree(regions, other)
    _, mask = scene(0)
    write_chip(other / "masks" / "Kano" / "Kano_0.tif", 1 - np.abs(mask)[None])
    assert "done with other data" in refused(*(other if each == regions else each for each in words), "--out", out)
    answered(*words, "--set", "lr=0.02", "--out", out, "--overwrite", "--no-figures")


@pytest.mark.heavy
def test_killed_inside_a_fold_it_goes_on_to_the_same_numbers(regions, tmp_path):
    """Every run in a process of its own: what this one did before would change the last bits of sums."""
    words = ["evaluate", "loro", "--data", regions, *PLAIN, "--model", "unet", *SMALL, "--steps", "4", "--no-figures"]
    words += ["-q", "--held-out", "Kano,Lagos", "--out"]
    parts, whole = (tmp_path / name / "unet" for name in ("parts", "whole"))

    def started(*program: str, out: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, *program, *map(str, words), str(out)], env=os.environ | ALONE)

    unhurt, killed = started("-m", "geoseg", out=whole.parent), started("-c", DYING, out=parts.parent)
    assert (unhurt.wait(timeout=900), killed.wait(timeout=900)) == (0, -signal.SIGKILL)
    done = (parts / "fold-Kano" / "result.json").stat().st_mtime_ns
    assert not (parts / "fold-Lagos" / "card.yaml").exists()
    assert started("-m", "geoseg", out=parts.parent).wait(timeout=900) == 0
    assert (parts / "fold-Kano" / "result.json").stat().st_mtime_ns == done, "a finished fold was done again"
    for fold in ("fold-Kano", "fold-Lagos"):
        mine, theirs = (load_file(out / fold / "weights.safetensors") for out in (parts, whole))
        assert mine.keys() == theirs.keys()
        for key in mine:
            np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-3, atol=1e-5, err_msg=f"{fold} {key}")
    mine, theirs = scores(parts.parent), scores(whole.parent)
    assert len(mine) == len(theirs) == 5
    for one, other in zip(mine, theirs, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), abs=0.01, nan_ok=True)


def test_a_bundle_is_scored_as_it_is_and_what_it_learned_from_is_told(regions, loro, tmp_path):
    bundle = loro[0] / "unet" / "fold-Kano"
    words = ("evaluate", "loro", "--data", regions, *PLAIN, "--model", bundle, "--no-train", "--no-figures")
    answer = answered(*words, "--out", tmp_path / "out")
    assert {row["model"] for row in answer["rows"]} == {"fold-Kano"}
    assert answer["costs"][0]["trainable"] is None
    assert "fold-Kano had learned from 3 of the 4 regions: Lagos, Niamey, Sahara." in answer["warning"]
    assert not any("learned from" in note for note in answer["notes"]), "said once"
    learned = {row["region"]: row["learned_from"] for row in answer["rows"] if row["row"] == "group"}
    assert learned == {"Kano": 0, "Lagos": 1, "Niamey": 1, "Sahara": 1}
    rows = {row["row"]: row for row in answer["rows"] if row["row"] != "group"}
    assert rows["mean_unseen"]["scores"]["iou_water"] == answer["costs"][0]["score"]
    assert (rows["mean"]["learned_from"], rows["mean_unseen"]["learned_from"]) == (3, 0)
    kano = {row["region"]: row["scores"] for row in answer["rows"] if row["row"] == "group"}["Kano"]
    theirs = next(r["scores"] for r in loro[1]["rows"] if (r["model"], r["region"]) == ("unet", "Kano"))
    assert kano == pytest.approx(theirs, abs=0.01)


def test_a_bundle_that_goes_on_learning_is_told_of_what_it_knew(regions, loro, tmp_path):
    bundle = loro[0] / "unet" / "fold-Kano"
    words = ("evaluate", "loro", "--data", regions, *PLAIN, "--model", bundle, "--held-out", "Kano,Lagos")
    small = ("--steps", "1", "--set", "batch_size=2", "--device", "cpu", "--no-figures")
    answer = answered(*words, *small, "--out", tmp_path / "out")
    assert "fold-Kano had learned from 1 of the 2 regions: Lagos." in answer["warning"]
    result = tmp_path / "out" / "fold-Kano" / "fold-Lagos" / "result.json"
    result.write_text(json.dumps(json.loads(result.read_text()) | {"learned_from": []}))
    assert "Lagos" in answered(*words, *small, "--out", tmp_path / "out")["warning"], "as an earlier version wrote it"


def test_the_warning_is_the_first_thing_that_is_said(regions, loro, tmp_path):
    out = tmp_path / "out"
    words = ("evaluate", "loro", "--data", regions, *PLAIN, "--model", loro[0] / "unet" / "fold-Kano", "--no-train")
    status, text, err = geoseg(*words, "--out", out)
    assert status == 0, err
    assert text.startswith("Warning: fold-Kano had learned from 3 of the 4 regions")
    assert "accuracy_class_mean" in text
    lines = (out / "table.md").read_text().splitlines()
    assert lines[2].startswith("**Warning:**")
    assert "mean water IoU of unseen regions (std)" in lines[4]
    assert (out / "figures" / "regions.png").is_file()


def test_a_split_is_judged_on_the_test_and_on_what_is_unseen(tmp_path):
    data = write_regions(tmp_path / "chips", {"Kano": 2, "Niamey": 1}, split="train")
    write_regions(data, {"Lagos": 2}, split="test")
    out = tmp_path / "out"
    answer = answered("evaluate", "split", "--data", data, *PLAIN, "--model", "otsu,unet", *TINY, "--out", out)
    assert {(row["block"], row["row"]) for row in answer["rows"]} == {("test", "group"), ("test", "all")}
    assert (out / "unet" / "fold-split" / "masks" / "Lagos_1.tif").is_file()
    assert (out / "figures" / "regions-test.png").is_file()


@pytest.mark.parametrize("protocol", ["split", "loro"])
def test_labelled_chips_are_scored_without_training(protocol, tmp_path):
    data = write_regions(tmp_path / "chips", {"Lagos": 2}, split="test")
    words = ("evaluate", protocol, "--data", data, *PLAIN, "--model", "otsu", "--out", tmp_path / "out", "--no-figures")
    answer = answered(*words, "--no-train")
    group, *_ = answer["rows"]
    assert (group["row"], group["region"], group["chips"]) == ("group", "Lagos", 2)
    assert group["scores"]["iou_water"] > 0.5
    again = answered(*words)  # a baseline learns nothing with or without --no-train
    assert again["rows"] == answer["rows"]


def test_a_few_shot_curve_has_modes_draws_and_a_line_for_what_learns_nothing(regions, tmp_path):
    out = tmp_path / "out"
    words = ("evaluate", "fewshot", "--data", regions, *PLAIN, "--held-out", "Niamey", "--model", "otsu,unet", *TINY)
    more = ("--shots", "2,3", "--repeats", "2", "--modes", "frozen,full", "--out", out)
    answer = answered(*words, *more)
    means = [(row["model"], row["shots"]) for row in answer["rows"] if row["row"] == "mean"]
    assert means == [(f"unet {mode}", shots) for mode in ("frozen", "full") for shots in (2, 3)]
    assert [row["shots"] for row in answer["rows"] if row["model"] == "otsu"] == [0]
    trained = {row["label"]: row["trainable"] for row in answer["costs"]}
    assert trained["unet frozen"] < trained["unet full"]
    assert (out / "figures" / "few-shot.png").is_file()
    fold = out / file_stem("unet full") / "fold-Niamey-2-shots-1"
    assert len(json.loads((fold / "result.json").read_text())["trained_on"]) == 2
    pairs = [(pair["first"], pair["second"], pair["block"], pair["units"]) for pair in answer["pairs"]]
    assert pairs == [("unet frozen", "unet full", f"{shots} shots", "draw") for shots in (2, 3)], "one region, one chip"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("loro", "--model", "unet", "--no-train"), "network without weights"),
        (("loro", "--model", "uent"), "Did you mean"),
        (("loro", "--model", "ndwi"), "reads green, nir"),
        (("loro", "--model", "unet", "--held-out", "Atlantis"), "no region 'Atlantis'"),
        (("loro", "--model", "unet", "--regions", "id"), "chip by chip"),
        (("loro", "--model", "unet", "--regions", "split"), "one region"),
        (("loro", "--model", "unet", "--regions", "id:(Q)?"), "id:(Q)? does not match the id Kano_0"),
        (("loro", "--model", "unet", "--set", "lr"), "is not KEY=VALUE"),
        (("loro", "--model", "unet", "--set", "leaning_rate=1"), "leaning_rate"),
        (("loro",), "No model was named"),
        (("split", "--model", "unet"), "train and test are needed"),
        (("fewshot", "--model", "unet", "--shots", "2,50"), "50 shots were asked for"),
        (("fewshot", "--model", "unet", "--shots", "two"), "--shots"),
        (("fewshot", "--model", "unet", "--modes", "thawed"), "frozen, lora and full"),
        (("leave-one-out", "--model", "unet"), "split, loro or fewshot"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words, complaint, regions, tmp_path):
    out = tmp_path / "out"
    assert complaint in refused("evaluate", *words, "--data", regions, *PLAIN, "--out", out)
    assert not out.exists(), "nothing is left behind"


def test_a_fold_that_lacks_a_class_is_refused_before_any_training(tmp_path):
    data = write_regions(tmp_path / "chips", {"Kano": 1, "Sahara": 2}, dry=["Sahara"])
    said = refused("evaluate", "loro", "--data", data, *PLAIN, "--model", "unet", *TINY, "--out", tmp_path / "out")
    assert "Fold Kano" in said
    assert "no water" in said
    assert not (tmp_path / "out").exists()


def test_a_setting_may_be_one_models(tmp_path):
    config = tmp_path / "plan.yaml"
    plain = {"models": {"unet": {}, "unet-wide": {"model": "unet"}, "clay-v1.5": {}}, "recipe": {"lr": 0.1}}
    config.write_text(yaml.safe_dump(plain))
    lines = ["unet-wide.options.base=4", "clay-v1.5.model=clay-v1.5-tiny", "steps=3", "augment.zoom=0.2"]
    plan = read_evaluation(config).with_settings({"lr": 0.2}, lines)
    assert plan.models["unet-wide"].recipe == {"options": {"base": 4}}
    assert plan.models["unet"].recipe == {}
    assert (plan.models["clay-v1.5"].model, plan.models["clay-v1.5"].recipe) == ("clay-v1.5-tiny", {})
    assert plan.recipe == {"lr": 0.2, "steps": 3, "augment": {"zoom": 0.2}}


def write_floodplanet(folder: Path) -> Path:
    """Nineteen sites in FloodPlanet's layout (FloodDuo's arrangement), a lake in each of two chips."""
    for number, region in enumerate(EVENTS):
        for split in ("train", "test"):
            image, mask = scene(number, 32)
            reflectance = np.repeat((image[:1] + 25) / 100, 4, axis=0).astype(np.float32)
            name = f"FP_{region}_X_{split}{number}.tif"
            write_chip(folder / split / "image" / name, np.nan_to_num(reflectance), number)
            write_chip(folder / split / "mask" / name, np.maximum(mask, 0).astype(np.uint8)[None], number, nodata=255)
    return folder


@pytest.mark.parametrize(("protocol", "config"), [("loro", "floodplanet-five"), ("split", "floodplanet")])
def test_the_flood_papers_configurations_run_as_they_are_but_smaller(protocol, config, tmp_path):
    data = write_floodplanet(tmp_path / "floodplanet")
    small = ["--set", "unet.options.base=2", "--set", "unet.chip_px=32", "--steps", "1", "--set", "batch_size=2"]
    words = ("evaluate", protocol, "--config", f"papers/{config}", "--data", data, "--model", "unet", *small)
    answer = answered(*words, "--out", tmp_path / "out", "--no-figures", "--device", "cpu")
    regions = [row["region"] for row in answer["rows"] if row["row"] == "group"]
    if protocol == "loro":
        assert regions == ["Ghana", "Somalia", "Cambodia", "Spain", "USA"]
        usa = next(row for row in answer["rows"] if row["region"] == "USA")
        assert usa["chips"] == 16
    else:
        assert len(regions) == 19


def test_the_building_papers_configuration_runs_as_it_is_but_smaller(tmp_path):
    data = tmp_path / "massachusetts"
    for number, split in enumerate(("train", "train", "valid", "test")):
        image, mask = scene(number, 64)
        picture = np.repeat(np.nan_to_num((image[:1] + 30) * 8, nan=90), 3, axis=0).astype(np.uint8)
        name = f"2267893{number}_15.tif"
        write_chip(data / split / "sat" / name, picture, nodata=0)
        write_chip(data / split / "map" / name, (mask[None] == 1).astype(np.uint8) * 255, nodata=7)
    words = ("evaluate", "split", "--config", "papers/massachusetts", "--data", data, "--model")
    small = ("unetplusplus-efficientnet-b0", "--steps", "1", "--set", "chip_px=32", "--set", "batch_size=2")
    answer = answered(*words, *small, "--out", tmp_path / "out", "--device", "cpu", "--no-figures")
    assert answer["headline"] == "iou_building"
    assert {"iou_class_mean", "accuracy_class_mean", "precision_building"} <= set(answer["rows"][0]["scores"])


@pytest.mark.parametrize("name", PAPERS)
def test_every_papers_configuration_names_what_there_is(name):
    from geoseg.catalog.datasets import dataset
    from geoseg.models.create import resolve_model
    from geoseg.training.plan import merged, recipe_of

    plan = read_evaluation(Path("papers") / Path(name).stem)
    assert plan.models
    for label, spec in plan.models.items():
        model = spec.model or label
        if resolve_model(model).kind == "network":
            recipe_of({**merged(plan.recipe, spec.recipe), "model": model})
    for source in plan.sources:
        bands = dataset(source.data).bands
        assert all(set(each.bands or ()) <= set(bands) for each in plan.models.values())
