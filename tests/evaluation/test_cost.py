"""Cost: counted as it says it is."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from geoseg.catalog.cards import Architecture, ModelCard
from geoseg.evaluation.cost import peak_memory, size_of
from geoseg.models.create import load_model
from geoseg.models.network import NetworkModel

CARD = ModelCard(
    name="one",
    title="one",
    family="cnn",
    architecture=Architecture(name="unet"),
    sensors=("s1",),
    bands=("vv", "vh"),
    unit="dB",
)


@pytest.mark.parametrize("chip_px", [None, 256, 64])
def test_a_convolution_costs_what_its_definition_says_whatever_the_chip(chip_px):
    module = nn.Conv2d(2, 3, 3, padding=1)
    size = size_of(NetworkModel(module, CARD.model_copy(update={"chip_px": chip_px})))
    assert size.parameters == 2 * 3 * 9 + 3
    assert size.multiply_adds == 256 * 256 * 2 * 3 * 9
    assert size.chip_px == (chip_px or 256)


def test_attention_is_counted():
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True, bias=False)
            self.down = nn.Conv2d(2, 8, 16, stride=16, bias=False)

        def forward(self, x):
            tokens = self.down(x).flatten(2).mT
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    tokens = (256 // 16) ** 2
    counted = size_of(NetworkModel(Attends(), CARD)).multiply_adds
    down, scores = tokens * 8 * 2 * 16 * 16, 2 * tokens * tokens * 8
    projections = tokens * 8 * 8 * 4
    assert counted == down + scores + projections


def test_a_baseline_has_no_size():
    size = size_of(load_model("otsu"))
    assert (size.parameters, size.multiply_adds) == (0, 0)


def test_the_peak_is_seen():
    with peak_memory(on_gpu=False) as before:
        pass
    with peak_memory(on_gpu=False) as peak:
        big = np.ones(80_000_000, np.uint8)
        big[::4096] = 2
        for _ in range(20):
            big.sum()
    assert peak.bytes > before.bytes + 50_000_000
