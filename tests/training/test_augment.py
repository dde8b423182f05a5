"""Variation: image and label move together, and nothing that was not seen or said comes into being."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.training.augment import augment_batch
from geoseg.training.recipe import Augmentation

ALL = Augmentation(zoom=0.5, gain=0.1, offset=1.0, noise=0.5, hide=0.5)
MOVES = Augmentation(zoom=0.5)
HOW = st.builds(
    Augmentation,
    turns=st.booleans(),
    zoom=st.sampled_from([0, 0.3, 1.0]),
    gain=st.sampled_from([0, 0.2]),
    offset=st.sampled_from([0, 1.5]),
    noise=st.sampled_from([0, 0.5]),
    hide=st.sampled_from([0, 1.0]),
)


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(side: int = 32, bands: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.empty(3, bands, side, side).uniform_(-25, -5, generator=chance(seed))
    mask = torch.randint(-1, 2, (3, side, side), generator=chance(seed + 1))
    return pixels, mask


@given(HOW, st.integers(0, 50), st.integers(16, 40))
def test_nothing_unobserved_becomes_a_number_and_nothing_unlabelled_a_label(how, seed, side):
    pixels, mask = batch(side)
    pixels[0] = torch.nan
    mask[1] = -1
    seen, said = augment_batch(pixels, mask, how, chance(seed))
    assert seen.shape == pixels.shape and said.shape == mask.shape
    assert seen.dtype == torch.float32 and said.dtype == torch.int64
    assert seen[0].isnan().all() and (said[1] == -1).all()
    assert set(said.unique().tolist()) <= {-1, 0, 1}


@given(st.integers(0, 200))
def test_a_pixel_beside_an_unobserved_one_is_not_half_of_it(seed):
    """Values are -20 where seen: were a NaN counted as 0 or left out unevenly, others would come up."""
    pixels = torch.full((2, 1, 24, 24), -20.0)
    pixels[:, :, 5:9, 11:20] = torch.nan
    seen, _ = augment_batch(pixels, torch.zeros(2, 24, 24, dtype=torch.int64), MOVES, chance(seed))
    assert seen.isnan().any()
    assert torch.allclose(seen[~seen.isnan()], torch.tensor(-20.0), atol=1e-3)


@given(st.integers(0, 200), st.sampled_from([32, 33]))
def test_image_and_label_move_together(seed, side):
    """Columns and rows written into both: turned without a zoom they agree exactly, zoomed to within a pixel."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    pixels = torch.from_numpy(np.stack([rows, columns]))[None].repeat(2, 1, 1, 1)
    place = torch.from_numpy(rows * side + columns).long()[None].repeat(2, 1, 1)
    turned, label = augment_batch(pixels, place, Augmentation(), chance(seed))
    assert torch.equal(turned[:, 0] * side + turned[:, 1], label.float())
    moved, label = augment_batch(pixels, place, MOVES, chance(seed))
    both = ~moved.isnan().any(dim=1) & (label >= 0)
    # what a zoom shrinks is averaged over a footprint that the image's edge cuts off
    inner = both & (moved.amin(dim=1) > 2) & (moved.amax(dim=1) < side - 3)
    assert inner.any()
    assert ((moved[:, 0] - label // side).abs()[inner] <= 1.01).all()
    assert ((moved[:, 1] - label % side).abs()[inner] <= 1.01).all()


def test_the_frame_of_a_smaller_image_is_neither_observed_nor_labelled():
    for seed in range(30):
        seen, said = augment_batch(*(batch()[0], torch.ones(3, 32, 32).long()), MOVES, chance(seed))
        assert torch.equal(seen.isnan().any(dim=1), said == -1)


def test_the_same_chance_gives_the_same_chips():
    one, other, third = (augment_batch(*batch(), ALL, chance(seed)) for seed in (4, 4, 5))
    assert torch.equal(one[0].nan_to_num(), other[0].nan_to_num()) and torch.equal(one[1], other[1])
    assert not torch.equal(one[0].nan_to_num(), third[0].nan_to_num())


def test_what_is_given_is_not_changed():
    pixels, mask = batch()
    kept = pixels.clone(), mask.clone()
    augment_batch(pixels, mask, ALL, chance(0))
    assert torch.equal(pixels, kept[0]) and torch.equal(mask, kept[1])


def test_all_eight_symmetries_come_up():
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(200, 1, 1, 1)
    turned, _ = augment_batch(ramp, ramp[:, 0].long(), Augmentation(), chance(0))
    assert len({tuple(each.flatten().tolist()) for each in turned}) == 8


@pytest.mark.parametrize(
    ("how", "low", "high", "spread"),
    [
        (Augmentation(offset=1.5, noise=0.7), -25, -5, (1.0, 2.5)),
        (Augmentation(gain=0.1, offset=0.01, noise=0.005), 0.0, 0.5, (0.01, 0.08)),
    ],
    ids=["dB", "reflectance"],
)
def test_values_shift_by_as_much_as_was_asked_for(how, low, high, spread):
    pixels = torch.empty(256, 2, 8, 8).uniform_(low, high, generator=chance(1))
    still = how.model_copy(update={"turns": False})
    seen, _ = augment_batch(pixels, torch.zeros(256, 8, 8).long(), still, chance(2))
    assert spread[0] < float((seen - pixels).std()) < spread[1]
    assert float((seen - pixels).mean().abs()) < 0.15 * spread[1]
    assert seen.isfinite().all()


def test_a_hidden_rectangle_is_in_the_asked_share_of_chips():
    pixels, mask = torch.zeros(400, 2, 20, 20), torch.zeros(400, 20, 20).long()
    seen, said = augment_batch(pixels, mask, Augmentation(hide=0.25), chance(0))
    hidden = seen.isnan().any(dim=1).flatten(1)
    assert hidden.any(dim=1).float().mean() == pytest.approx(0.25, abs=0.06)
    assert torch.equal(seen[:, 0].isnan(), seen[:, 1].isnan()) and (said == 0).all()
    assert hidden.float().mean(dim=1).max() <= 0.25
