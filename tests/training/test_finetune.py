"""From labelled images to a bundle: seeds, splits, what is refused, and what stands on the card."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from geoseg.catalog.cards import WEIGHTS
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import (
    BadOptionError,
    BandMismatchError,
    NotTrainableError,
    OutputExistsError,
    OutputNotWritableError,
    UnknownNameError,
    WeightsMissingError,
)
from geoseg.models.create import load_model
from geoseg.training.plan import TrainingPlan
from geoseg.training.sources import TrainingSource
from tests.support.little_sets import (
    finetune,
    little_set,
    pair,
    recipe,
    run_plan,
    same_history,
    same_weights,
    scene,
    set_of,
    write_folder,
)


def test_seeds_make_the_run(tmp_path):
    data = little_set()
    one, same, other = (
        finetune(data, recipe(seed=seed), tmp_path / name / "m") for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert same_weights(one.folder, same.folder)
    assert not same_weights(one.folder, other.folder)
    assert same_history(one.history, same.history)
    assert not same_history(one.history, other.history)


def test_the_callers_own_chance_is_left_alone(tmp_path):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    finetune(little_set(), recipe(steps=1), tmp_path / "m")
    assert torch.equal(torch.rand(3), wanted)


def test_a_test_split_is_never_learned_from(tmp_path):
    plain = little_set(4, splits="ttxx")
    image, mask = scene(99)
    spoiled = [pair(image, 1 - mask, each.id, each.region, "test") for each in plain.pairs[2:]]
    other = replace(plain, pairs=(*plain.pairs[:2], *spoiled))
    one, same = (finetune(data, recipe(), tmp_path / name / "m") for name, data in (("a", plain), ("b", other)))
    assert same_weights(one.folder, same.folder)
    assert one.card.training.trained_on == ("p0", "p1")
    assert any("2 images of test splits" in note for note in one.notes)


def test_it_learns(tmp_path):
    done = finetune(little_set(10, 32, 5), recipe(steps=40, lr=0.05, batch_size=4, round_steps=20), tmp_path / "m")
    assert done.history[-1]["val_iou"] > 0.5
    assert (
        done.parameters == done.trainable == sum(each.numel() for each in load_model(done.folder).module.parameters())
    )


def test_what_is_in_the_way_is_not_overwritten(tmp_path):
    finetune(little_set(), recipe(steps=1), tmp_path / "m")
    before = (tmp_path / "m" / WEIGHTS).read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        finetune(little_set(), recipe(steps=1, seed=1), tmp_path / "m")
    assert (tmp_path / "m" / WEIGHTS).read_bytes() == before
    finetune(little_set(), recipe(steps=1, seed=1), tmp_path / "m", overwrite=True)
    assert (tmp_path / "m" / WEIGHTS).read_bytes() != before
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError):
        finetune(little_set(), recipe(steps=1), tmp_path / "file" / "m")


def test_labels_that_teach_nothing_are_refused_before_anything_is_written(tmp_path):
    image, mask = scene(0)
    for labels in (np.full_like(mask, UNLABELLED), np.ones_like(mask)):
        with pytest.raises(NotTrainableError):
            finetune(set_of(pair(image, labels)), recipe(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"model": "unett"}, UnknownNameError),
        ({"model": "otsu", "options": {}}, BadOptionError),
        ({"options": {"bass": 2}}, BadOptionError),
        ({"loss": "hinge"}, UnknownNameError),
        ({"freeze": "first:50"}, BadOptionError),
        ({"model": "clay-v1.5", "options": {}}, WeightsMissingError),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, values, error):
    with pytest.raises(error) as told:
        finetune(little_set(), recipe(**values), tmp_path / "m")
    assert "\n" not in str(told.value)


def test_a_bundle_goes_on_from_its_weights(tmp_path):
    data = little_set()
    first = finetune(data, recipe(), tmp_path / "first")
    still = recipe(model=str(first.folder), options={}, lr=1e-12, weight_decay=0, steps=1, freeze="encoder")
    second = finetune(data, still, tmp_path / "second")
    one, two = (load_model(each.folder).module.state_dict() for each in (first, second))
    assert all(
        torch.allclose(one[key], two[key], atol=1e-6) for key in one if "running" not in key and "num" not in key
    )
    assert second.card.normalisation == first.card.normalisation
    assert second.card.training_data == first.card.training_data
    with pytest.raises(BandMismatchError, match="vv, vh"):
        finetune(data.with_bands(["vh", "vv"]), still, tmp_path / "third")


def test_images_of_any_size_and_smaller_than_a_chip(tmp_path):
    sizes = (17, 40, 33)
    data = set_of(*(pair(*scene(index, side), f"p{index}") for index, side in enumerate(sizes)))
    for how in (recipe(chip_px=48), recipe(), recipe(model="clay-v1.5-tiny", options={}, from_scratch=True, steps=1)):
        done = finetune(data, how, tmp_path / "m", overwrite=True)
        assert np.isfinite(done.history[-1]["loss"])


def test_the_card_says_what_happened(tmp_path):
    data = little_set(10, 32, 5, splits="ttttttvvxx")
    done = finetune(data, recipe(seed=2, loss="bce+dice"), tmp_path / "mine", limits=("It is a toy.",))
    card, run = done.card, done.card.training
    counted = np.zeros(2, int)
    for each in data.pairs[:6]:
        image, mask = each.read()
        counted += [int(((mask == cls) & np.isfinite(image).all(axis=0)).sum()) for cls in (0, 1)]
    assert run.labelled_px == {"dry": counted[0], "water": counted[1]}
    assert run.trained_on == tuple(f"p{n}" for n in range(6)) and run.validated_on == ("p6", "p7")
    assert (card.name, card.bands, card.unit, card.sensors, card.classes) == (
        "mine",
        ("vv", "vh"),
        "dB",
        ("s1",),
        ("water",),
    )
    assert card.training_data == data.sources and "It is a toy." in card.limits
    assert run.recipe["seed"] == 2 and run.recipe["loss"] == "bce+dice" and run.seconds > 0
    assert run.versions["torch"] == torch.__version__ and {"geoseg", "python"} <= run.versions.keys()
    assert card.scores.keys() == run.scores_mean.keys() == {"validation_iou_water"}
    assert run.device.startswith("CPU")
    pixels = np.concatenate([each.read()[0].reshape(2, -1) for each in data.pairs[:6]], axis=1)
    for band, values in zip(card.bands, pixels.astype(float), strict=True):
        assert card.normalisation.bands[band].mean == pytest.approx(values.mean(), abs=1e-4)
        assert card.normalisation.bands[band].std == pytest.approx(values.std(), abs=1e-4)
    assert load_model(done.folder).card == card
    bare = finetune(little_set(), recipe(), tmp_path / "bare").card
    assert bare.scores == {} and any("Nobody scored it" in limit for limit in bare.limits)
    assert bare.training.data_sha256 != run.data_sha256


def test_a_plan_gathers_draws_and_trains(tmp_path):
    folder = write_folder(tmp_path / "data", 6)
    source = TrainingSource(data=str(folder), sensor="s1", unit="dB", bands=("vv", "vh"))
    small = {"model": "unet", "options": {"base": 2}, "steps": 2, "batch_size": 2}
    done = run_plan(
        TrainingPlan(sources=(source,), shots=3, recipe=small), {"seed": 1}, tmp_path / "m", cache=tmp_path / "c"
    )
    assert len(done.card.training.trained_on) == 3 and list((tmp_path / "c").iterdir())
    with pytest.raises(NotTrainableError, match="7 shots"):
        run_plan(TrainingPlan(sources=(source,), shots=7, recipe=small), {}, tmp_path / "n")
