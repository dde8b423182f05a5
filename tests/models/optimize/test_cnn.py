"""Prepared convolutional networks: exact ones are, bfloat16 ones are near, and nothing of the caller's moves."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from geoseg.errors import BadOptionError
from geoseg.models.optimize.base import AutocastBf16
from geoseg.models.optimize.cnn import PackedConv, fold_normalisation, pack_weights
from geoseg.models.optimize.prepare import optimize_deterministic, prepare_for_inference
from geoseg.models.registry import build

NETWORKS = {
    "unet": {"base": 8},
    "attention-unet": {"base": 8},
    "unetplusplus": {},
    "deeplabv3plus": {"encoder": "resnet18"},
}


def lived_in(module: nn.Module) -> nn.Module:
    """Normalisations with the statistics of a network that has been trained, not zeros and ones."""
    generator = torch.Generator().manual_seed(7)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2, generator=generator)
            part.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(part.bias, 0, 0.2, generator=generator)
    return module.eval()


def global_state() -> tuple[object, ...]:
    return (
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        torch.is_autocast_enabled("cpu"),
        torch.backends.mkldnn.enabled,
        torch.get_default_dtype(),
    )


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_exact_is_exact_on_other_chips_too_and_leaves_everything_as_it_was(name):
    torch.manual_seed(0)
    module = lived_in(build(name, 4, 2, **NETWORKS[name]))
    kept, state = {key: value.clone() for key, value in module.state_dict().items()}, global_state()
    faster, prepared = prepare_for_inference(module, torch.randn(1, 4, 64, 64))
    assert any("folded" in step for step in prepared.steps)
    assert prepared.refused == ()
    assert prepared.difference < 1e-5
    other = torch.randn(2, 4, 50, 70)
    with torch.inference_mode():
        plain = module(other)
        assert (faster(other) - plain).abs().max() < 1e-5 * plain.abs().max() * 2
    assert module.state_dict().keys() == kept.keys()
    assert all(torch.equal(value, kept[key]) for key, value in module.state_dict().items())
    assert global_state() == state


@pytest.mark.parametrize("name", ["unet", "unetplusplus"])
def test_bfloat16_is_near_and_says_how_near(name):
    torch.manual_seed(0)
    module, probe = lived_in(build(name, 4, 1, **NETWORKS[name])), torch.randn(1, 4, 64, 64)
    faster, prepared = prepare_for_inference(module, probe, backend="bf16")
    with torch.inference_mode():
        logits = faster(probe)
    assert logits.dtype == torch.float32
    assert "bfloat16" in prepared.steps
    assert 1e-6 < prepared.difference < 0.1


def test_every_normalisation_of_unet_is_folded_and_none_that_something_else_reads():
    module = lived_in(build("unet", 3, 1, base=4))
    assert fold_normalisation(module, torch.randn(1, 3, 32, 32)) == 18
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(self.conv(x)) + self.norm(self.conv(x + 1))

    assert fold_normalisation(Shared().eval(), torch.randn(1, 3, 8, 8)) == 0


def test_a_fold_that_changes_the_answer_is_taken_back():
    class ReadTwice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            convolved = self.conv(x)
            return self.norm(convolved) + convolved

    module, probe = lived_in(ReadTwice()), torch.randn(1, 3, 8, 8)
    faster, prepared = prepare_for_inference(module, probe)
    assert "differed" in prepared.refused[0]
    assert prepared.difference < 1e-5
    with torch.inference_mode():
        assert torch.allclose(faster(probe), module(probe))


def test_int8_is_refused_by_name():
    with pytest.raises(BadOptionError, match="bf16"):
        prepare_for_inference(build("unet", 3, 1, base=4), torch.randn(1, 3, 16, 16), backend="int8")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_prepared_alike_every_copy_gives_the_same_bytes_and_is_exact(name):
    torch.manual_seed(0)
    module = lived_in(build(name, 4, 2, **NETWORKS[name]))
    probe, other = torch.randn(1, 4, 64, 64), torch.randn(2, 4, 50, 70)
    first, second = (optimize_deterministic(copy.deepcopy(module), probe) for _ in range(2))
    with torch.inference_mode():
        plain, answers = module(other), [each(other) for each in (first, second)]
    assert torch.equal(*answers)
    assert (answers[0] - plain).abs().max() < 1e-5 * plain.abs().max() * 2
    normalisations = [sum(isinstance(part, nn.BatchNorm2d) for part in each.modules()) for each in (module, first)]
    assert normalisations[1] < normalisations[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NETWORKS)
def test_packed_weights_answer_as_the_network_at_any_size(name, dtype):
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN computes no bfloat16 on this processor")
    torch.manual_seed(0)
    plain = lived_in(build(name, 3, 2, **NETWORKS[name]))
    frozen = pack_weights(plain, torch.randn(1, 3, 64, 64), dtype)
    assert any(isinstance(part, PackedConv) for part in frozen.modules())
    half = dtype == torch.bfloat16
    with torch.inference_mode():
        for shape in ((1, 3, 64, 64), (2, 3, 64, 64), (1, 3, 96, 128)):
            x = torch.randn(shape)
            expected, answer = plain(x), (AutocastBf16(frozen) if half else frozen)(x)
            assert answer.dtype == torch.float32
            off = float((answer - expected).abs().max() / expected.abs().max())
            assert off < (0.1 if half else 1e-4), shape


def test_without_the_operator_nothing_is_packed(monkeypatch):
    monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    plain = lived_in(build("unet", 3, 2, base=4))
    assert pack_weights(plain, torch.randn(1, 3, 32, 32), torch.float32) is None
    faster, _ = prepare_for_inference(plain, torch.randn(1, 3, 32, 32))
    assert faster is not None
