"""Soft labels: sure inside, unsure at the edge, silent where nobody said anything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadOptionError, InputRangeError
from geoseg.training.losses.build import build_loss
from geoseg.training.soft_labels import edge_confidence, soft_labels

MASKS = hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 2))


def by_hand(mask, classes, width, pixel_size):
    """Every pixel against every other."""
    soft = np.full((classes, *mask.shape), np.nan)
    for y, x in np.argwhere(mask != UNLABELLED):
        rivals = np.argwhere((mask != UNLABELLED) & (mask != mask[y, x]))
        soft[:, y, x] = 0
        soft[mask[y, x], y, x] = 1
        if len(rivals) and width:
            distance = np.hypot(*(rivals - (y, x)).T).min()
            soft[mask[y, x], y, x] = 1 / (1 + np.exp(-(distance - 0.5) * pixel_size / width))
    return soft


@given(MASKS, st.sampled_from([0.0, 0.7, 3.0]), st.sampled_from([1.0, 10.0]))
def test_it_is_the_formula(mask, width, pixel_size):
    soft, labelled = soft_labels(mask, classes=3, width=width, pixel_size=pixel_size)
    assert soft.dtype == np.float32 and soft.shape == (3, *mask.shape)
    np.testing.assert_array_equal(labelled, mask != UNLABELLED)
    assert np.isnan(soft[:, ~labelled]).all()
    np.testing.assert_allclose(soft[:, labelled].sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(soft[:, labelled].argmax(axis=0), mask[labelled])
    own = np.take_along_axis(soft, np.maximum(mask, 0)[None], 0)[0]
    expected = np.nanmax(by_hand(mask, 3, width, pixel_size)[:, labelled], axis=0, initial=0)
    np.testing.assert_allclose(own[labelled], expected, rtol=1e-6)


def test_two_classes_are_the_logistic_of_the_signed_distance():
    mask = np.zeros((3, 8), np.int16)
    mask[:, 4:] = 1
    soft, _ = soft_labels(mask, classes=2, width=1.5)
    signed = np.arange(8) - 3.5
    np.testing.assert_allclose(soft[1], np.tile(1 / (1 + np.exp(-signed / 1.5)), (3, 1)), rtol=1e-6)


def test_the_rest_goes_to_the_class_across_the_edge():
    soft, _ = soft_labels(np.array([[0, 0, 1, 1, 1, 1, 2]], np.int16), classes=3, width=1)
    assert soft[0, 0, 2] > 0 and soft[2, 0, 2] == 0
    assert soft[2, 0, 5] > 0 and soft[0, 0, 5] == 0


def test_neither_frame_nor_unlabelled_pixels_are_an_edge():
    mask = np.full((6, 9), UNLABELLED, np.int16)
    mask[:, :3] = 1
    soft, labelled = soft_labels(mask, classes=2, width=5)
    assert (soft[1, labelled] == 1).all() and labelled.sum() == 18
    mask[:, 6:] = 0  # three unlabelled columns between: the edge is looked for in their far side's first pixel
    soft, _ = soft_labels(mask, classes=2, width=5)
    np.testing.assert_allclose(soft[1, :, 2], 1 / (1 + np.exp(-3.5 / 5)), rtol=1e-6)


@given(MASKS)
def test_confidence_is_low_at_an_edge_and_none_where_unlabelled(mask):
    confidence = edge_confidence(mask, classes=3, width=2.0)
    soft, labelled = soft_labels(mask, classes=3, width=2.0)
    assert confidence.dtype == np.float32
    assert (confidence[~labelled] == 0).all() and (confidence[labelled] > 0).all()
    np.testing.assert_allclose(confidence[labelled], 2 * soft[:, labelled].max(axis=0, initial=0.5) - 1, atol=1e-6)


def test_width_is_in_metres_where_the_pixel_size_is():
    mask = (np.indices((20, 20)).sum(axis=0) > 17).astype(np.int16)
    metres, pixels = (soft_labels(mask, classes=2, **kw)[0] for kw in ({"width": 20.0, "pixel_size": 10}, {"width": 2}))
    np.testing.assert_array_equal(metres, pixels)


def test_losses_take_them_as_they_are():
    mask = np.full((8, 8), UNLABELLED, np.int16)
    mask[1:4], mask[4:7] = 0, 1
    soft, labelled = soft_labels(mask, classes=2, width=1)
    logits = torch.zeros(1, 1, 8, 8, requires_grad=True)
    value = build_loss("ce+jml", classes=1)(logits, torch.from_numpy(soft)[None])
    value.backward()
    assert torch.isfinite(value)
    np.testing.assert_array_equal(logits.grad[0, 0].numpy() != 0, labelled)


@pytest.mark.parametrize("options", [{"width": -1}, {"width": np.nan}, {"width": 1, "pixel_size": 0}])
def test_what_cannot_be(options):
    with pytest.raises(BadOptionError):
        soft_labels(np.zeros((2, 2), np.int16), classes=2, **options)


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(InputRangeError, match="255"):
        soft_labels(np.full((2, 2), 255, np.int16), classes=2, width=1)
