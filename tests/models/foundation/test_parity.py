"""Same weights, same input: our encoders against the published implementations."""

from __future__ import annotations

import functools
import math
from datetime import UTC, datetime

import pytest
import torch
from torch import nn

from geoseg.models.foundation.clay import SIZES as CLAY
from geoseg.models.foundation.clay import ClaySize
from geoseg.models.foundation.dofa import SIZES as DOFA
from geoseg.models.foundation.dofa import Dofa, DofaV2
from geoseg.models.foundation.positions import sincos, table_2d
from geoseg.models.foundation.prithvi import Prithvi, PrithviSize
from tests.support import oracles
from tests.support.little_networks import WAVELENGTHS, clay_pair, stirred

WHEN = datetime(2023, 11, 7, 16, 42, tzinfo=UTC)
WHERE = (-1.57, 41.9)
BASE_DIMS = ClaySize(CLAY["base"].width, 2, 12, 64, 4)
LARGE_DIMS = ClaySize(CLAY["large"].width, 2, 16, 64, 4)
SMALL_PRITHVI = PrithviSize(64, 4, 4, 16, time_and_place=True)


def circle(angle: float) -> list[float]:
    return [math.sin(angle), math.cos(angle)]


@pytest.mark.parametrize("known", [True, False], ids=["time and place", "unknown"])
@pytest.mark.parametrize("size", [CLAY["tiny"], BASE_DIMS, LARGE_DIMS], ids=["tiny", "base-2", "large-2"])
def test_clay_is_claymodel(size, known):
    theirs, ours = clay_pair(size)
    pixels = torch.randn(1, 5, 256, 256)
    week, hour = WHEN.isocalendar().week, WHEN.hour
    time = circle(2 * math.pi * week / 52) + circle(2 * math.pi * hour / 24) if known else [0.0] * 4
    place = circle(math.radians(WHERE[0])) + circle(math.radians(WHERE[1])) if known else [0.0] * 4
    cube = {
        "pixels": pixels,
        "time": torch.tensor([time]),
        "latlon": torch.tensor([place]),
        "gsd": torch.tensor(10.0),
        "waves": torch.tensor(WAVELENGTHS),
    }
    facts = {"time": WHEN, "latlon": WHERE} if known else {}
    with torch.no_grad():
        expected = theirs(cube)[0][:, 1:].transpose(1, 2).reshape(1, size.width, 32, 32)
        got = ours.encode(pixels, wavelengths_um=WAVELENGTHS, gsd_m=10, taps=[size.depth - 1], **facts).maps[0]
    assert (got - expected).abs().max() <= 1e-6 * expected.abs().max()


def prithvi_pair(positions: str, epsilon: float, frames: int, px: int = 224) -> tuple[nn.Module, Prithvi]:
    size = SMALL_PRITHVI
    theirs = stirred(
        oracles.terratorch_prithvi().PrithviViT(
            img_size=px,
            patch_size=(1, size.patch, size.patch),
            num_frames=frames,
            in_chans=6,
            embed_dim=size.width,
            depth=size.depth,
            num_heads=size.heads,
            norm_layer=functools.partial(nn.LayerNorm, eps=epsilon),
            coords_encoding=["time", "location"],
            coords_scale_learn=True,
        )
    )
    ours = Prithvi(size, positions=positions, norm_epsilon=epsilon).eval()
    weights = theirs.state_dict()
    weights.pop("pos_embed")  # computed, not learned
    ours.load_state_dict(weights, strict=True)
    return theirs, ours


