"""What chooses among the weights is never learned from, nor does it lie beside what is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import BandMismatchError, NotTrainableError
from geoseg.training.split import FEWEST, split_train_val
from tests.support.little_sets import little_set, pair, recipe, scene, set_of

SMALL = [scene(index, 16) for index in range(40)]


def ids(data):
    return {each.id for each in data.pairs} if data else set()


@given(count=st.integers(1, 40), regions=st.integers(1, 12), share=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_every_image_is_on_one_side_and_regions_are_not_torn(count, regions, share, seed):
    pairs = [pair(*SMALL[index], f"p{index}", f"r{index % regions}") for index in range(count)]
    data = set_of(*pairs)
    split = split_train_val(data, recipe(validation=share, seed=seed))
    assert ids(split.training) and not ids(split.training) & ids(split.validation)
    assert ids(split.training) | ids(split.validation) == ids(data)
    if count < FEWEST or share == 0:
        assert split.validation is None
    elif len(data.regions) >= FEWEST // 2:
        assert not set(split.training.regions) & set(split.validation.regions)
    if split.validation:
        assert len(split.validation.pairs) >= min(1, round(share * count))
    assert split_train_val(data, recipe(validation=share, seed=seed)).training.pairs == split.training.pairs


def test_a_test_split_is_not_touched():
    data = little_set(10, 16, 5, splits="ttttxxxvvx")
    split = split_train_val(data, recipe())
    assert ids(split.training) == {"p0", "p1", "p2", "p3"} and ids(split.validation) == {"p7", "p8"}
    assert "Left out: 4 images of test splits." in split.notes
    with pytest.raises(NotTrainableError, match="other splits"):
        split_train_val(little_set(3, 16, splits="xxv"), recipe())


def test_a_validation_that_lacks_a_class_chooses_nothing():
    data = little_set(9, 16, 3)
    image, mask = scene(50, 16)
    dry = set_of(pair(image, np.zeros_like(mask), "dry"))
    split = split_train_val(data, recipe(), dry)
    assert split.validation is None and len(split.training.pairs) == 9
    assert any("lacks a class" in note for note in split.notes)


def test_a_given_validation_leaves_all_for_learning_and_must_fit():
    data, other = little_set(9, 16, 3), little_set(2, 16)
    assert len(split_train_val(data, recipe(), other).training.pairs) == 9
    with pytest.raises(BandMismatchError):
        split_train_val(data, recipe(), replace(other, bands=("vh", "vv")))
    with pytest.raises(BandMismatchError):
        split_train_val(data, recipe(), replace(other, unit="unitless"))


def test_too_few_images_keep_none_and_say_so():
    split = split_train_val(little_set(5, 16), recipe(validation=0.5))
    assert split.validation is None and any("5 images: too few" in note for note in split.notes)
