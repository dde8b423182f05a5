"""What learns, and how fast: every kind of network, each way of freezing it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import BadOptionError
from geoseg.models.registry import build
from geoseg.training.groups import eval_frozen_modules, freeze, layer_depths, parameter_groups
from geoseg.training.lora import add_adapters
from geoseg.training.start import starting_point
from tests.support.little_sets import little_set, recipe

NETWORKS = {
    "unet": ("unet", {"base": 2}),
    "attention-unet": ("attention-unet", {"base": 2}),
    "unetplusplus": ("unetplusplus", {"encoder": "efficientnet_b0"}),
    "deeplabv3plus": ("deeplabv3plus", {"encoder": "resnet18"}),
    "transnorm": ("transnorm", {}),
    "uvit": ("uvit", {}),
    "clay": ("clay-v1.5-tiny", {}),
    "prithvi": ("prithvi-eo-v2-tiny-tl", {}),
}
TRANSFORMERS = ("clay", "prithvi")
PARTS = ("encoder", "first:1", "all-but-norm")
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


def described(name: str) -> nn.Module:
    """A network of two bands, without memory for its numbers."""
    model, options = NETWORKS[name]
    with torch.device("meta"):
        if name in TRANSFORMERS:
            return starting_point(recipe(model=model, options={}, from_scratch=True), little_set(2), "x")[0]
        return build(model, 2, 1, **options)


def learning(module: nn.Module) -> set[str]:
    return {name for name, each in module.named_parameters() if each.requires_grad}


def norms(module: nn.Module) -> set[str]:
    return {
        f"{name}.{own}"
        for name, part in module.named_modules()
        if isinstance(part, NORMS)
        for own, _ in part.named_parameters()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_of_freezing(name):
    module = described(name)
    everything = learning(module)
    in_encoder = {own for own, each in module.named_parameters() if id(each) in layer_depths(module)}
    assert in_encoder and in_encoder < everything
    left = {}
    for part in ("none", *PARTS):
        module = described(name)
        freeze(module, part)
        left[part] = learning(module)
    assert left["none"] == everything
    assert left["encoder"] == everything - in_encoder
    assert left["encoder"] < left["first:1"] < everything
    assert left["all-but-norm"] == left["encoder"] | (in_encoder & norms(module))
    assert left["all-but-norm"] > left["encoder"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_layers_are_those_nearest_to_the_image(name):
    before: set[str] = set()
    for count in range(3):
        module = described(name)
        everything = learning(module)
        freeze(module, f"first:{count}")
        frozen = everything - learning(module)
        depth = layer_depths(module)
        deepest = max(depth[id(each)] for own, each in module.named_parameters() if own in frozen)
        others = [depth[id(each)] for own, each in module.named_parameters() if own not in frozen and id(each) in depth]
        assert deepest < min(others) and before < frozen
        before = frozen


@pytest.mark.parametrize("name", NETWORKS)
def test_each_parameter_that_learns_is_in_one_group_and_rates_fall_towards_the_image(name):
    module = described(name)
    freeze(module, "first:0")
    groups = parameter_groups(module, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    named = {id(each): own for own, each in module.named_parameters()}
    grouped = [named[id(each)] for group in groups for each in group["params"]]
    assert sorted(grouped) == sorted(learning(module))
    depth = layer_depths(module)
    rate = {named[id(each)]: group["lr"] for group in groups for each in group["params"]}
    by_depth = sorted({(depth[key], rate[own]) for key, own in named.items() if key in depth and own in rate})
    assert len({layer for layer, _ in by_depth}) == len(by_depth), "one rate a layer"
    assert [each for _, each in by_depth] == sorted(each for _, each in by_depth)
    assert by_depth[0][1] < by_depth[-1][1] < 1.0
    assert {rate[own] for key, own in named.items() if key not in depth} == {1.0}
    decay = {named[id(each)]: group["weight_decay"] for group in groups for each in group["params"]}
    assert all(decay[own] == 0 for own in learning(module) & norms(module))
    assert any(each > 0 for each in decay.values())


@pytest.mark.parametrize("name", ["unet", "unetplusplus", "deeplabv3plus"])
@pytest.mark.parametrize("part", PARTS)
def test_what_is_frozen_gets_no_gradient_and_its_statistics_rest(name, part):
    model, options = NETWORKS[name]
    module = build(model, 2, 1, **options)
    freeze(module, part)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    optimiser = torch.optim.AdamW(parameter_groups(module, lr=0.1, weight_decay=0.1, layer_decay=1.0))
    module.train()
    eval_frozen_modules(module)
    for _ in range(2):
        module(torch.randn(2, 2, 32, 32)).square().mean().backward()
        optimiser.step()
    learns = learning(module)
    assert all(each.grad is None for own, each in module.named_parameters() if own not in learns)
    still = {own.rpartition(".")[0] for own, each in module.named_parameters() if not each.requires_grad}
    for key, value in module.state_dict().items():
        owner = key.rpartition(".")[0]
        if key in learns or owner not in still or f"{owner}.weight" in learns:
            continue
        assert torch.equal(value, before[key]), key
    moved = [key for key in learns if not torch.equal(module.state_dict()[key], before[key])]
    assert len(moved) > len(learns) / 2


def test_a_transformer_whose_encoder_is_frozen_hands_gradients_to_its_decoder_alone():
    how = recipe(model="clay-v1.5-tiny", options={}, from_scratch=True)
    module, _ = starting_point(how, little_set(2), "x")
    freeze(module, "encoder")
    module.train()
    eval_frozen_modules(module)
    module(torch.randn(1, 2, 32, 32)).sum().backward()
    assert not module.encoder.training
    assert all(each.grad is None for each in module.encoder.parameters())
    assert any(each.grad is not None for each in module.parameters())


@pytest.mark.parametrize("part", ["first:99", "first:-1", "half"])
@pytest.mark.parametrize("name", ["unet", "clay"])
def test_what_cannot_be_frozen_is_refused(name, part):
    with pytest.raises(BadOptionError, match=part):
        freeze(described(name), part)


def test_a_network_without_an_encoder_has_none_to_freeze():
    with pytest.raises(BadOptionError, match="no encoder"):
        freeze(nn.Sequential(nn.Conv2d(2, 1, 1)), "encoder")


class _Adapted(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        return pixels


def test_a_network_without_a_transformer_takes_no_adapters():
    for module in (_Adapted(), build("unet", 2, 1, base=2)):
        with pytest.raises(BadOptionError, match="transformer"):
            add_adapters(module, 4)
