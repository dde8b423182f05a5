"""The predictor: batches through a model on a device, precision, and one loaded model a process."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.errors import BadOptionError
from geoseg.inference.chip_predictor import ChipPredictor
from geoseg.models.bundle import save_bundle
from geoseg.models.create import create_model
from geoseg.models.inference import MODELS_KEPT, Predictor, _Models
from geoseg.models.optimize.base import AutocastBf16
from geoseg.models.optimize.prepare import prepare_for_inference
from tests.support.bundles import small_card

DEVICES = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES, ids=str)
def device(request):
    return request.param


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    torch.manual_seed(0)
    save_bundle(folder, create_model("unet", bands=3, classes=1, base=4), small_card())
    return folder


def chips_of(count, seed=0, shape=(3, 32, 48)):
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32) * 0.3


@pytest.mark.parametrize("count", [1, 2, 5])
def test_batches_give_each_chip_its_own_answer_in_its_turn(bundle, device, monkeypatch, count):
    predictor = Predictor.of(bundle, device.type)
    chips = chips_of(count)
    chips[0, 1, 4:9] = np.nan
    alone = [predictor.probability(chip[None])[0] for chip in chips]
    monkeypatch.setattr(Predictor, "on_cpu", False)  # a GPU is given batches
    with ChipPredictor(predictor, threads=1, batch_size=2) as chip_predictor:
        answers = list(chip_predictor.probabilities(iter([(number, chip) for number, chip in enumerate(chips)])))
    assert [number for number, _ in answers] == list(range(count))
    for (_, answer), chip, expected in zip(answers, chips, alone, strict=True):
        np.testing.assert_array_equal(np.isnan(answer), np.isnan(chip).any(0))
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_the_models_used_last_are_kept_and_the_oldest_goes(bundle):
    models, first = _Models(), Predictor.of(bundle)
    loaded = models.get(first)
    others = [Predictor.of(name) for name in ("ndwi", "mndwi", "awei", "otsu")]
    for other in others[: MODELS_KEPT - 1]:
        models.get(other)
    assert models.get(first) is loaded
    models.get(others[-1])
    assert models.get(first) is loaded, "ndwi was the oldest"
    for other in others:
        models.get(other)
    assert models.get(first) is not loaded


class Asked(nn.Module):
    """A network that reads how its chips were acquired."""

    reads_acquisition = True

    def forward(self, x, *, gsd_m, time, latlon):
        return x[:, :1] * gsd_m


def test_what_wraps_a_network_is_asked_as_the_network_is(device):
    x = torch.ones(1, 2, 4, 4, device=device)
    with torch.inference_mode():
        wrapped = AutocastBf16(Asked())
        assert wrapped.reads_acquisition
        assert (wrapped(x, gsd_m=3.0, time=None, latlon=None) == 3).all()
        assert (wrapped(x, gsd_m=5.0, time=None, latlon=None) == 5).all()
        assert not hasattr(AutocastBf16(nn.Identity()), "reads_acquisition")


def test_bfloat16_is_near_and_not_the_same(bundle, device):
    exact, half = (Predictor.of(bundle, device.type, precision=each) for each in ("32", "bf16"))
    chips = chips_of(2, shape=(3, 64, 64))
    chips[:, :, :8] = np.nan
    off = np.abs(exact.probability(chips) - half.probability(chips))
    np.testing.assert_array_equal(np.isnan(off), np.isnan(chips).any(1))
    assert 0 < np.nanmax(off) < 0.02


def test_precision_is_for_networks():
    with pytest.raises(BadOptionError, match="--precision bf16 is for networks, and mndwi is none"):
        Predictor.of("mndwi", precision="bf16")


@pytest.mark.parametrize("name", ["unet", "clay-v1.5-tiny"])
@pytest.mark.parametrize("backend", ["exact", "bf16"])
def test_prepared_networks_answer_alike_on_every_device(network, device, name, backend):
    options = {"base": 4} if name == "unet" else {"wavelengths_um": (0.5, 0.6, 0.7), "gsd_m": 10.0}
    plain = network(name, 3, 1, **options).to(device)
    x = torch.randn(1, 3, 64, 64, device=device)
    faster, _ = prepare_for_inference(plain, x, backend=backend)
    with torch.inference_mode():
        expected = plain(x)
        for _ in range(2):
            off = float((faster(x) - expected).abs().max() / expected.abs().max())
            assert off < (1e-4 if backend == "exact" else 0.1)
    plain.to("cpu")
