"""Decoders: any size, the published UPerNet, and Clay's head fused without a trace at the rim."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from geoseg.errors import BadOptionError, InputRangeError, UnknownNameError
from geoseg.models.foundation.decoders.blocks import BatchOfOneNorm
from geoseg.models.foundation.decoders.build import DECODERS
from geoseg.models.foundation.decoders.fused_shuffle import FusedShuffle
from geoseg.models.foundation.decoders.upernet import UPerNet
from geoseg.models.foundation.layers import depths
from geoseg.models.registry import build
from tests.support import oracles
from tests.support.little_networks import ENCODERS, SMALL, WAVES, small, stirred


def test_every_decoder_is_tried():
    assert set(SMALL) == set(DECODERS)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", SMALL)
def test_logits_have_the_images_size_and_every_parameter_learns(encoder, decoder):
    network = small(encoder, decoder).eval()
    for size in [(64, 96), (97, 131), (15, 15), (3, 40)]:
        with torch.no_grad():
            logits = network(torch.randn(2, 4, *size))
        assert logits.shape == (2, 3, *size)
        assert logits.isfinite().all()
    network.train()
    network(torch.randn(1, 4, 50, 70)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("decoder", SMALL)
def test_one_chip_smaller_than_a_cell_can_be_trained_on(decoder):
    network = small("patch 16", decoder).train()
    network(torch.randn(1, 4, 9, 9)).sum().backward()


@pytest.mark.parametrize("decoder", SMALL)
def test_folding_changes_nothing(decoder):
    network = stirred(small("patch 8", decoder))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 4, 61, 83)
    with torch.no_grad():
        before = network(x)
        network.decoder.fold()
        assert (network(x) - before).abs().max() <= 1e-5 * before.abs().max()


@settings(max_examples=30, deadline=None)
@given(
    patch=st.integers(2, 5),
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    biases=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 9),
)
def test_the_fused_head_is_the_plain_one_everywhere(patch, rows, columns, biases, seed):
    torch.manual_seed(seed)
    spread = nn.Conv2d(5, 3 * patch**2, 3, padding=1, bias=biases[0]).double()
    out = nn.Conv2d(3, 2, 3, padding=1, bias=biases[1]).double()
    cells = torch.randn(2, 5, rows, columns, dtype=torch.float64)
    with torch.no_grad():
        plain = out(F.pixel_shuffle(spread(cells), patch))
        fused = FusedShuffle.of(spread, out, patch)(cells)
    assert torch.allclose(fused, plain, atol=1e-12)


def test_the_fused_head_is_small():
    spread, out = nn.Conv2d(512, 4096, 3, padding=1), nn.Conv2d(64, 2, 3, padding=1)
    fused = FusedShuffle.of(spread, out, 8)
    assert fused.get_buffer("inner_inner_weight").numel() == 128 * 512 * 25  # 1.64M of 18.87M


def test_upernet_is_terratorchs():
    widths, channels = [6, 12, 24, 24], 16
    theirs = stirred(oracles.terratorch_upernet().UperNetDecoder(widths, channels=channels))
    ours = UPerNet(widths, channels).eval()
    ours.load_state_dict(renamed(theirs.state_dict()), strict=True)
    levels = [torch.randn(2, width, 32 // 2**i, 48 // 2**i) for i, width in enumerate(widths)]
    with torch.no_grad():
        expected = theirs([level.clone() for level in levels])
        assert (ours(levels) - expected).abs().max() <= 1e-6 * expected.abs().max()


def renamed(state):
    """terratorch's names as ours."""
    names = [("psp_modules.", "pooling.pools."), ("fpn_bottleneck.", "merge."), ("bottleneck.", "pooling.merge.")]
    names += [("lateral_convs.", "laterals."), ("fpn_convs.", "smoothers.")]
    out = {}
    for key, value in state.items():
        old, new = next((old, new) for old, new in names if key.startswith(old))
        out[new + key.removeprefix(old)] = value
    return out


def test_batch_norm_of_one_value_uses_what_it_has_learnt():
    norm, plain = BatchOfOneNorm(3).train(), nn.BatchNorm2d(3).train()
    x = torch.randn(1, 3, 1, 1)
    assert torch.equal(norm(x), plain.eval()(x))
    many = torch.randn(2, 3, 4, 4)
    assert torch.equal(norm(many), plain.train()(many))