def prithvi_both(theirs, ours, pixels, frames=1):
    moments = [WHEN.replace(month=1 + month) for month in range(frames)]
    coordinates = torch.tensor([[[float(m.year), float(m.timetuple().tm_yday)] for m in moments]])
    with torch.no_grad():
        expected = theirs.forward_features(pixels, coordinates, torch.tensor([WHERE]))
        got = ours.encode(pixels, time=[moments], latlon=WHERE, taps=range(SMALL_PRITHVI.depth))
    rows, columns = (side // SMALL_PRITHVI.patch for side in pixels.shape[-2:])
    for map_, tokens in zip(got.maps, expected, strict=True):
        wanted = tokens[:, 1:].reshape(1, frames, rows, columns, -1).permute(0, 1, 4, 2, 3).flatten(1, 2)
        assert (map_ - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("epsilon", [1e-5, 1e-6])
def test_prithvi_is_terratorch_at_224(epsilon):
    prithvi_both(*prithvi_pair("recompute", epsilon, 1), torch.randn(1, 6, 224, 224))


def test_prithvi_reads_frames_as_terratorch_does():
    prithvi_both(*prithvi_pair("recompute", 1e-5, 3), torch.randn(1, 6, 3, 224, 224), frames=3)


@pytest.mark.parametrize("size", [(256, 256), (448, 320)])
def test_prithvi_interpolates_positions_as_terratorch_does(size):
    prithvi_both(*prithvi_pair("interpolate", 1e-5, 1), torch.randn(1, 6, *size))


def test_prithvi_recomputes_positions_as_a_model_built_for_that_size_has_them():
    prithvi_both(*prithvi_pair("recompute", 1e-6, 1, px=256), torch.randn(1, 6, 256, 256))


def test_the_position_policies_differ_off_224():
    _, ours = prithvi_pair("recompute", 1e-5, 1)
    _, other = prithvi_pair("interpolate", 1e-5, 1)
    other.load_state_dict(ours.state_dict())
    small, large = torch.randn(1, 6, 224, 224), torch.randn(1, 6, 512, 512)
    with torch.no_grad():
        assert torch.equal(ours.encode(small).maps[-1], other.encode(small).maps[-1])
        one, two = ours.encode(large).maps[-1], other.encode(large).maps[-1]
    assert (one - two).norm() > 0.01 * one.norm()


def test_dofa_v1_is_torchgeo():
    from torchgeo.models import dofa as torchgeo_dofa

    size = DOFA["base"]
    theirs = torchgeo_dofa.DOFA(embed_dim=size.width, depth=3, num_heads=size.heads, num_classes=0)
    theirs.pos_embed.data.copy_(table_2d(14, 14, size.width))
    theirs = stirred(theirs)
    ours = Dofa(size, depth=3).eval()
    weights = theirs.state_dict()
    norm = [weights.pop("fc_norm.weight"), weights.pop("fc_norm.bias")]
    ours.load_state_dict(weights, strict=True)
    pixels = torch.randn(2, 5, 224, 224)
    with torch.no_grad():
        expected = theirs.forward_features(pixels, list(WAVELENGTHS))
        last = ours.encode(pixels, wavelengths_um=WAVELENGTHS, taps=[2]).maps[0]
        pooled = nn.functional.layer_norm(last.flatten(2).transpose(1, 2).mean(1), (size.width,), *norm, eps=1e-6)
    assert torch.equal(pooled, expected)


def test_dofa_v2_is_its_authors_assembly_of_timm_and_the_generator():
    """No library has DOFA v2. Its authors put v1's kernel generator before timm's vision transformer; so does this."""
    from timm.models.vision_transformer import VisionTransformer
    from torchgeo.models.dofa import DOFAEmbedding

    ours = stirred(DofaV2(DOFA["base"], depth=2))
    weights = ours.state_dict()
    embedding = DOFAEmbedding(128, kernel_size=14, embed_dim=768)
    embedding.load_state_dict(inside(weights, "patch_embed."), strict=True)
    body = VisionTransformer(patch_size=14, embed_dim=768, depth=2, num_heads=12, init_values=1e-5, num_classes=0)
    missing, unexpected = body.load_state_dict(inside(weights, "model."), strict=False)
    assert unexpected == []
    assert {name.split(".")[0] for name in missing} == {"patch_embed", "norm"}
    pixels = torch.randn(2, 5, 224, 224)
    with torch.no_grad():
        tokens, _ = embedding(pixels, torch.tensor(WAVELENGTHS))
        tokens = body._pos_embed(tokens)
        expected = [tokens := block(tokens) for block in body.eval().blocks]
        got = ours.encode(pixels, wavelengths_um=WAVELENGTHS, taps=[0, 1]).maps
    for map_, tokens in zip(got, expected, strict=True):
        wanted = tokens[:, 1:].transpose(1, 2).reshape(2, 768, 16, 16)
        assert (map_ - wanted).abs().max() <= 1e-6 * wanted.abs().max()


def inside(weights, prefix):
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def test_sincos_is_the_textbook_formula():
    table = sincos(torch.tensor([0.0, 1.0, 7.5], dtype=torch.float64), 8)
    for row, position in zip(table.tolist(), [0.0, 1.0, 7.5], strict=True):
        angles = [position / 10000 ** (2 * i / 8) for i in range(4)]
        assert row == pytest.approx([math.sin(a) for a in angles] + [math.cos(a) for a in angles], abs=1e-12)
