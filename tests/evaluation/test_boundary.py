"""Boundary F1: near is near, and what nobody labelled has no outline."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadOptionError, InputRangeError
from geoseg.evaluation.boundary import BoundaryCounts

SHAPE = (7, 8)
TRUTHS = hnp.arrays(np.int16, SHAPE, elements=st.integers(-1, 1))
PREDICTIONS = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, NOT_OBSERVED]))


def square(shift: int = 0) -> np.ndarray:
    mask = np.zeros((20, 20), np.int16)
    mask[5:12, 5 + shift : 12 + shift] = 1
    return mask


def by_hand(truth, prediction, tolerance):
    """Every boundary pixel against every other."""
    known = (truth != UNLABELLED) & (prediction != NOT_OBSERVED)

    def outline(mask):
        found = []
        for y, x in np.argwhere(known & (mask == 1)):
            around = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            inside = [(a, b) for a, b in around if 0 <= a < mask.shape[0] and 0 <= b < mask.shape[1]]
            if any(known[p] and mask[p] != 1 for p in inside):
                found.append((y, x))
        return found

    wanted, found = outline(truth), outline(prediction)

    def near(these, those):
        return sum(any(math.dist(a, b) <= tolerance for b in those) for a in these)

    return BoundaryCounts(len(found), near(found, wanted), len(wanted), near(wanted, found))


@given(TRUTHS, PREDICTIONS, st.sampled_from([0, 1, 1.5, 3]))
def test_it_is_the_definition(truth, prediction, tolerance):
    assert BoundaryCounts.of(truth, prediction, classes=2, tolerance=tolerance) == by_hand(truth, prediction, tolerance)


@given(TRUTHS, st.sampled_from([0, 2]))
def test_a_mask_matches_itself(truth, tolerance):
    found = BoundaryCounts.of(truth, np.where(truth == UNLABELLED, 0, truth), classes=2, tolerance=tolerance)
    assert found.predicted == found.predicted_near == found.labelled == found.labelled_near
    assert math.isnan(found.f1) if not found.labelled else found.f1 == 1


def test_a_shift_is_forgiven_up_to_the_tolerance():
    scores = [BoundaryCounts.of(square(), square(3), classes=2, tolerance=t).f1 for t in (0, 1, 2, 3)]
    assert scores == sorted(scores) and scores[0] < 0.5 and scores[-1] == 1


def test_precision_and_recall_are_told_apart():
    more = square()
    more[15:18, 15:18] = 1  # a false alarm far away
    found = BoundaryCounts.of(square(), more, classes=2, tolerance=2)
    assert found.recall == 1 and found.precision == 24 / 32
    assert found.f1 == pytest.approx(2 * 0.75 / 1.75)


def test_neither_the_frame_nor_unlabelled_ground_is_an_outline():
    truth = np.full((10, 10), UNLABELLED, np.int16)
    truth[:, :5] = 1
    found = BoundaryCounts.of(truth, np.ones((10, 10), np.uint8), classes=2)
    assert found == BoundaryCounts(0, 0, 0, 0)
    assert all(math.isnan(value) for value in (found.precision, found.recall, found.f1))


def test_one_outline_alone_scores_nothing():
    missed = BoundaryCounts.of(square(), np.zeros((20, 20), np.uint8), classes=2)
    assert missed.f1 == 0 and math.isnan(missed.precision) and missed.recall == 0
    false = BoundaryCounts.of(np.zeros((20, 20), np.int16), square(), classes=2)
    assert false.f1 == 0 and false.precision == 0 and math.isnan(false.recall)
    apart = BoundaryCounts.of(square(-5), square(8), classes=2, tolerance=0)
    assert apart.f1 == 0 and apart.precision == 0


def test_images_add_up():
    pair = [BoundaryCounts.of(square(), square(shift), classes=2, tolerance=1) for shift in (0, 4)]
    both = pair[0] + pair[1]
    assert both.labelled == 48 and both.predicted_near == pair[0].predicted_near + pair[1].predicted_near
    assert pair[1].f1 < both.f1 < pair[0].f1


def test_any_class_can_be_judged():
    found = BoundaryCounts.of(square() * 2, square() * 2, classes=3, index=2)
    assert found.f1 == 1 and math.isnan(BoundaryCounts.of(square() * 2, square() * 2, classes=3, index=1).f1)


def test_what_is_refused():
    with pytest.raises(BadOptionError, match="-1"):
        BoundaryCounts.of(square(), square(), classes=2, tolerance=-1)
    with pytest.raises(InputRangeError, match="one grid"):
        BoundaryCounts.of(square(), square()[1:], classes=2)
