"""U-Net++ against segmentation_models_pytorch, its nested levels, and what pruning leaves undone."""

from __future__ import annotations

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from geoseg.catalog.cards import Architecture, ModelCard
from geoseg.errors import BadOptionError, UnknownNameError
from geoseg.models.bundle import save_bundle
from geoseg.models.inference import Predictor
from geoseg.models.registry import build


@pytest.mark.parametrize("encoder", ["efficientnet-b0", "efficientnet-b4", "resnet18"])
def test_without_side_heads_it_is_theirs_to_the_last_bit(encoder):
    torch.manual_seed(0)
    theirs = smp.UnetPlusPlus(encoder, encoder_weights=None, in_channels=5, classes=2).eval()
    ours = build("unetplusplus", 5, 2, encoder=encoder, deep_supervision=False).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 5, 64, 96)
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


def test_the_answer_is_the_mean_of_the_levels_and_pruning_gives_one_of_them(network):
    module, x = network("unetplusplus", 4, 1), torch.randn(1, 4, 70, 90)
    with torch.inference_mode():
        levels = module.side_outputs(x)
        assert len(levels) == 4
        assert torch.equal(module(x), torch.stack(levels).mean(0))
        try:
            for level in (1, 2, 3, 4):
                module.prune = level
                assert torch.equal(module(x), levels[level - 1])
        finally:
            module.prune = None


def test_pruning_runs_nothing_deeper(network):
    """Counted by the modules that are called: fewer of the encoder and of the nest, level by level."""
    module = network("unetplusplus", 4, 1)
    leaves = [each for each in module.modules() if isinstance(each, nn.Conv2d)]
    called: set[int] = set()
    hooks = [each.register_forward_hook(lambda one, *_: called.add(id(one))) for each in leaves]
    counts, reached = [], []
    try:
        for level in (1, 2, 3, 4):
            called.clear()
            module.prune = level
            with torch.inference_mode():
                module(torch.zeros(1, 4, 64, 64))
            counts.append(len(called))
            nest = {
                name for name, block in module.decoder.blocks.items() if any(id(m) in called for m in block.modules())
            }
            reached.append(len(nest))
    finally:
        module.prune = None
        for hook in hooks:
            hook.remove()
    assert reached == [1, 3, 6, 11]  # a triangle of nodes; the last level has one more, at full resolution
    assert counts[0] < counts[1] < counts[2] < counts[3]
    assert counts[0] < 0.3 * counts[3]


def test_each_level_learns_from_deep_supervision():
    torch.manual_seed(0)
    module = build("unetplusplus", 3, 1, encoder="resnet18")
    torch.stack([level.square().mean() for level in module.side_outputs(torch.randn(2, 3, 64, 64))]).sum().backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in module.side_heads)


@pytest.mark.parametrize(
    ("options", "said"), [({"prune": 5}, "1..4"), ({"prune": 2, "deep_supervision": False}, "head")]
)
def test_a_level_that_is_not_there_is_refused(options, said):
    with pytest.raises(BadOptionError, match=said):
        build("unetplusplus", 3, 1, **options)


def test_any_timm_encoder_by_its_own_name_and_the_nearest_for_a_slip():
    assert (
        build("unetplusplus", 3, 1, encoder="mobilenetv3_small_050").eval()(torch.zeros(1, 3, 40, 40)).shape[-1] == 40
    )
    with pytest.raises(UnknownNameError, match="efficientnet"):
        build("unetplusplus", 3, 1, encoder="efficientnet-b00")


def test_a_predictor_answers_with_the_level_it_is_pruned_to(tmp_path):
    torch.manual_seed(0)
    card = ModelCard(
        name="nest",
        title="Nest",
        family="cnn",
        architecture=Architecture(name="unetplusplus", options={"encoder": "resnet18"}),
        sensors=("s1",),
        bands=("vv", "vh"),
        unit="dB",
        chip_px=64,
    )
    module = build("unetplusplus", 2, encoder="resnet18")
    save_bundle(tmp_path, module, card)
    chips = np.random.default_rng(0).normal(-12, 3, (1, 2, 64, 64)).astype(np.float32)
    answers = [Predictor.of(tmp_path, prune=level).probability(chips) for level in (None, 1, 2, 3)]
    assert all(np.abs(a - b).max() > 1e-4 for n, a in enumerate(answers) for b in answers[:n])
    module.eval().prune_to(2)
    with torch.inference_mode():
        level_2 = module(torch.from_numpy(chips))[:, 0].sigmoid()
    assert torch.allclose(torch.from_numpy(answers[2]), level_2, atol=1e-5)  # the predictor's is folded


def test_only_a_nest_is_pruned():
    with pytest.raises(BadOptionError, match="otsu is none"):
        Predictor.of("otsu", prune=2)
