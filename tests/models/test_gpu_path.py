"""What a GPU is given and how it answers: lanes, recordings and bfloat16, on every device that this machine has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geoseg.errors import BadOptionError
from geoseg.models.bundle import save_bundle
from geoseg.models.inference import Predictor
from geoseg.models.optimize import cuda_graph as graphed
from geoseg.models.optimize.cuda_graph import Graphed
from geoseg.models.optimize.double_buffer import Lanes
from geoseg.models.optimize.prepare import prepare_for_inference
from geoseg.models.optimize.wrapper import InBfloat16, Wrapped
from geoseg.models.registry import build
from tests.models.test_bundle import small_card

DEVICES = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
SIZE, BANDS, SIDE = 3, 2, 5


@pytest.fixture(params=DEVICES, ids=str)
def device(request):
    return request.param


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    torch.manual_seed(0)
    save_bundle(folder, build("unet", 3, 1, base=4), small_card())
    return folder


def batches(counts, seed=0, shape=(BANDS, SIDE, SIDE)):
    draws = np.random.default_rng(seed)
    return [draws.random((count, *shape), dtype=np.float32) for count in counts]


# -- lanes ----------------------------------------------------------------------------------------------------------


@given(counts=st.lists(st.integers(1, SIZE), max_size=8), device=st.sampled_from(DEVICES))
def test_every_batch_gets_its_own_answer_in_its_turn(counts, device):
    given_ = batches(counts)
    lanes = Lanes(lambda pixels: pixels.sum(1), (SIZE, BANDS, SIDE, SIDE), device)
    for batch, answer in zip(given_, lanes.answers(iter(given_)), strict=True):
        np.testing.assert_allclose(answer, batch.sum(1), rtol=1e-6)


def test_a_batch_sets_out_before_the_one_ahead_is_asked_for(device):
    begun = []

    def ask(pixels):
        begun.append(len(begun))
        return pixels[:, 0]

    answers = Lanes(ask, (SIZE, BANDS, SIDE, SIDE), device).answers(batches([3, 3, 3]))
    next(answers)
    assert begun == [0, 1]


def test_the_rest_of_a_short_batch_is_not_observed(device):
    seen = []

    def ask(pixels):
        seen.append(pixels.cpu().clone())
        return pixels[:, 0]

    list(Lanes(ask, (SIZE, BANDS, SIDE, SIDE), device).answers(batches([3, 3, 1])))
    assert [each.shape[0] for each in seen] == [SIZE] * 3  # one size for the network, whatever comes
    assert seen[-1][1:].isnan().all()  # nothing of the batch that was there before
    assert not seen[-1][0].isnan().any()


def test_answers_stay_what_they_were_when_the_lane_is_used_again(device):
    given_ = batches([3] * 6)
    answers = list(Lanes(lambda pixels: pixels[:, 0], (SIZE, BANDS, SIDE, SIDE), device).answers(given_))
    for batch, answer in zip(given_, answers, strict=True):
        np.testing.assert_array_equal(answer, batch[:, 0])


def test_a_predictor_answers_batches_as_it_answers_one(bundle, device):
    predictor = Predictor.of(bundle, device.type)
    given_ = [batch * 0.3 for batch in batches([2, 2, 1], shape=(3, 32, 48))]
    given_[1][0, 1, 4:9] = np.nan
    for batch, answer in zip(given_, predictor.probabilities(iter(given_), 2), strict=True):
        expected = predictor.probability(batch)
        np.testing.assert_array_equal(np.isnan(answer), np.isnan(batch).any(1))
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_chips_of_another_size_get_lanes_of_their_own(bundle, device):
    predictor = Predictor.of(bundle, device.type)
    given_ = [*batches([1], shape=(3, 32, 48)), *batches([1, 1], shape=(3, 16, 16))]
    shapes = [answer.shape for answer in predictor.probabilities(given_, 1)]
    assert shapes == [(1, 32, 48), (1, 16, 16), (1, 16, 16)]


# -- recordings -----------------------------------------------------------------------------------------------------


class Asked(nn.Module):
    """A network that reads how its chips were acquired."""

    reads_acquisition = True

    def forward(self, x, *, gsd_m, time, latlon):
        return x[:, :1] * gsd_m


def test_what_wraps_a_network_is_asked_as_the_network_is(device):
    x = torch.ones(1, 2, 4, 4, device=device)
    with torch.inference_mode():
        for wrap in (Wrapped, Graphed, InBfloat16):
            wrapped = wrap(Asked())
            assert wrapped.reads_acquisition
            assert (wrapped(x, gsd_m=3.0, time=None, latlon=None) == 3).all()
            assert (wrapped(x, gsd_m=5.0, time=None, latlon=None) == 5).all()  # no recording of other facts
            assert not hasattr(wrap(nn.Identity()), "reads_acquisition")


def test_a_replayed_network_answers_as_the_plain_one(network, device):
    plain = network("unet", 3, 1, base=4).to(device)
    replayed = Graphed(plain)
    with torch.inference_mode():
        for side in (32, 48, 32, 64, 32):
            x = torch.randn(2, 3, side, side, device=device)
            first, second = replayed(x), replayed(x + 1)
            torch.testing.assert_close(first, plain(x), rtol=1e-4, atol=1e-5)  # not overwritten by the second
            torch.testing.assert_close(second, plain(x + 1), rtol=1e-4, atol=1e-5)
    plain.to("cpu")


def test_what_cannot_be_recorded_is_told_and_runs_as_it_is(monkeypatch, caplog):
    def refused(run, x):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(graphed, "record", refused)
    assert Graphed(nn.Identity())._record(torch.ones(1), {}) is None
    assert "not permitted when stream is capturing" in caplog.text
    assert "and more" not in caplog.text


@pytest.mark.parametrize(("off", "kept"), [(0.0, True), (1e-6, True), (1e-3, False), (float("nan"), False)])
def test_a_recording_that_answers_otherwise_is_not_used(monkeypatch, caplog, off, kept):
    monkeypatch.setattr(graphed, "record", lambda run, x: (lambda chips: run(chips) + off, run(x)))
    replay = Graphed(nn.Identity())._record(torch.ones(4), {})
    assert (replay is not None) is kept
    assert ("a replay differed" in caplog.text) is not kept


# -- bfloat16 -------------------------------------------------------------------------------------------------------


def test_bfloat16_is_near_and_not_the_same(bundle, device):
    exact, half = (Predictor.of(bundle, device.type, precision=each) for each in ("32", "bf16"))
    (chips,) = batches([2], shape=(3, 64, 64))
    chips[:, :, :8] = np.nan
    off = np.abs(exact.probability(chips * 0.3) - half.probability(chips * 0.3))
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
    faster, prepared = prepare_for_inference(plain, x, backend=backend)
    with torch.inference_mode():
        expected = plain(x)
        for _ in range(2):
            off = float((faster(x) - expected).abs().max() / expected.abs().max())
            assert off < (1e-4 if backend == "exact" else 0.1)
    assert ("CUDA graph" in prepared.steps) is (device.type == "cuda")
    plain.to("cpu")
