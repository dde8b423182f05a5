"""The loop: stopped and gone on with it comes to the same numbers, and what it keeps is what it scored."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from geoseg.catalog.cards import WEIGHTS
from geoseg.core.progress import Progress
from geoseg.core.scores import foreground_iou
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import NotTrainableError, OutputNotWritableError, ResumeError
from geoseg.models.create import load_model
from geoseg.models.normalize import affine_of
from geoseg.training.crops import Tiles
from geoseg.training.loop import LAST, AtomicCheckpointIO
from geoseg.training.recipe import Augmentation
from geoseg.training.segmentation_module import SCORE
from tests.support.little_sets import finetune, little_set, pair, recipe, same_history, same_weights, scene, set_of

QUICK = {"steps": 30, "round_steps": 3, "lr": 0.05, "warmup": 0.0, "batch_size": 4, "validation": 0.3}


class StoppedError(Exception):
    """What stops a run from outside."""


def stopping_at(step: int, by: BaseException | None = None):
    """A reporter that ends the run in the middle of a round."""

    def report(event: Progress) -> None:
        if event.step == "train" and event.done == step:
            if by is None:
                os.kill(os.getpid(), signal.SIGINT)
            else:
                raise by

    return report


def score_of(folder: Path, data) -> float:
    """IoU of a bundle's answers, by its card's own normalisation and nothing of the loop."""
    model = load_model(folder)
    shift, factor = affine_of(model.card)
    confusion = torch.zeros(2, 2, dtype=torch.int64)
    tiles = Tiles(data, 32)
    for index in range(len(tiles)):
        chip = tiles[index]
        with torch.no_grad():
            answer = model.module(torch.addcmul(shift, chip["image"][None], factor).nan_to_num())[0, 0] > 0
        for truth in (0, 1):
            for said in (0, 1):
                confusion[truth, said] += ((chip["mask"] == truth) & (answer == bool(said))).sum()
    return foreground_iou(confusion.numpy())


VARIANTS = {
    "plain": {},
    "ema": {"ema": 0.7},
    "accumulate": {"accumulate": 2},
    "everything": {
        "ema": 0.5,
        "accumulate": 2,
        "patience": 5,
        "augment": Augmentation(zoom=0.3, offset=1, noise=0.5, hide=0.3),
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopped_in_a_round_and_resumed_it_is_the_same_run(tmp_path, variant):
    data, how = little_set(10, 32, 5), recipe(**{**QUICK, "steps": 8, **VARIANTS[variant]})
    whole = finetune(data, how, tmp_path / "whole" / "m")
    with pytest.raises(StoppedError):
        finetune(data, how, tmp_path / "parts" / "m", report=stopping_at(5, StoppedError()))
    parts = finetune(data, how, tmp_path / "parts" / "m", resume=True)
    assert same_weights(parts.folder, whole.folder)
    assert same_history(parts.history, whole.history) and len(whole.history) == 3
    assert parts.card.scores == pytest.approx(whole.card.scores, abs=0.01)
    assert parts.card.training.steps == whole.card.training.steps


def test_stopped_before_the_first_round_it_starts_again(tmp_path):
    data, how = little_set(), recipe()
    whole = finetune(data, how, tmp_path / "whole" / "m")
    with pytest.raises(StoppedError):
        finetune(data, how, tmp_path / "parts" / "m", report=stopping_at(1, StoppedError()))
    assert same_weights(finetune(data, how, tmp_path / "parts" / "m", resume=True).folder, whole.folder)


def test_an_interrupt_is_told_to_the_caller_and_can_be_given_again(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        finetune(little_set(), recipe(), tmp_path / "m", report=stopping_at(3))
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        finetune(little_set(), recipe(), tmp_path / "m", resume=True, report=stopping_at(3))
    assert finetune(little_set(), recipe(), tmp_path / "m", resume=True).history[-1]["step"] == 4


def test_dropout_does_not_make_a_resumed_run_another(tmp_path):
    data, how = little_set(), recipe(model="deeplabv3plus-resnet18", options={}, batch_size=2)
    whole = finetune(data, how, tmp_path / "whole" / "m")
    with pytest.raises(StoppedError):
        finetune(data, how, tmp_path / "parts" / "m", report=stopping_at(3, StoppedError()))
    assert same_weights(finetune(data, how, tmp_path / "parts" / "m", resume=True).folder, whole.folder)


@pytest.mark.parametrize("ema", [0.0, 0.7])
def test_the_weights_that_are_kept_have_the_score_on_the_card(tmp_path, ema):
    data = little_set(10, 32, 5)
    done = finetune(data, recipe(**QUICK, ema=ema, augment=Augmentation(turns=False)), tmp_path / "m")
    chosen = data.where(lambda each: each.id in done.card.training.validated_on)
    (score,) = done.card.scores.values()
    assert score > 0.2
    assert score_of(done.folder, chosen) == pytest.approx(score, abs=1e-3)
    best = max(done.history, key=lambda line: line[SCORE])
    assert (score, done.card.training.steps) == (round(best[SCORE], 4), best["step"])


def test_it_stops_when_nothing_is_gained(tmp_path):
    data, how = little_set(10, 32, 5), recipe(**QUICK | {"lr": 1e-9, "patience": 2, "steps": 300})
    done = finetune(data, how, tmp_path / "m")
    assert [line["step"] for line in done.history] == [3, 6, 9]


def test_a_run_that_had_stopped_by_itself_does_not_go_on(tmp_path, monkeypatch):
    """Killed after its last round and before its bundle."""
    data, how = little_set(10, 32, 5), recipe(**QUICK | {"lr": 1e-9, "patience": 2, "steps": 300})
    whole = finetune(data, how, tmp_path / "whole" / "m")
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr("geoseg.training.finetune.merge_adapters", lambda _: (_ for _ in ()).throw(StoppedError()))
        finetune(data, how, tmp_path / "parts" / "m")
    parts = finetune(data, how, tmp_path / "parts" / "m", resume=True)
    assert same_history(parts.history, whole.history) and same_weights(parts.folder, whole.folder)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    data, how = little_set(), recipe(steps=8)
    whole = finetune(data, how, tmp_path / "whole" / "m")
    write, written = Path.write_bytes, []

    def until_full(path: Path, content) -> int:
        if path.suffix == ".ckpt":
            written.append(path)
            if len(written) == 3:
                write(path, bytes(content)[: len(content) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    out = tmp_path / "parts" / "m"
    with monkeypatch.context() as patch, pytest.raises(OutputNotWritableError, match="disk is full") as told:
        patch.setattr(Path, "write_bytes", until_full)
        finetune(data, how, out)
    assert "\n" not in str(told.value) and LAST in str(told.value)
    assert [each.name for each in (out / "training").glob("*.ckpt")] == [LAST]
    assert torch.load(out / "training" / LAST, weights_only=True)["global_step"] == 4
    assert not list((out / "training").glob(".*")), "what was half written is gone"
    assert same_weights(finetune(data, how, out, resume=True).folder, whole.folder)


def test_a_checkpoint_is_written_beside_the_one_that_is_there(tmp_path):
    """Not by way of another file system, from which it would have to be copied."""
    AtomicCheckpointIO().save_checkpoint({"a": 1}, tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").chmod(0o600)
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            tmp_path.chmod(0o700)
            (tmp_path / "file").write_text("")
            with pytest.raises(OutputNotWritableError):
                AtomicCheckpointIO().save_checkpoint({"a": 2}, tmp_path / "file" / "x.ckpt")
        else:
            with pytest.raises(OutputNotWritableError):
                AtomicCheckpointIO().save_checkpoint({"a": 2}, tmp_path / "x.ckpt")
    finally:
        tmp_path.chmod(0o700)
    assert torch.load(tmp_path / "x.ckpt", weights_only=True) == {"a": 1}


def test_weights_that_are_no_numbers_are_no_bundle(tmp_path):
    with pytest.raises(NotTrainableError, match="lower"):
        finetune(little_set(), recipe(lr=1e30, clip=0), tmp_path / "m")
    assert not (tmp_path / "m" / WEIGHTS).exists()


@pytest.mark.parametrize("loss", ["ce", "bce", "focal", "dice", "lovasz", "jml", "bce+dice", "ce+lovasz"])
@pytest.mark.parametrize("edge", [0.0, 2.0])
def test_every_loss_trains(tmp_path, loss, edge):
    done = finetune(little_set(2), recipe(steps=1, loss=loss, soft_edge_px=edge), tmp_path / "m")
    assert np.isfinite(done.history[0]["loss"]) and done.history[0]["loss"] > 0


def test_many_classes(tmp_path):
    pairs = []
    for index in range(2):
        image, mask = scene(index)
        mask[:8] = 2
        image[:, :8] = 5
        pairs.append(pair(image, mask, f"p{index}"))
    done = finetune(set_of(*pairs, classes=("dry", "water", "ice")), recipe(soft_edge_px=1.0), tmp_path / "m")
    assert done.card.classes == ("dry", "water", "ice")
    assert load_model(done.folder).module(torch.zeros(1, 2, 32, 32)).shape == (1, 3, 32, 32)


def test_half_precision(tmp_path):
    done = finetune(little_set(), recipe(precision="bf16"), tmp_path / "m")
    assert np.isfinite(done.history[-1]["loss"])
    assert {each.dtype for each in load_model(done.folder).module.parameters()} == {torch.float32}


def test_images_with_holes_train_and_one_without_a_pixel_does_no_harm(tmp_path):
    pairs = []
    for index in range(4):
        image, mask = scene(index)
        image[0, :10] = np.nan
        image[:, 20:, 20:] = np.nan
        pairs.append(pair(image, mask, f"p{index}"))
    image, mask = scene(9)
    pairs.append(pair(np.full_like(image, np.nan), mask, "nothing"))
    pairs.append(pair(image, np.full_like(mask, UNLABELLED), "unlabelled"))
    done = finetune(set_of(*pairs), recipe(), tmp_path / "m")
    assert np.isfinite([line["loss"] for line in done.history]).all()
    assert sum(done.card.training.labelled_px.values()) == 4 * (22 * 32 - 12 * 12)


def test_logs_lie_beside_the_bundle(tmp_path):
    with pytest.raises(StoppedError):
        finetune(little_set(), recipe(), tmp_path / "m", report=stopping_at(3, StoppedError()))
    finetune(little_set(), recipe(), tmp_path / "m", resume=True)
    logs = tmp_path / "m" / "training" / "logs"
    for part in ("part-1", "part-2"):
        assert (logs / part / "metrics.csv").read_text().startswith("epoch,")
        assert list((logs / part).glob("events.out.tfevents.*"))
    assert sorted(each.name for each in (tmp_path / "m" / "training").iterdir()) == ["logs"]


def test_another_run_is_not_gone_on_with(tmp_path):
    data = little_set()
    with pytest.raises(StoppedError):
        finetune(data, recipe(), tmp_path / "m", report=stopping_at(3, StoppedError()))

    def refused(match: str, data=data, devices=1, **values) -> None:
        with pytest.raises(ResumeError, match=match):
            finetune(data, recipe(**values), tmp_path / "m", resume=True, devices=devices)

    refused("model 'unet', not 'attention-unet'", model="attention-unet")
    refused("lr 0.01, not 0.02", lr=0.02)
    refused("other images or labels", little_set(5))
    redrawn = [pair(scene(n)[0], np.roll(scene(n)[1], 16), each.id, each.region) for n, each in enumerate(data.pairs)]
    refused("other images or labels", set_of(*redrawn))
    refused("--devices 1, not 2", devices=2)
    assert finetune(data, recipe(), tmp_path / "m", resume=True).history


def test_lightning_says_nothing_of_itself(tmp_path, capfd, recwarn):
    finetune(little_set(), recipe(), tmp_path / "m")
    said = capfd.readouterr()
    assert (said.out, said.err, list(recwarn)) == ("", "", [])
    assert pl.__name__  # the warnings filter of the test run turns anything else into a failure
