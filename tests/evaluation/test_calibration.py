"""Calibration: torchmetrics' number from whole counts that merge."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadOptionError, InputRangeError
from geoseg.evaluation.calibration import PERCENTS, ProbabilityCounts


def scene(seed: int, edges: int | None = None) -> tuple:
    """A label, probabilities in whole per cent (none on an edge of ``edges`` bins, or 50), and where both are known."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(UNLABELLED, 2, (40, 30)).astype(np.int16)
    percent = rng.choice(
        [c for c in range(PERCENTS) if edges is None or ((c * edges) % 100 and c != 50)], truth.shape
    ).astype(np.uint8)
    percent[rng.random(truth.shape) < 0.1] = NOT_OBSERVED
    return truth, percent, (truth != UNLABELLED) & (percent != NOT_OBSERVED)


@pytest.mark.parametrize("bins", [10, 15])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_torchmetrics(bins, seed):
    """Off what the two count otherwise: edges (there to the bin above, here below) and 50 per cent (there class 0)."""
    truth, percent, both = scene(seed, bins)
    counted = ProbabilityCounts.of(truth, percent)
    p, t = torch.from_numpy(percent[both] / 100), torch.from_numpy(truth[both]).long()
    binary = BinaryCalibrationError(n_bins=bins, norm="l1")(p, t)
    assert counted.expected_calibration_error(bins, "class 1") == pytest.approx(binary.item(), rel=1e-5)
    said = MulticlassCalibrationError(2, n_bins=bins, norm="l1")(torch.stack([1 - p, p], dim=1), t)
    assert counted.expected_calibration_error(bins) == pytest.approx(said.item(), rel=1e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 10, 15, 100]), st.sampled_from(["confidence", "class 1"]))
def test_it_is_the_formula(seed, bins, of):
    truth, percent, both = scene(seed)
    p, t = percent[both].astype(int), truth[both]
    if of == "confidence":
        p, t = np.where(p >= 50, p, 100 - p), np.where(p >= 50, t, 1 - t)
    error = 0.0
    for m in range(1, bins + 1):
        here = (p * bins > (m - 1) * 100) & (p * bins <= m * 100) | ((m == 1) & (p == 0))
        if here.any():
            error += here.mean() * abs(t[here].mean() - p[here].mean() / 100)
    assert ProbabilityCounts.of(truth, percent).expected_calibration_error(bins, of) == pytest.approx(error, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_blocks_add_up_to_the_whole(seed, row):
    truth, percent, _ = scene(seed)
    whole = ProbabilityCounts.of(truth, percent)
    upper, lower = (ProbabilityCounts.of(truth[rows], percent[rows]) for rows in (slice(row), slice(row, None)))
    assert lower + upper == whole == whole + ProbabilityCounts.none()
    assert hash(lower + upper) == hash(whole) and whole != "counts"


def test_floats_and_whole_per_cent_are_counted_alike():
    truth, percent, both = scene(1)
    floats = np.where(percent == NOT_OBSERVED, np.nan, percent / 100).astype(np.float32)
    counted = ProbabilityCounts.of(truth, floats)
    assert counted == ProbabilityCounts.of(truth, percent)
    assert counted.pixels.sum() == both.sum()
    assert counted.not_observed == ((truth != UNLABELLED) & (percent == NOT_OBSERVED)).sum()


def test_known_cases():
    truth = np.array([1, 1, 1, 0], np.int16)
    assert ProbabilityCounts.of(truth, np.full(4, 0.75)).expected_calibration_error() == 0
    assert ProbabilityCounts.of(truth, np.full(4, 0.95)).expected_calibration_error(10) == pytest.approx(0.2)
    assert ProbabilityCounts.of(truth, truth.astype(float)).expected_calibration_error(of="class 1") == 0
    assert ProbabilityCounts.of(truth, 1.0 - truth).expected_calibration_error() == 1
    table = ProbabilityCounts.of(truth, np.array([0.0, 0.1, 0.11, 1.0])).reliability(10, "class 1")
    assert table.pixels.tolist() == [2, 1, *[0] * 6, 0, 1]
    assert table.claimed[0] == 0.05 and table.true[0] == 1 and np.isnan(table.true[5])


def test_nothing_labelled_has_no_error():
    nothing = ProbabilityCounts.of(np.full((3, 3), UNLABELLED, np.int16), np.ones((3, 3)))
    assert nothing == ProbabilityCounts.none() and math.isnan(nothing.expected_calibration_error())


@pytest.mark.parametrize(
    ("truth", "probability", "says"),
    [
        (np.zeros(2, np.int16), np.zeros(3), "one grid"),
        (np.full(2, 2, np.int16), np.zeros(2), "labels 0 and 1"),
        (np.zeros(2, np.int16), np.full(2, 1.2), "expected 0 to 1"),
        (np.zeros(2, np.int16), np.full(2, np.inf), "expected 0 to 1"),
        (np.zeros(2, np.int16), np.full(2, 101, np.uint8), "got 101"),
        (np.zeros(2, np.int16), np.full(2, 50, np.int64), "got int64"),
    ],
)
def test_what_is_refused(truth, probability, says):
    with pytest.raises(InputRangeError, match=says):
        ProbabilityCounts.of(truth, probability)


@pytest.mark.parametrize(("bins", "of"), [(0, "confidence"), (101, "confidence"), (10, "water")])
def test_what_cannot_be_asked(bins, of):
    with pytest.raises(BadOptionError):
        ProbabilityCounts.none().expected_calibration_error(bins, of)
