"""One normalisation: training, inference and the exported graph show the network the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from geoseg.catalog.cards import Architecture, BandStatistics, ModelCard, Normalisation
from geoseg.datasets.pair import UNLABELLED
from geoseg.models.export import InPhysicalUnits, export_model
from geoseg.models.inference import water_probability
from geoseg.models.network import NetworkModel
from geoseg.models.normalize import affine_of, normalize
from geoseg.models.protocol import Chips
from geoseg.training.recipe import Recipe
from geoseg.training.segmentation_module import SegmentationModule
from tests.support.bundles import opened

BANDS = ("vv", "vh")
CARD = ModelCard(
    name="two",
    title="Two bands",
    family="cnn",
    architecture=Architecture(name="unet", options={"base": 2}),
    sensors=("s1",),
    bands=BANDS,
    unit="dB",
    normalisation=Normalisation(bands={"vv": BandStatistics(mean=-10, std=0.5), "vh": BandStatistics(mean=-17, std=4)}),
    chip_px=32,
)
PIXELS = arrays(
    np.float32,
    (2, 2, 4, 4),
    elements=st.one_of(
        st.floats(-60, 20, width=32),
        st.sampled_from([np.float32(each) for each in (np.nan, np.inf, -np.inf, 3e38, -3e38)]),
    ),
)


class Spy(nn.Module):
    """A network that remembers what it was shown; a pixel's logit is the sum of its bands."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: torch.Tensor | None = None
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown = x.detach().clone()
        return x.sum(dim=1, keepdim=True) * 1e-3 * self.scale


def in_training(pixels: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What training shows a network of pixels, and the labels that count."""
    spy = Spy()
    learner = SegmentationModule(spy, CARD, Recipe(model="unet"), 1, None).eval()
    with torch.inference_mode():
        _, labels = learner.forward_batch({"image": pixels, "mask": mask})
    return spy.shown, labels


@settings(deadline=None)
@given(values=PIXELS)
def test_training_inference_and_export_show_the_same_numbers_and_leave_out_the_same_pixels(values):
    pixels, mask = torch.from_numpy(values.copy()), torch.ones((2, 4, 4), dtype=torch.int64)
    shown, labels = in_training(pixels, mask)

    spy = Spy()
    model = NetworkModel(spy, CARD)
    probability = water_probability(model, Chips(pixels, BANDS))
    assert torch.equal(spy.shown, shown)

    exported = InPhysicalUnits(model)(pixels)[:, 0]
    assert torch.equal(spy.shown, shown)

    means = np.array([-10, -17], np.float64)[None, :, None, None]
    with np.errstate(over="ignore", invalid="ignore"):
        expected = ((values - means) / np.array([0.5, 4])[None, :, None, None]).astype(np.float32)
    finite = np.isfinite(expected)
    assert np.array_equal(shown == 0, ~finite | (np.abs(expected) < 1e-5))
    np.testing.assert_allclose(shown.numpy()[finite], expected[finite], rtol=1e-4, atol=1e-4)
    valid = finite.all(axis=1)
    assert np.array_equal((labels != UNLABELLED).numpy(), valid)
    assert np.array_equal(~probability.isnan().numpy(), valid)
    assert np.array_equal(~exported.detach().isnan().numpy(), valid)
    assert torch.equal(torch.from_numpy(values).nan_to_num(7), pixels.nan_to_num(7)), "the pixels were changed"


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:FutureWarning")
@pytest.mark.parametrize("format_", ["onnx", "torchscript", "pt2"])
def test_the_exported_graph_does_so_too(tmp_path, format_):
    from geoseg.models.bundle import load_bundle, save_bundle
    from geoseg.models.create import create_model

    torch.manual_seed(0)
    save_bundle(tmp_path / "two", create_model("unet", bands=2, classes=1, base=2), CARD)
    done = export_model(tmp_path / "two", tmp_path / f"two.{format_}", format_)
    pixels = torch.randn(2, 2, 32, 32) * 3 - 12
    for column, value in enumerate((torch.nan, torch.inf, -torch.inf, 3e38, -3e38)):
        pixels[0, 0, 4, 3 * column] = value
    expected = water_probability(load_bundle(tmp_path / "two"), Chips(pixels, BANDS))
    got = opened(format_, done.path, pixels)[:, 0]
    assert int(expected.isnan().sum()) == 5
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0, equal_nan=True)


def test_a_card_without_statistics_only_scales():
    card = CARD.model_copy(update={"normalisation": Normalisation(scale=10000)})
    pixels = torch.rand(1, 2, 3, 3)
    normalised, valid = normalize(pixels, affine_of(card))
    assert torch.equal(normalised, pixels * 10000)
    assert valid.all()
