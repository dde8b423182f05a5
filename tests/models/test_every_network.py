"""One tester for every network: sizes, bands, saving, gradients, determinism, where things are, and holes.

Convolutional networks run at their full depth. The ViT of ``uvit`` has four of its twelve blocks here.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geoseg.catalog.cards import Architecture, ModelCard, card, cards, shipped
from geoseg.models.bundle import build_from, load_bundle, save_bundle
from geoseg.models.inference import water_probability
from geoseg.models.protocol import Chips
from geoseg.models.registry import build

SMALLER = {"uvit": {"depth": 4}, "unet": {"base": 16}, "attention-unet": {"base": 16}}
"""Options that make a network lighter without another path through its code."""

NAMES = sorted(name for name, each in cards().items() if each.family == "cnn" and not shipped(name))
ONE_OF_EACH = [name for name in NAMES if name not in {f"unetplusplus-efficientnet-b{size}" for size in (1, 2, 3)}]
"""B1 to B3 differ from B0 and B4 in counts alone; their parameters are held below."""

BANDS = (
    "coastal",
    "blue",
    "green",
    "red",
    "rededge1",
    "rededge2",
    "rededge3",
    "nir",
    "nir08",
    "nir09",
    "swir16",
    "swir22",
)


def architecture(name: str) -> Architecture:
    built = card(name).architecture
    return Architecture(name=built.name, options=built.options | SMALLER.get(built.name, {}))


def card_of(name: str, bands: int, classes: tuple[str, ...] = ("water",)) -> ModelCard:
    return card(name).model_copy(
        update={"architecture": architecture(name), "bands": BANDS[:bands], "classes": classes, "parameters_m": None}
    )


def made(network, name: str, bands: int = 4, classes: int = 1) -> nn.Module:
    built = architecture(name)
    return network(built.name, bands, classes, **built.options)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(97, 131), (64, 256), (15, 15), (1, 40), (224, 224)], ids=str)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_logits_have_the_size_of_the_image(network, name, size):
    with torch.inference_mode():
        logits = made(network, name)(noise(1, 4, *size))
    assert logits.shape == (1, 1, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize(("bands", "classes"), [(1, 1), (2, 3), (13, 2)])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_any_number_of_bands_and_classes(name, bands, classes):
    built = architecture(name)
    network = build(built.name, bands, classes, **built.options).eval()
    with torch.inference_mode():
        assert network(noise(2, bands, 32, 48)).shape == (2, classes, 32, 48)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_two_evaluations_agree_and_chips_do_not_see_their_neighbours_in_a_batch(network, name):
    module, batch = made(network, name), noise(2, 4, 64, 64)
    with torch.inference_mode():
        first, second = module(batch), module(batch)
        alone = module(batch[1:])
    assert torch.equal(first, second)
    assert torch.allclose(first[1:], alone, atol=1e-4)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_gradients_reach_every_trainable_parameter_of_one_small_chip(name):
    built = architecture(name)
    torch.manual_seed(0)
    module = build(built.name, 3, 1, **built.options).train()
    module(noise(1, 3, 33, 47)).square().mean().backward()
    without = [key for key, each in module.named_parameters() if each.requires_grad and each.grad is None]
    assert without == []
    assert all(each.grad.isfinite().all() for each in module.parameters() if each.grad is not None)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_an_impulse_moves_the_place_it_is_in_most(network, name):
    """Whatever permutes, flips or shifts maps on the way is seen here, at every corner of an oblong image."""
    module, quiet = made(network, name), noise(1, 4, 96, 160) * 0.1
    with torch.inference_mode():
        before = module(quiet)
        for y, x in ((8, 8), (8, 136), (72, 8), (72, 136), (40, 72)):
            loud = quiet.clone()
            loud[..., y : y + 16, x : x + 16] += noise(4, 16, 16, seed=1) * 5
            moved = (module(loud) - before).abs()[0, 0]
            row, column = divmod(int(nn.functional.avg_pool2d(moved[None], 8, 1)[0].argmax()), 160 - 7)
            assert y - 12 <= row <= y + 20, (name, (y, x), (row, column))
            assert x - 12 <= column <= x + 20, (name, (y, x), (row, column))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_bundle_gives_the_same_answer_and_holes_stay_holes(network, name, tmp_path):
    module, own = made(network, name), card_of(name, 4)
    save_bundle(tmp_path, module, own)
    model = load_bundle(tmp_path)
    pixels = torch.rand(1, 4, 48, 56, generator=torch.Generator().manual_seed(3)) * 0.5
    with torch.inference_mode():
        assert torch.equal(model.logits(Chips(pixels, own.bands)), module(pixels))
    pixels[..., 28:] = torch.nan
    probability = water_probability(model, Chips(pixels, own.bands))
    assert torch.equal(probability.isnan(), pixels.isnan().any(dim=1))
    assert torch.equal(model.logits(Chips(pixels, own.bands))[:, 0].isnan(), probability.isnan())


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_as_the_card_says(name):
    with torch.device("meta"):
        module = build_from(card(name))
    total = sum(each.numel() for each in module.parameters()) / 1e6
    assert total == pytest.approx(card(name).parameters_m, abs=0.005)


@pytest.mark.parametrize(
    ("name", "options", "published_m"),
    [
        ("unet", {}, 31.04),
        ("attention-unet", {}, 34.88),
        ("unetplusplus", {"encoder": "efficientnet-b0", "deep_supervision": False}, 6.57),
        ("unetplusplus", {"encoder": "efficientnet-b1", "deep_supervision": False}, 9.08),
        ("unetplusplus", {"encoder": "efficientnet-b2", "deep_supervision": False}, 10.40),
        ("unetplusplus", {"encoder": "efficientnet-b3", "deep_supervision": False}, 13.62),
        ("unetplusplus", {"encoder": "efficientnet-b4", "deep_supervision": False}, 20.81),
    ],
)
def test_parameters_are_as_published(name, options, published_m):
    with torch.device("meta"):
        module = build(name, 3, 1, **options)
    assert sum(each.numel() for each in module.parameters()) / 1e6 == pytest.approx(published_m, abs=0.006)


def test_transnorm_is_the_published_one_without_the_projections_that_reach_no_output():
    with torch.device("meta"):
        module = build("transnorm", 3, 1)
    spatial = sum(each.numel() for each in module.last_block.spatial.parameters())
    total = sum(each.numel() for each in module.parameters())
    assert (total + 11 * spatial) / 1e6 == pytest.approx(117.7, abs=0.05)


def test_uvit_stands_on_prithvi_key_by_key():
    """So that the official checkpoint of the encoder fits it."""
    from geoseg.models.foundation.build import build_encoder

    with torch.device("meta"):
        own, official = build("uvit", 6, 1).encoder, build_encoder("prithvi-eo-v1-100m", bands=6)
    assert {key: value.shape for key, value in own.state_dict().items()} == {
        key: value.shape for key, value in official.state_dict().items()
    }
    assert own.default_taps == (2, 5, 8, 11)
