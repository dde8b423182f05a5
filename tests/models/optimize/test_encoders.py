"""Prepared networks: faster, and what is called exact is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.models.foundation.clay import Clay, ClaySize
from geoseg.models.foundation.linears import Bf16Linear, Int8Linear, OneDnnLinear, onednn_works
from geoseg.models.optimize import encoders as room
from geoseg.models.optimize.encoders import optimize_encoder_network
from tests.support.little_networks import small


@pytest.fixture(autouse=True)
def _every_variant_is_faster(monkeypatch):
    """The choice by timing depends on the machine; what is chosen must be right on any."""
    monkeypatch.setattr(room, "_faster", lambda variant, plain: True)


def network():
    made = small("patch 8", "pixelshuffle").eval()
    made.encoder = Clay(ClaySize(128, 4, 2, 64, 2)).eval()
    made.decoder.mix[0].conv = nn.Conv2d(128, 8, 3, padding=1)
    return made


def globals_of_torch():
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.mkldnn.enabled,
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )


def test_exact_is_exact_on_chips_it_was_not_prepared_with():
    made, chips = network(), [torch.randn(1, 4, 64, 64), torch.randn(3, 4, 41, 90)]
    with torch.no_grad():
        plain = [made(chip) for chip in chips]
    before = globals_of_torch()
    done = optimize_encoder_network(made, torch.randn(1, 4, 64, 64))
    assert globals_of_torch() == before
    assert done.refused == ()
    assert done.difference < 1e-5
    with torch.no_grad():
        for chip, expected in zip(chips, plain, strict=True):
            assert (made(chip) - expected).abs().max() < 1e-5 * expected.abs().max()
    kinds = {type(part) for part in made.encoder.transformer.modules()}
    assert (OneDnnLinear in kinds) == onednn_works(torch.device("cpu"))
    assert not any(isinstance(part, OneDnnLinear) for part in made.encoder.patch_embedding.modules())


@pytest.mark.parametrize(("backend", "kind", "bound"), [("bf16", Bf16Linear, 0.05), ("int8", Int8Linear, 0.1)])
def test_approximate_backends_say_how_far_off_they_are(backend, kind, bound):
    made, probe = network(), torch.randn(2, 4, 64, 64)
    with torch.no_grad():
        plain = made(probe)
    done = optimize_encoder_network(made, probe, backend=backend)
    assert any(isinstance(part, kind) for part in made.encoder.modules())
    with torch.no_grad():
        off = float((made(probe) - plain).abs().max() / plain.abs().max())
    assert done.difference == pytest.approx(off)
    assert 1e-6 < off < bound


def test_a_network_that_is_told_its_resolution_is_prepared_with_it():
    made, probe = network(), torch.randn(1, 4, 64, 64)
    made.gsd_m = None
    with torch.no_grad():
        plain = made(probe, gsd_m=3.0)
    done = optimize_encoder_network(made, probe, gsd_m=3.0)
    assert done.refused == ()
    with torch.no_grad():
        assert (made(probe, gsd_m=3.0) - plain).abs().max() < 1e-5 * plain.abs().max()


def test_a_step_that_is_not_exact_is_taken_back(monkeypatch):
    class Wrong(OneDnnLinear):
        def forward(self, x):
            return super().forward(x) * 1.001

    monkeypatch.setattr(room, "OneDnnLinear", Wrong)
    made, probe = network(), torch.randn(1, 4, 64, 64)
    with torch.no_grad():
        plain = made(probe)
    done = optimize_encoder_network(made, probe)
    assert [reason.split(":")[0] for reason in done.refused] == ["oneDNN linear layers"]
    with torch.no_grad():
        assert (made(probe) - plain).abs().max() < 1e-5 * plain.abs().max()
    assert not any(isinstance(part, Wrong) for part in made.modules())


def test_a_wrong_fold_is_taken_back(monkeypatch):
    made, probe = small("patch 8", "fpn").eval(), torch.randn(1, 4, 64, 64)
    with torch.no_grad():
        plain = made(probe)
    fold = type(made.decoder).fold

    def broken(decoder):
        fold(decoder)
        with torch.no_grad():
            decoder.smoothers[0].conv.weight.mul_(1.1)

    monkeypatch.setattr(type(made.decoder), "fold", broken)
    done = optimize_encoder_network(made, probe)
    assert any("folded" in reason for reason in done.refused)
    with torch.no_grad():
        assert (made(probe) - plain).abs().max() < 1e-5 * plain.abs().max()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 257])
def test_onednn_multiplies_as_torch_does(bias, rows):
    assert onednn_works(torch.device("cpu"))
    linear = nn.Linear(96, 160, bias=bias)
    x = torch.randn(2, rows, 96)
    with torch.no_grad():
        assert torch.allclose(OneDnnLinear(linear, 64)(x), linear(x), atol=1e-5)


def test_int8_gives_a_token_the_same_whatever_stands_beside_it():
    layer = Int8Linear(nn.Linear(64, 64))
    x = torch.randn(1, 9, 64)
    beside = torch.cat([x, torch.randn(1, 9, 64) * 100])
    with torch.no_grad():
        assert torch.equal(layer(beside)[:1], layer(x))
        assert layer(torch.zeros(1, 2, 64)).isfinite().all()
