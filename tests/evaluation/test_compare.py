"""Paired tests: scipy's p-values, false alarms as often as stated, and NaN with a reason."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from geoseg.errors import BadOptionError, InputRangeError
from geoseg.evaluation.compare import compare, permutation_test, t_test, wilcoxon_test
from geoseg.evaluation.counts import Confusion
from geoseg.evaluation.scores import score_function

IOU = score_function("iou_water", ("dry", "water"))


def chips(count: int, skill: float, seed: int) -> dict[str, Confusion]:
    """A model that finds each of 200 wet and 300 dry pixels of a chip with probability ``skill``."""
    rng = np.random.default_rng(seed)
    found = [(rng.binomial(300, skill), rng.binomial(200, skill)) for _ in range(count)]
    return {f"chip{i}": Confusion(np.array([[dry, 300 - dry], [200 - wet, wet]])) for i, (dry, wet) in enumerate(found)}


def arrays(models: dict[str, Confusion]) -> np.ndarray:
    return np.stack([models[name].matrix for name in sorted(models)])


def test_the_better_model_is_found():
    found = compare(chips(12, 0.9, 1), chips(12, 0.8, 2), IOU, seed=0)
    assert found.difference > 0.1 and found.mean_difference > 0.1 and found.undefined == 0
    for test in (found.wilcoxon, found.t_test, found.permutation):
        assert test.p < 0.01 and test.pairs == 12 and not test.reason


def test_the_order_of_the_two_turns_the_sign_alone():
    first, second = chips(10, 0.85, 1), chips(10, 0.84, 2)
    one, other = compare(first, second, IOU, seed=0), compare(second, first, IOU, seed=0)
    assert one.difference == -other.difference
    for name in ("wilcoxon", "t_test", "permutation"):
        assert getattr(one, name).p == pytest.approx(getattr(other, name).p)


@pytest.mark.parametrize("count", [8, 30])
def test_they_are_scipys(count):
    first, second = chips(count, 0.86, 5), chips(count, 0.85, 6)
    found = compare(first, second, IOU, seed=0)
    mine, theirs = IOU(arrays(first)), IOU(arrays(second))
    assert found.wilcoxon.p == pytest.approx(stats.wilcoxon(mine, theirs).pvalue)
    assert found.t_test.p == pytest.approx(stats.ttest_rel(mine, theirs).pvalue)


def test_few_units_are_permuted_exactly():
    first, second = arrays(chips(7, 0.87, 3)), arrays(chips(7, 0.85, 4))
    seen = abs(IOU(first.sum(axis=0)) - IOU(second.sum(axis=0)))
    reached = 0
    for swap in itertools.product([False, True], repeat=7):
        mask = np.array(swap)[:, None, None]
        a, b = np.where(mask, second, first).sum(axis=0), np.where(mask, first, second).sum(axis=0)
        reached += abs(IOU(a) - IOU(b)) >= seen - 1e-12
    assert permutation_test(first, second, IOU, seed=0).p == reached / 2**7


def test_many_units_are_permuted_by_chance_and_seed():
    first, second = arrays(chips(40, 0.851, 3)), arrays(chips(40, 0.85, 4))
    one, again, other = (permutation_test(first, second, IOU, seed=seed) for seed in (1, 1, 2))
    assert one == again and one.p == pytest.approx(other.p, abs=0.03)
    best = permutation_test(arrays(chips(40, 0.95, 3)), second, IOU, seed=1, resamples=999)
    assert best.p == 1 / 1000


def test_alike_models_are_told_apart_no_more_often_than_stated():
    alarms = {"wilcoxon": 0, "t_test": 0, "permutation": 0}
    for trial in range(1000):  # fewer would scatter too much to tell 5 per cent from 10
        found = compare(chips(10, 0.8, 2 * trial), chips(10, 0.8, 2 * trial + 1), IOU, seed=trial)
        for name in alarms:
            alarms[name] += getattr(found, name).p < 0.05
    assert all(25 < count < 75 for count in alarms.values()), alarms


def test_units_that_are_dry_for_both_are_left_out_and_counted():
    first, second = chips(8, 0.9, 1), chips(8, 0.8, 2)
    dry = {"dry": Confusion(np.array([[500, 0], [0, 0]]))}
    found = compare(first | dry, second | dry, IOU, seed=0)
    assert found.undefined == 1 and found.wilcoxon.pairs == 8
    assert found.wilcoxon == compare(first, second, IOU, seed=0).wilcoxon


def test_a_model_and_itself():
    same = chips(9, 0.9, 1)
    found = compare(same, same, IOU, seed=0)
    assert found.difference == 0
    for test in (found.wilcoxon, found.t_test, found.permutation):
        assert math.isnan(test.p) and "do not differ" in test.reason


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_units_say_so(count):
    found = compare(chips(count, 0.9, 1), chips(count, 0.5, 2), IOU, seed=0)
    for test in (found.wilcoxon, found.t_test, found.permutation):
        assert math.isnan(test.p) and f"{count} of {count}" in test.reason
    assert found.difference > 0


def test_ties_are_exact_while_few():
    differences = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.0])
    assert wilcoxon_test(differences).p == pytest.approx(2 / 2**6)
    assert wilcoxon_test(differences).pairs == 6


def test_a_constant_difference_has_no_spread():
    assert "no spread" in t_test(np.full(9, 0.25)).reason
    assert "no unit" in wilcoxon_test(np.zeros(0)).reason


def test_a_pooled_score_that_is_undefined_is_not_tested():
    matrices = np.array([[[400 + i, 100 - i], [0, 0]] for i in range(8)])
    recall = score_function("recall_water", ("dry", "water"))
    found = permutation_test(matrices, matrices[:, :, ::-1], recall, seed=0)
    assert math.isnan(found.p) and "0/0" in found.reason


def test_what_is_refused():
    ten = chips(10, 0.9, 1)
    with pytest.raises(InputRangeError, match="different units"):
        compare(ten, chips(9, 0.9, 1), IOU, seed=0)
    with pytest.raises(InputRangeError, match="different units"):
        compare({}, {}, IOU, seed=0)
    with pytest.raises(InputRangeError, match="same labels"):
        compare(ten, ten | {"chip3": Confusion(np.eye(2, dtype=int))}, IOU, seed=0)
    with pytest.raises(BadOptionError, match="Permutations"):
        compare(ten, ten, IOU, seed=0, resamples=0)
