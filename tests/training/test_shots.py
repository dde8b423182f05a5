"""A handful of images by chance: the same for the same seed, and with every class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import NotTrainableError
from geoseg.training.split import draw
from tests.support.little_sets import little_set, pair, scene, set_of

MIXED = little_set(12, 16)


@given(st.integers(1, 12), st.integers(0, 1000))
def test_so_many_images_in_their_order(shots, seed):
    drawn = draw(MIXED, shots, seed)
    assert len(drawn.pairs) == shots == len({each.id for each in drawn.pairs})
    order = [MIXED.pairs.index(each) for each in drawn.pairs]
    assert order == sorted(order) and draw(MIXED, shots, seed) == drawn


def test_seeds_draw_others():
    assert len({tuple(each.id for each in draw(MIXED, 3, seed).pairs) for seed in range(20)}) > 10


def test_every_class_is_among_them():
    image, mask = scene(0, 16)
    dry = [pair(image, np.zeros_like(mask), f"d{index}") for index in range(20)]
    data = set_of(*dry, pair(image, mask, "lake"))
    for seed in range(5):
        assert "lake" in {each.id for each in draw(data, 2, seed).pairs}


def test_images_that_teach_nothing_are_no_shots():
    image, mask = scene(0, 16)
    useless = (pair(image, np.full_like(mask, -1), "unlabelled"), pair(np.full_like(image, np.nan), mask, "unseen"))
    data = set_of(*useless, *little_set(3, 16).pairs)
    assert {each.id for each in draw(data, 3, 0).pairs} == {"p0", "p1", "p2"}
    with pytest.raises(NotTrainableError, match="holds 3 images with a pixel"):
        draw(data, 4, 0)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(NotTrainableError, match="13 shots were asked for, and little holds 12"):
        draw(MIXED, 13, 0)
    image, mask = scene(0, 16)
    with pytest.raises(NotTrainableError, match="every class"):
        draw(set_of(*(pair(image, np.ones_like(mask), f"w{index}") for index in range(3))), 2, 0)


def test_water_that_was_not_observed_is_no_water():
    image, mask = scene(0, 16)
    hidden = np.where(mask == 1, np.nan, image).astype(np.float32)
    with pytest.raises(NotTrainableError, match="every class"):
        draw(set_of(pair(hidden, mask)), 1, 0)
