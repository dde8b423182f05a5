"""Bootstrap intervals: scipy's ends, the same for the same seed, none for one chip."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from geoseg.errors import BadOptionError
from geoseg.evaluation.bootstrap import bootstrap_interval
from geoseg.evaluation.scores import score_function

IOU = score_function("iou_water", ("dry", "water"))


def chips(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 200, (count, 2, 2))


def test_it_is_scipys_up_to_chance():
    matrices = chips(30)

    def pooled(index, axis=-1):
        return IOU(matrices[index].sum(axis=-3)) if axis == -1 else None

    theirs = stats.bootstrap(
        (np.arange(30),), pooled, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1), vectorized=True
    ).confidence_interval
    mine = bootstrap_interval(matrices, IOU, seed=0, resamples=20_000)
    assert mine.estimate == IOU(matrices.sum(axis=0))
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)
    assert mine.low < mine.estimate < mine.high and mine.units == 30 and mine.undefined == 0


def test_the_seed_decides():
    first, again, other = (bootstrap_interval(chips(8), IOU, seed=seed) for seed in (5, 5, 6))
    assert first == again and first != other


def test_it_covers_the_truth_about_as_often_as_it_says():
    """Chips of a known pooled IoU: about 88 of 100 intervals at 90 per cent hold it; 1000 trials tell that to 4."""
    rng = np.random.default_rng(3)
    shares = np.array([0.5, 0.1, 0.1, 0.3])
    held = 0
    for trial in range(1000):
        matrices = rng.multinomial(100, shares, size=40).reshape(-1, 2, 2)
        interval = bootstrap_interval(matrices, IOU, seed=trial, resamples=300, confidence=0.9)
        held += interval.low <= 0.3 / 0.5 <= interval.high
    assert 0.84 < held / 1000 < 0.92


def test_more_confidence_is_wider():
    widths = [bootstrap_interval(chips(12), IOU, seed=1, confidence=confidence) for confidence in (0.5, 0.9, 0.99)]
    assert sorted(widths, key=lambda interval: interval.high - interval.low) == widths


@pytest.mark.parametrize("count", [0, 1])
def test_one_chip_has_no_interval(count):
    interval = bootstrap_interval(chips(count), IOU, seed=0)
    assert math.isnan(interval.low) and math.isnan(interval.high) and interval.units == count
    assert math.isnan(interval.estimate) == (count == 0)


def test_resamples_without_the_score_are_counted():
    matrices = np.array([[[9, 0], [0, 0]], [[5, 1], [1, 2]]])
    interval = bootstrap_interval(matrices, IOU, seed=0, resamples=4000)
    assert interval.undefined == pytest.approx(1000, abs=150)  # the dry chip twice
    assert interval.low == interval.high == 0.5
    dry = bootstrap_interval(matrices[[0, 0]], IOU, seed=0)
    assert math.isnan(dry.estimate) and math.isnan(dry.low) and dry.undefined == 2000


@pytest.mark.parametrize("options", [{"resamples": 0}, {"confidence": 0}, {"confidence": 1}])
def test_what_cannot_be(options):
    with pytest.raises(BadOptionError):
        bootstrap_interval(chips(3), IOU, seed=0, **options)
