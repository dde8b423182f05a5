"""Adapters: they alone learn in the encoder, and leave a bundle of plain weights that answers as they did."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from geoseg.catalog.cards import WEIGHTS
from geoseg.errors import BadOptionError
from geoseg.models.bundle import build_from
from geoseg.models.create import load_model
from geoseg.training.lora import add_adapters, merge_adapters
from geoseg.training.start import starting_point
from tests.support.little_sets import finetune, little_set, recipe

CLAY = {"model": "clay-v1.5-tiny", "options": {}, "from_scratch": True}
PRITHVI = CLAY | {"model": "prithvi-eo-v2-tiny-tl"}


@pytest.mark.parametrize("how", [CLAY, PRITHVI], ids=lambda how: how["model"])
def test_adapters_learn_and_merge(how):
    module, card = starting_point(recipe(**how), little_set(2), "x")
    pixels = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    module.eval()
    plain = module(pixels)
    count = add_adapters(module, 4)
    learning = [(name, each) for name, each in module.encoder.named_parameters() if each.requires_grad]
    assert sum(each.numel() for _, each in learning) == count > 0
    assert {name.split(".")[-3] for name, _ in learning} == {"lora_A", "lora_B"}
    assert torch.allclose(module(pixels), plain, rtol=1e-3, atol=1e-5), "fresh adapters change nothing"
    with torch.no_grad():
        for _, each in learning:
            each.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    adapted = module(pixels)
    assert float((adapted.detach() - plain.detach()).abs().max()) > 1e-3
    adapted.sum().backward()
    assert all(each.grad is not None for _, each in learning)
    merge_adapters(module)
    assert float((module(pixels) - adapted).detach().abs().max()) < 1e-5
    assert module.state_dict().keys() == build_from(card).state_dict().keys()


def test_a_run_with_adapters_leaves_plain_weights(tmp_path):
    done = finetune(little_set(2), recipe(**CLAY, lora=2, steps=2, weight_decay=0.0), tmp_path / "m")
    keys = load_file(done.folder / WEIGHTS).keys()
    assert not any("lora" in key or "base_layer" in key for key in keys)
    assert done.trainable < done.parameters
    assert load_model(done.folder).module(torch.zeros(1, 2, 32, 32)).isfinite().all()
    assert done.card.training.recipe["lora"] == 2


def test_a_convolutional_network_takes_none(tmp_path):
    with pytest.raises(BadOptionError, match="transformer"):
        finetune(little_set(), recipe(lora=4), tmp_path / "m")


def test_without_adapters_nothing_is_merged():
    module, _ = starting_point(recipe(), little_set(2), "x")
    before = {key: value.clone() for key, value in module.state_dict().items()}
    merge_adapters(module)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