def test_a_frozen_encoder_learns_nothing_and_stays_in_evaluation():
    network = small("patch 8", "linear", frozen=True).train()
    network(torch.randn(2, 4, 16, 16)).sum().backward()
    assert not network.encoder.training
    assert network.decoder.training
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(parameter.grad is not None for parameter in network.decoder.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_freezing_the_first_blocks_leaves_the_others_learning(encoder):
    network = small(encoder, "linear", frozen="first:2").train()
    network(torch.randn(2, 4, 32, 32)).sum().backward()
    of_encoder = dict(network.encoder.named_parameters())
    lie = depths(network.encoder)
    assert {lie[name] for name, p in of_encoder.items() if p.grad is None} == {0, 1, 2}
    assert {lie[name] for name, p in of_encoder.items() if p.grad is not None} >= {3, 4}
    assert network.encoder.training
    network.freeze("none")
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_depths_count_the_embedding_the_blocks_and_what_follows(encoder):
    made = ENCODERS[encoder]()
    lie = depths(made)
    assert set(lie) == {name for name, _ in made.named_parameters()}
    for index, block in enumerate(made.blocks_in_order()):
        assert list(lie.values()).count(index + 1) == len(list(block.parameters()))
    assert all(depth == 0 for name, depth in lie.items() if "cls_token" in name or "patch_embed" in name)


def test_only_norms_may_learn():
    network = small("patch 8", "linear", frozen="all-but-norm")
    learning = [name for name, p in network.encoder.named_parameters() if p.requires_grad]
    assert learning
    assert all(".norm" in name or ".net.0." in name for name in learning if "generator" not in name)
    for wrong in ("first:5", "first", "decoder"):
        with pytest.raises(BadOptionError, match="4 blocks"):
            network.freeze(wrong)


def test_what_was_not_observed_must_be_filled_before_the_network():
    network = small("patch 8", "fpn").eval()
    x = torch.randn(1, 4, 64, 64)
    x[..., 32:] = torch.nan
    with torch.no_grad(), pytest.raises(InputRangeError, match="Fill NaN with 0"):
        network(x)


def test_an_impulse_moves_its_own_pixels_most():
    network = small("patch 8", "pixelshuffle").eval()
    x = torch.zeros(1, 4, 64, 256)
    with torch.no_grad():
        before = network(x)
        for row, column in [(12, 204), (52, 60)]:
            y = x.clone()
            y[..., row - 2 : row + 2, column - 2 : column + 2] = 8.0
            moved = (network(y) - before).norm(dim=1)[0]
            at = divmod(int(moved.argmax()), 256)
            assert abs(at[0] - row) <= 24
            assert abs(at[1] - column) <= 24


def test_a_call_may_say_what_the_network_was_built_with():
    network = small("patch 8", "linear").eval()
    x = torch.randn(1, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(x), network(x, wavelengths_um=WAVES, gsd_m=10.0))
        assert not torch.equal(network(x), network(x, gsd_m=3.0))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_graph_of_it_takes_any_batch_and_leaves_nothing_behind(encoder):
    network = small(encoder, "pixelshuffle").eval()
    network.encoder.reuse_kernels = True
    x = torch.randn(2, 4, 70, 64)
    with torch.no_grad():
        graph = torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
        expected = network(x)
        assert torch.allclose(graph(x), expected, atol=1e-6)
        assert torch.allclose(graph(torch.cat([x, x, x]))[2:4], expected, atol=1e-5)


def test_taps_must_fit_the_decoder():
    with pytest.raises(ValueError, match="expected 4 blocks, as many as the decoder reads"):
        small("patch 8", "upernet", taps=[1, 3])


def test_unknown_names_and_options_are_refused():
    with pytest.raises(UnknownNameError, match="upernet"):
        build("clay-v1.5-tiny", 4, decoder="upernett")
    with pytest.raises(BadOptionError, match=r"wavelengths_um of clay-v1\.5-tiny: expected 4"):
        build("clay-v1.5-tiny", 4, wavelengths_um=[0.5])
    with pytest.raises(BadOptionError, match="norm_epsilon"):
        build("clay-v1.5-tiny", 4, norm_epsilon=1e-5)
    with pytest.raises(BadOptionError, match="learned"):
        build("dofa-v2-base", 4, positions="recompute", depth=1)
    with pytest.raises(BadOptionError, match="colour"):
        build("clay-v1.5-tiny", 4, colour="blue")
