"""Counts: exact, mergeable, and silent on what nobody labelled or nothing saw."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix
from torchmetrics.classification import MulticlassConfusionMatrix

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import InputRangeError
from geoseg.evaluation.counts import Confusion, stacked


def scene(seed: int, classes: int = 3, shape: tuple[int, int] = (40, 30)) -> tuple:
    """A label with unlabelled pixels and a prediction with unobserved ones."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(UNLABELLED, classes, shape).astype(np.int16)
    prediction = rng.integers(0, classes, shape).astype(np.uint8)
    prediction[rng.random(shape) < 0.1] = NOT_OBSERVED
    return truth, prediction


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_it_is_sklearns_and_torchmetrics_matrix(seed, classes):
    truth, prediction = scene(seed, classes)
    counted = Confusion.of(truth, prediction, classes)
    both = (truth != UNLABELLED) & (prediction != NOT_OBSERVED)
    assert counted.matrix.dtype == np.int64
    np.testing.assert_array_equal(
        counted.matrix, confusion_matrix(truth[both], prediction[both], labels=range(classes))
    )
    metric = MulticlassConfusionMatrix(classes, ignore_index=UNLABELLED)
    said = np.where(both, truth, UNLABELLED).astype(np.int64)
    theirs = metric(torch.from_numpy(np.where(both, prediction, 0).astype(np.int64)), torch.from_numpy(said))
    np.testing.assert_array_equal(counted.matrix, theirs.numpy())
    assert counted.not_observed == ((truth != UNLABELLED) & (prediction == NOT_OBSERVED)).sum()
    assert counted.labelled == (truth != UNLABELLED).sum()


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(0, 30))
def test_blocks_in_any_order_add_up_to_the_whole(seed, row, column):
    truth, prediction = scene(seed)
    rows, columns = (slice(row), slice(row, None)), (slice(column), slice(column, None))
    blocks = list(itertools.product(rows, columns))
    np.random.default_rng(seed).shuffle(blocks)
    parts = [Confusion.of(truth[block], prediction[block], 3) for block in blocks]
    whole = Confusion.of(truth, prediction, 3)
    assert Confusion.total(parts, 3) == whole
    assert hash(Confusion.total(parts, 3)) == hash(whole)
    np.testing.assert_array_equal(stacked(parts, 3).sum(axis=0), whole.matrix)


def test_not_observed_is_not_dry():
    truth = np.array([[1, 1, 0, UNLABELLED]], np.int16)
    seen = Confusion.of(truth, np.array([[1, 0, 0, 0]], np.uint8), 2)
    hidden = Confusion.of(truth, np.array([[1, NOT_OBSERVED, 0, 0]], np.uint8), 2)
    assert seen.matrix.tolist() == [[1, 0], [1, 1]] and seen.not_observed == 0
    assert hidden.matrix.tolist() == [[1, 0], [0, 1]] and hidden.not_observed == 1
    assert (hidden.scored, hidden.labelled) == (2, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, bool])
def test_a_prediction_of_any_integer_or_true_and_false(dtype):
    truth = np.array([0, 1, 1, UNLABELLED, 255], np.int16)
    counted = Confusion.of(truth, np.array([0, 1, 0, 1, 1]).astype(dtype), 2)
    assert counted.matrix.tolist() == [[1, 0], [1, 1]]


def test_nothing_counts_nothing():
    empty = Confusion.of(np.zeros((0, 4), np.int16), np.zeros((0, 4), np.uint8), 2)
    assert empty == Confusion.none(2) == Confusion.total([], 2)
    assert empty != "nothing" and stacked([], 2).shape == (0, 2, 2)


def test_counts_beyond_32_bits_stay_exact():
    half = Confusion(np.array([[2**53, 1], [0, 0]]))
    assert (half + half).matrix[0].tolist() == [2**54, 2] and (half + half).scored == 2**54 + 2


def test_it_cannot_be_changed():
    counted = Confusion.none(2)
    with pytest.raises(ValueError, match="read-only"):
        counted.matrix[0, 0] = 1


@pytest.mark.parametrize(
    ("truth", "prediction", "says"),
    [
        (np.zeros((2, 2), np.int16), np.zeros((2, 3), np.uint8), "one grid"),
        (np.full((2, 2), 2, np.int16), np.zeros((2, 2), np.uint8), "label holds 2"),
        (np.full((2, 2), -9, np.int16), np.zeros((2, 2), np.uint8), "label holds -9"),
        (np.full((2, 2), -1, np.int16), np.full((2, 2), 7, np.uint8), "prediction holds 7"),
        (np.zeros((2, 2), np.int16), np.zeros((2, 2), np.float32), "Give a mask"),
    ],
)
def test_what_is_refused(truth, prediction, says):
    with pytest.raises(InputRangeError, match=says):
        Confusion.of(truth, prediction, 2)


def test_counts_of_other_classes_do_not_add_up():
    with pytest.raises(InputRangeError, match="2 classes"):
        Confusion.none(2) + Confusion.none(3)
