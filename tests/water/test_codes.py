"""Codes follow from the probability, and nothing unobserved is ever called anything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.catalog.target import TARGETS, WATER
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.water.codes import DRY, FLOOD, PERMANENT, Legend, mask_codes

VALUES = np.array([*range(101), 255], np.uint8)
SHAPE = st.tuples(st.integers(1, 9), st.integers(1, 9))


@st.composite
def blocks(draw):
    shape = draw(SHAPE)
    percent = VALUES[draw(arrays(np.int64, shape, elements=st.integers(0, 101)))]
    permanent = draw(st.none() | arrays(np.bool_, shape))
    return percent, permanent, draw(st.integers(1, 100))


def one_by_one(percent, permanent, threshold):
    if percent == 255:
        return NOT_OBSERVED
    if percent < threshold:
        return DRY
    return PERMANENT if permanent else FLOOD


@given(blocks())
def test_every_pixel_follows_the_rule(block):
    percent, permanent, threshold = block
    lasting = np.zeros(percent.shape, bool) if permanent is None else permanent
    codes = mask_codes(*block)
    expected = [one_by_one(p, r, threshold) for p, r in zip(percent.ravel(), lasting.ravel(), strict=True)]
    assert codes.dtype == np.uint8
    assert codes.ravel().tolist() == expected


def test_unobserved_reference_water_stays_unobserved_and_unseen_reference_water_stays_dry():
    percent = np.array([[255, 10, 90]], np.uint8)
    assert mask_codes(percent, np.ones((1, 3), bool), 50).tolist() == [[255, 0, 2]]


@pytest.mark.parametrize("wrong", [101, 254])
def test_a_probability_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{wrong}"):
        mask_codes(np.array([[50, wrong, 255]], np.uint8), None, 50)


@pytest.mark.parametrize(
    ("model_means", "has_reference", "called"),
    [("water", False, "water"), ("water", True, "flood"), ("flood", False, "flood"), ("flood", True, "flood")],
)
def test_class_1_is_called_what_it_is(model_means, has_reference, called):
    legend = Legend.of(TARGETS[model_means], has_reference=has_reference)
    one = next(each for each in legend if each.code == FLOOD)
    assert (legend.target.name, one.key, one.label) == (called, called, called)
    assert (PERMANENT in {each.code for each in legend}) == has_reference
    assert called in legend.sentence
    assert legend.band.categories[FLOOD] == called


def test_the_classes_can_be_told_apart_by_lightness_alone():
    legend = Legend.of(WATER, has_reference=True)
    grey = sorted(np.dot(each.colour, (0.2126, 0.7152, 0.0722)) for each in legend if each.code != NOT_OBSERVED)
    assert np.diff(grey).min() > 25
