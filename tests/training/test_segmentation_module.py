"""The loss of a step, head by head, and the schedule of the learning rate."""

from __future__ import annotations

import pytest
import torch

from geoseg.models.network import affine_of
from geoseg.training.recipe import Augmentation
from geoseg.training.segmentation_module import SegmentationModule, rate_at
from geoseg.training.start import starting_point
from tests.support.little_sets import little_set, recipe, scene

STILL = Augmentation(turns=False)


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_deep_supervision_is_the_weighted_mean_of_every_heads_own_loss(weight):
    """Computed here from the heads' logits. With weight 0 it is the loss of the answer, which is the heads' mean."""
    how = recipe(model="unetplusplus-efficientnet-b0", options={}, side_weight=weight, augment=STILL)
    network, card = starting_point(how, little_set(2), "m")
    model = SegmentationModule(network, card, how, 1, None).eval()  # normalisation by what is stored: no randomness
    model.log = lambda *words, **options: None
    image, mask = (torch.from_numpy(each)[None] for each in scene(1))
    mask = mask.long()
    loss = model.training_step({"image": image, "mask": mask}, 0)
    shift, factor = affine_of(card)
    with torch.no_grad():
        heads = network.side_outputs(shift + image * factor)
        assert len(heads) == 4
        own = [float(model.loss(logits, mask)) for logits in heads]
        answer = float(model.loss(torch.stack(heads).mean(dim=0), mask))
    assert len({round(each, 4) for each in own}) == 4  # heads that answer alike would prove nothing
    expected = (weight * sum(own[:-1]) + own[-1]) / (3 * weight + 1) if weight else answer
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.side_heads.parameters())


def test_the_rate_rises_and_falls():
    rate = rate_at(100, 0.1, 0.01)
    rates = [rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(0.01)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_run_of_one_step_learns_at_the_whole_rate():
    for warmup in (0.0, 0.5, 1.0):
        assert rate_at(1, warmup, 0.25)(0) == 1.0
