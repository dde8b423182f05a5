"""Whatever regions, models and images are called, each has files of its own, and only its own are taken up again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from geoseg.catalog.target import WATER
from geoseg.core.hashing import file_sha256
from geoseg.core.progress import silent
from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.errors import OutputExistsError
from geoseg.evaluation.folds import Fold
from geoseg.evaluation.held_out import file_stem
from geoseg.evaluation.protocol import Task, _trained
from geoseg.evaluation.records import read_fold
from geoseg.evaluation.runs import Run
from geoseg.models.create import resolve_model
from geoseg.training.recipe import Recipe
from tests.support.command import answered, refused
from tests.support.made_regions import PLAIN, TINY, scene, write_regions
from tests.support.rasters import write_chip


@given(st.sets(st.text(st.sampled_from("ab-./ _é北\udcff")), min_size=2))
def test_no_two_names_share_a_file(names):
    stems = {name: file_stem(name) for name in names}
    assert len(set(stems.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._+-]+", stem) and stem[0] not in "-." for stem in stems.values())


def test_a_name_that_a_path_can_hold_is_kept_and_any_other_stays_readable():
    assert file_stem("unet-resnet18_2.1+a") == "unet-resnet18_2.1+a"
    assert file_stem("South Sudan/12") == "South-Sudan-12-857070930e", "a later run must find what this one wrote"
    assert file_stem("北京").startswith("image-")


def write_named(folder: Path, *names: tuple[str, str]) -> Path:
    """Chips by region and file name."""
    for number, (region, name) in enumerate(names):
        image, mask = scene(number)
        write_chip(folder / "images" / region / f"{name}.tif", image, number)
        write_chip(folder / "masks" / region / f"{name}.tif", mask[None], number)
    return folder


def test_regions_that_look_alike_in_a_path_are_trained_and_judged_apart(tmp_path):
    names = [("北京", "p"), ("上海", "q"), ("a b", "r"), ("a-b", "s")]
    data = write_named(tmp_path / "chips", *names)
    out = tmp_path / "out"
    words = ("evaluate", "loro", "--data", data, *PLAIN, "--model", "unet", *TINY, "--no-figures", "--out", out)
    answered(*words)
    results = {file: read_fold(file) for file in out.rglob("result.json")}
    assert sorted(fold.fold for fold in results.values()) == sorted(region for region, _ in names)
    for file, fold in results.items():
        training = yaml.safe_load((file.parent / "card.yaml").read_text())["training"]
        learned = {*training["trained_on"], *training.get("validated_on", ())}
        assert learned == set(fold.trained_on), "the network of this fold is that of another"
        assert not {chip.id for chip in fold.chips} & learned
    before = {file: file.stat().st_mtime_ns for file in results}
    answered(*words)
    assert {file: file.stat().st_mtime_ns for file in out.rglob("result.json")} == before


def test_models_and_images_that_look_alike_in_a_path_keep_their_masks(loro, tmp_path):
    names = [(region, f"{region}{name}") for region in ("x", "y") for name in ("é1", "è1", " b", "-b")]
    data = write_named(tmp_path / "chips", *names)
    for name in ("a b", "a-b"):
        shutil.copytree(loro[0] / "unet" / "fold-Kano", tmp_path / name)
    out, models = tmp_path / "out", f"{tmp_path}/a b,{tmp_path}/a-b"
    answered("evaluate", "loro", "--data", data, *PLAIN, "--model", models, "--no-train", "--no-figures", "--out", out)
    folds = [(file.parent, read_fold(file)) for file in out.rglob("result.json")]
    assert sorted((fold.label, fold.fold) for _, fold in folds) == [(m, r) for m in ("a b", "a-b") for r in ("x", "y")]
    for folder, fold in folds:
        for kind in ("mask", "probability"):
            files = {folder / getattr(chip, kind) for chip in fold.chips}
            assert len(files) == 4
            assert all(file.is_file() for file in files)


def test_two_models_of_one_name_are_refused(regions, tmp_path):
    config = tmp_path / "plan.yaml"
    models = {"unet": {}, "unet full": {"model": "unet"}}
    config.write_text(yaml.safe_dump({"models": models, "modes": ["", "full"]}))
    said = refused("evaluate", "loro", "--config", config, "--data", regions, *PLAIN, *TINY, "--out", tmp_path / "out")
    assert "Two models are called unet full" in said
    assert not (tmp_path / "out").exists()


def test_a_network_of_another_fold_is_never_taken_for_this_ones(loro, tmp_path):
    """As where a second run writes into the same folder after this one had looked."""
    folder = tmp_path / "fold-Kano"
    shutil.copytree(loro[0] / "unet" / "fold-Kano", folder)
    image, mask = scene(1)
    pair = Pair("p", "r", "", da.from_array(image, name=False), da.from_array(mask, name=False))
    data = LabelledSet("made", (pair,), ("vv", "vh"), "dB", "s1", ("dry", "water"), WATER)
    run = Run("unet", resolve_model("unet"), "", data, Recipe(model="unet"))
    own = json.loads((folder / "trained.json").read_text())
    assert _trained(Task(run, Fold("Kano", data, data), folder, own["fingerprint"]), "cpu", silent) == own
    with pytest.raises(OutputExistsError, match="done with other data, models or settings"):
        _trained(Task(run, Fold("Kano", data, data), folder, "other"), "cpu", silent)


def test_a_fold_that_went_on_from_another_bundle_is_not_taken_up(regions, loro, tmp_path):
    bundle = tmp_path / "start"
    shutil.copytree(loro[0] / "unet" / "fold-Kano", bundle)
    words = ("evaluate", "loro", "--data", regions, *PLAIN, "--model", bundle, "--held-out", "Kano", "--no-figures")
    words += ("--steps", "1", "--set", "batch_size=2", "--device", "cpu", "--out", tmp_path / "out")
    answered(*words)
    card = yaml.safe_load((bundle / "card.yaml").read_text())
    card["normalisation"]["bands"]["vv"]["mean"] += 3.0
    (bundle / "card.yaml").write_text(yaml.safe_dump(card))
    assert "done with other data, models or settings" in refused(*words)
    answered(*words, "--overwrite")


@pytest.fixture(scope="module")
def broken(loro, tmp_path_factory) -> Path:
    """A bundle whose weights are numbers, and whose answers are none: its sums overflow."""
    folder = tmp_path_factory.mktemp("bundles") / "broken"
    shutil.copytree(loro[0] / "unet" / "fold-Kano", folder)
    file = folder / "weights.safetensors"
    weights = load_file(file)
    save_file({key: each * np.float32(1e30) if each.ndim == 4 else each for key, each in weights.items()}, file)
    card = yaml.safe_load((folder / "card.yaml").read_text())
    (folder / "card.yaml").write_text(yaml.safe_dump(card | {"sha256": file_sha256(file)}))
    return folder


@pytest.mark.parametrize("others", ["", "otsu"])
def test_a_model_that_gives_no_number_is_told_apart_from_an_image_that_shows_nothing(others, broken, tmp_path):
    data = write_regions(tmp_path / "chips", {"Kano": 1, "Sahara": 1}, dry=["Sahara"])
    write_chip(data / "images" / "Hidden" / "Hidden_0.tif", np.full((2, 40, 40), np.nan, np.float32), 9)
    write_chip(data / "masks" / "Hidden" / "Hidden_0.tif", scene(7)[1][None], 9)
    words = ("evaluate", "loro", "--data", data, *PLAIN, "--no-train", "--no-figures", "--device", "cpu")
    models = f"{broken},{others}".removesuffix(",")
    notes = answered(*words, "--model", models, "--out", tmp_path / "out")["notes"]
    labelled = 2 * (39 * 40 - 36)  # the last row has no label, a corner of 6 x 6 was not observed
    assert [note for note in notes if note.startswith("broken gave no number")] == [
        f"broken gave no number for {labelled:,} labelled pixels of Kano, Sahara that the images show, and no score of "
        "it counts them: check that they are in its unit, or train it again."
    ]
    assert "No pixel of Hidden is both labelled and observed, so nothing is scored there." in notes
    dry = [note for note in notes if "hold no water" in note]
    assert len(dry) == bool(others), "who answered tells what the labels hold"
