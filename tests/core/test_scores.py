"""The one intersection over union: pixels of both over pixels of either, and undefined where 0/0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.core.scores import class_ious, foreground_iou


@given(st.integers(2, 4).flatmap(lambda n: arrays(np.int64, (2, 30), elements=st.integers(0, n - 1))))
def test_each_class_is_intersection_over_union_of_its_pixels(pixels):
    truth, prediction = pixels
    matrix = np.zeros((4, 4), np.int64)
    np.add.at(matrix, (truth, prediction), 1)
    unions = [int(((truth == name) | (prediction == name)).sum()) for name in range(4)]
    shared = [int(((truth == name) & (prediction == name)).sum()) for name in range(4)]
    expected = [both / union if union else math.nan for both, union in zip(shared, unions, strict=True)]
    assert class_ious(matrix).tolist() == pytest.approx(expected, nan_ok=True)
    defined = [iou for iou in expected[1:] if not math.isnan(iou)]
    assert foreground_iou(matrix) == pytest.approx(np.mean(defined) if defined else math.nan, nan_ok=True)


def test_a_class_neither_labelled_nor_predicted_is_undefined():
    assert np.isnan(class_ious(np.array([[9, 0], [0, 0]]))).tolist() == [False, True]
    assert math.isnan(foreground_iou(np.array([[9, 0], [0, 0]])))


def test_a_class_that_is_labelled_and_never_predicted_is_zero():
    assert foreground_iou(np.array([[5, 0], [4, 0]])) == 0


def test_leading_axes_are_kept():
    assert class_ious(np.ones((3, 5, 2, 2), np.int64)).shape == (3, 5, 2)
