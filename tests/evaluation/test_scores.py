"""Scores: scikit-learn's and torchmetrics' numbers, and NaN where there is no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from torchmetrics import classification

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import UnknownNameError
from geoseg.evaluation.counts import Confusion, stacked
from geoseg.evaluation.scores import UnitMean, pooled, score_function, score_functions, unit_means

BINARY = ("dry", "water")
SEVERAL = ("ground", "water", "building", "road")


def scene(seed: int, classes: int) -> tuple:
    rng = np.random.default_rng(seed)
    truth = rng.integers(UNLABELLED, classes, (50, 40)).astype(np.int16)
    prediction = np.where(rng.random(truth.shape) < 0.6, np.maximum(truth, 0), rng.integers(0, classes, truth.shape))
    prediction[rng.random(truth.shape) < 0.1] = NOT_OBSERVED
    return truth, prediction.astype(np.uint8)


def test_names_say_what_they_are():
    assert list(score_functions(BINARY)) == [
        "iou_water",
        "f1_water",
        "precision_water",
        "recall_water",
        "iou_class_mean",
        "accuracy",
        "accuracy_class_mean",
    ]
    assert {"iou_water", "iou_building", "iou_road"} < set(score_functions(SEVERAL))
    with pytest.raises(UnknownNameError, match="iou_class_mean"):
        score_function("iou_mean", BINARY)


@given(st.integers(0, 2**32 - 1))
def test_two_classes_as_sklearn_has_them(seed):
    truth, prediction = scene(seed, 2)
    both = (truth != UNLABELLED) & (prediction != NOT_OBSERVED)
    t, p = truth[both], prediction[both]
    scores = pooled(Confusion.of(truth, prediction, 2), BINARY)
    assert scores == pytest.approx(
        {
            "iou_water": metrics.jaccard_score(t, p),
            "f1_water": metrics.f1_score(t, p),
            "precision_water": metrics.precision_score(t, p),
            "recall_water": metrics.recall_score(t, p),
            "iou_class_mean": metrics.jaccard_score(t, p, average="macro"),
            "accuracy": metrics.accuracy_score(t, p),
            "accuracy_class_mean": metrics.balanced_accuracy_score(t, p),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize("classes", [BINARY, SEVERAL])
@pytest.mark.parametrize("seed", range(5))
def test_as_torchmetrics_has_them(classes, seed):
    truth, prediction = scene(seed, len(classes))
    scores = pooled(Confusion.of(truth, prediction, len(classes)), classes)
    there = torch.from_numpy(prediction != NOT_OBSERVED)
    said = torch.from_numpy(truth).long().masked_fill(~there, UNLABELLED)
    found = torch.from_numpy(prediction).long().masked_fill(~there, 0)

    def theirs(metric, average):
        return metric(len(classes), average=average, ignore_index=UNLABELLED)(found, said)

    for key, metric in {
        "iou": classification.MulticlassJaccardIndex,
        "f1": classification.MulticlassF1Score,
        "precision": classification.MulticlassPrecision,
        "recall": classification.MulticlassRecall,
    }.items():
        each = theirs(metric, "none")
        for index, name in enumerate(classes[1:], 1):
            assert scores[f"{key}_{name}"] == pytest.approx(each[index].item(), rel=1e-6)
    assert scores["iou_class_mean"] == pytest.approx(theirs(classification.MulticlassJaccardIndex, "macro").item())
    assert scores["accuracy"] == pytest.approx(theirs(classification.MulticlassAccuracy, "micro").item())
    assert scores["accuracy_class_mean"] == pytest.approx(theirs(classification.MulticlassAccuracy, "macro").item())


def test_a_dry_chip_called_dry_has_no_water_iou():
    scores = pooled(Confusion(np.array([[9, 0], [0, 0]])), BINARY)
    undefined = {name for name, value in scores.items() if math.isnan(value)}
    assert undefined == set(scores) - {"accuracy"} and scores["accuracy"] == 1


def test_a_false_alarm_on_a_dry_chip_has_one():
    scores = pooled(Confusion(np.array([[8, 1], [0, 0]])), BINARY)
    assert scores["iou_water"] == 0 and scores["precision_water"] == 0 and math.isnan(scores["recall_water"])


def test_no_pixel_no_score():
    assert all(math.isnan(value) for value in pooled(Confusion.none(2), BINARY).values())


def test_chips_without_the_score_are_left_out_and_counted():
    chips = [Confusion(np.array(matrix)) for matrix in ([[9, 0], [0, 0]], [[5, 1], [1, 2]], [[0, 0], [2, 6]])]
    means = unit_means(chips, BINARY)
    spread = pytest.approx(np.std([0.5, 0.75], ddof=1))
    assert means["iou_water"] == UnitMean(mean=0.625, std=spread, units=2, undefined=1)
    assert (means["accuracy"].units, means["accuracy"].undefined) == (3, 0)
    assert means["accuracy"].mean == pytest.approx((1 + 7 / 9 + 6 / 8) / 3)
    assert pooled(Confusion.total(chips, 2), BINARY)["iou_water"] == 8 / 12


@pytest.mark.parametrize(("values", "mean", "units"), [([], math.nan, 0), ([math.nan], math.nan, 0), ([0.5], 0.5, 1)])
def test_one_chip_has_no_spread(values, mean, units):
    found = UnitMean.of(np.array(values, float))
    assert found.units == units and math.isnan(found.std)
    assert found.mean == pytest.approx(mean, nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_many_matrices_at_once_are_each_by_itself(seed):
    matrices = np.random.default_rng(seed).integers(0, 3, (2, 6, 4, 4))
    for score in score_functions(SEVERAL).values():
        at_once = score(matrices)
        assert at_once.shape == (2, 6)
        np.testing.assert_array_equal(at_once[1, 2], score(matrices[1, 2]))
    assert stacked([Confusion(matrix) for matrix in matrices[0]], 4).shape == (6, 4, 4)
