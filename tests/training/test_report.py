"""What the final weights say of the pixels they learned from, and what is said of weights that learned nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.datasets.pair import UNLABELLED
from geoseg.models.bundle import load_bundle, save_bundle
from geoseg.training.crops import LabelMap, Tiles
from geoseg.training.report import MOST, choose_squares, collapse_warning, score_training_data
from geoseg.training.segmentation_module import SegmentationModule
from geoseg.training.start import starting_point
from tests.support.little_sets import finetune, little_set, pair, recipe, scene, set_of


class Darkness(nn.Module):
    """Calls what is darker than the mean of both bands water, and adds what it is told to every pixel."""

    def __init__(self, more: float) -> None:
        super().__init__()
        self.more = nn.Parameter(torch.tensor(more))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.more - pixels.sum(dim=1, keepdim=True)


def looked_at(data, more: float, chip_px: int = 32):
    _, card = starting_point(recipe(), data, "m")
    model = SegmentationModule(Darkness(more), card, recipe(), 1, None)
    return score_training_data(model, Tiles(data, chip_px), LabelMap.of(data), "cpu")


def test_every_labelled_and_observed_pixel_counts_once():
    image, mask = scene(3, 40)
    image[0, :5], mask[10:20] = np.nan, UNLABELLED
    found = looked_at(set_of(pair(image, mask), pair(*scene(4, 40), "b")), 0.0)
    known = np.where(np.isfinite(image).all(axis=0), mask, UNLABELLED)
    labelled = {name: int((known == n).sum() + (scene(4, 40)[1] == n).sum()) for n, name in enumerate(("dry", "water"))}
    assert found.labelled_px == labelled
    assert sum(found.said_px.values()) == sum(labelled.values())
    assert found.squares == 8 and "not a measure of skill" in found.mean


def test_one_that_learned_is_not_doubted():
    found = looked_at(little_set(3), 0.0)
    assert found.iou > 0.9 and found.predicts_single_class is None and collapse_warning(found) is None


@pytest.mark.parametrize(("more", "said"), [(-50.0, "dry"), (50.0, "water")])
def test_one_class_everywhere_is_said_in_capitals(more, said):
    data = little_set(3)
    found = looked_at(data, more)
    water = sum(int(each.read()[1].sum()) for each in data.pairs)
    assert (
        found.predicts_single_class == said
        and f"SAYS {said.upper()} EVERYWHERE" in collapse_warning(found)
        and "--steps" in collapse_warning(found)
    )
    assert found.iou == pytest.approx(water / (3 * 32 * 32) if said == "water" else 0, abs=1e-3)


def test_next_to_nothing_is_not_called_success():
    data = little_set(3)
    upside_down = replace(data, pairs=tuple(pair(*_inverted(each), each.id) for each in data.pairs))
    found = looked_at(upside_down, 0.0)
    assert found.predicts_single_class is None and "NEXT TO NOTHING" in collapse_warning(found)


def _inverted(each):
    image, mask = each.read()
    return image, 1 - mask


def test_a_lake_in_a_large_image_is_among_the_few_squares_that_are_looked_at():
    image = np.full((2, 640, 640), -9, np.float32)
    mask = np.zeros((640, 640), np.int16)
    mask[:320] = UNLABELLED
    mask[600:604, 610:613], image[:, 600:604, 610:613] = 1, -20
    data = set_of(pair(image, mask))
    tiles, labels = Tiles(data, 32), LabelMap.of(data)
    chosen = choose_squares(tiles, labels)
    assert len(chosen) == len(set(chosen)) == MOST
    assert all(tiles[number]["mask"].max() >= 0 for number in chosen), "a square without a label tells nothing"
    assert any(tiles[number]["mask"].max() == 1 for number in chosen)


def test_a_network_that_says_dry_everywhere_does_not_look_like_a_success(tmp_path):
    first = finetune(little_set(), recipe(steps=1), tmp_path / "first")
    model = load_bundle(first.folder)
    head = [part for part in model.module.modules() if isinstance(part, nn.Conv2d) and part.out_channels == 1][-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(-9.0)
    save_bundle(tmp_path / "dry", model.module, model.card)
    still = {"model": str(tmp_path / "dry"), "options": {}, "steps": 1, "lr": 1e-9}
    done = finetune(little_set(), recipe(**still), tmp_path / "second")
    assert done.notes[0].startswith("THE NETWORK SAYS DRY EVERYWHERE")
    assert done.card.limits[0].endswith("it says dry everywhere.")
    assert done.card.training.on_training.said_px["water"] == 0
    assert load_bundle(done.folder).card == done.card
    again = recipe(**still | {"model": str(done.folder), "lr": 0.5, "steps": 30, "round_steps": 30, "warmup": 0})
    better = finetune(little_set(), again, tmp_path / "third")
    assert better.card.training.on_training.predicts_single_class is None
    assert not any("everywhere" in limit for limit in better.card.limits), "what was true of the bundle before it"
