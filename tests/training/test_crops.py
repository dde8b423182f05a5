"""Chips: the same for the same number, from everywhere that is labelled, and never made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import NotTrainableError
from geoseg.training.crops import Crops, LabelMap, Tiles, cut
from tests.support.little_sets import little_set, pair, scene, set_of

SIDES = st.integers(1, 70)


def numbered(height, width):
    """A pair whose every pixel tells where it lies, one class 1 in each corner cell."""
    image = np.arange(2 * height * width, dtype=np.float32).reshape(2, height, width)
    mask = (np.add.outer(np.arange(height), np.arange(width)) % 2).astype(np.int16)
    return pair(image, mask)


def crops(data, *, chip_px=16, seed=0, wet_share=0.5, first=0, count=64, stride=1):
    return Crops(data, LabelMap.of(data), chip_px, seed, wet_share, first, count, stride)


def sparse(rows, columns, side=96, cls=1):
    """One labelled pixel of each class in a large image."""
    mask = np.full((side, side), UNLABELLED, np.int16)
    mask[rows, columns] = cls
    return mask


def test_a_chip_depends_on_seed_and_number_alone():
    data = little_set(4, 48)
    whole, later = crops(data, count=20), crops(data, first=12, count=8)
    for index in range(8):
        one, other = whole[12 + index], later[index]
        assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in ("image", "mask"))
    other = crops(data, seed=1, count=20)
    assert any(not np.array_equal(whole[index]["image"], other[index]["image"]) for index in range(20))


def test_devices_share_the_chips_of_one():
    data = little_set(4, 48)
    alone = crops(data, count=8)
    for rank in range(2):
        mine = crops(data, first=rank, count=4, stride=2)
        for index in range(4):
            assert np.array_equal(mine[index]["image"], alone[2 * index + rank]["image"])


def test_every_labelled_pixel_is_seen_sooner_or_later():
    data = set_of(numbered(50, 41))
    seen = set()
    for chip in crops(data, count=600):
        seen |= set(chip["image"][0].flatten().tolist())
    assert seen == set(range(50 * 41))


@given(row=st.integers(0, 95), column=st.integers(0, 95), side=st.integers(16, 64), seed=st.integers(0, 9))
def test_one_labelled_pixel_is_in_every_chip(row, column, side, seed):
    image = scene(0, 96)[0]
    wet, dry = sparse(row, column), sparse(95 - row, 95 - column, cls=0)
    data = set_of(pair(image, wet), pair(image, dry, "b"))
    for chip in crops(data, chip_px=side, seed=seed, count=12):
        assert int((chip["mask"] >= 0).sum()) == 1


def test_ten_labelled_pixels_train():
    image, mask = scene(3, 128)
    few = np.full_like(mask, UNLABELLED)
    for cls in (0, 1):
        chosen = np.argwhere(mask == cls)[:: (mask == cls).sum() // 4][:5]
        few[tuple(chosen.T)] = cls
    data = set_of(pair(image, few))
    assert LabelMap.of(data).pixels.tolist() == [5, 5]
    assert all(int((chip["mask"] >= 0).sum()) >= 1 for chip in crops(data, chip_px=32, count=100))


def test_unobserved_pixels_are_no_labels():
    image, mask = scene(0)
    image[:, :, :8] = np.nan
    image[0, :, 8:16] = np.nan
    data = set_of(pair(image, mask))
    seen = mask[:, 16:]
    assert LabelMap.of(data).pixels.tolist() == [int((seen == 0).sum()), int((seen == 1).sum())]


def test_the_wet_share_is_kept():
    dry, wet = scene(0, 64), scene(1, 64)
    data = set_of(pair(dry[0], np.zeros_like(dry[1])), pair(wet[0], wet[1], "b"))
    for share in (0.0, 0.8, 1.0):
        around = [crops(data, wet_share=share, count=400)._around(np.random.default_rng(n))[0] for n in range(400)]
        # half of the other chips are of either image
        assert np.mean(around) == pytest.approx(share + (1 - share) / 2, abs=0.08)


def test_an_image_is_drawn_as_often_as_it_weighs():
    mask = (np.add.outer(np.arange(32), np.arange(32)) % 2).astype(np.int16)
    light, heavy = (pair(np.full((2, 32, 32), value, np.float32), mask) for value in (0, 1))
    data = set_of(replace(light, weight=1.0), replace(heavy, id="b", weight=3.0))
    run = crops(data, count=400)
    assert 0.68 < np.mean([float(run[index]["image"].mean()) for index in range(400)]) < 0.82


def test_images_are_drawn_by_their_weight():
    one, other = scene(0, 64), scene(1, 64)
    data = set_of(replace(pair(*one), weight=3.0), pair(*other, "b"))
    drawn = crops(data)
    assert np.mean([drawn._around(np.random.default_rng(n))[0] for n in range(800)]) == pytest.approx(0.25, abs=0.05)


def test_labels_that_are_all_water_but_for_one_image_still_give_dry_chips():
    image = scene(0)[0]
    ones = np.ones((32, 32), np.int16)
    data = set_of(pair(image, ones), pair(image, 1 - ones, "b"))
    found = {int(chip["mask"].max()) for chip in crops(data, count=40)}
    assert found == {0, 1}


@given(height=SIDES, width=SIDES, side=st.integers(16, 48), row=st.integers(-9, 90), column=st.integers(-9, 90))
def test_a_cut_is_a_window_of_the_image_or_all_of_it_with_nothing_around(height, width, side, row, column):
    source = numbered(height, width)
    image, mask = cut(source, (row, column), side)
    assert image.shape == (2, side, side) and mask.shape == (side, side)
    assert image.dtype == np.float32 and mask.dtype == np.int16
    tall, wide = min(side, height), min(side, width)
    assert np.isfinite(image[:, :tall, :wide]).all() and (mask[:tall, :wide] != UNLABELLED).all()
    assert (
        np.isnan(image).sum() == 2 * (side * side - tall * wide)
        and (mask == UNLABELLED).sum() * 2 == np.isnan(image).sum()
    )
    top, left = divmod(int(image[0, 0, 0]), width)
    whole, labels = source.read()
    assert np.array_equal(image[:, :tall, :wide], whole[:, top : top + tall, left : left + wide])
    assert np.array_equal(mask[:tall, :wide], labels[top : top + tall, left : left + wide])


@given(sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3), side=st.integers(16, 40))
def test_tiles_hold_every_pixel_once(sizes, side):
    pairs = [numbered(*size) for size in sizes]
    tiles = Tiles(set_of(*pairs), side)
    found = np.concatenate([tiles[index]["image"].numpy().ravel() for index in range(len(tiles))])
    labels = np.concatenate([tiles[index]["mask"].numpy().ravel() for index in range(len(tiles))])
    wanted = np.concatenate([each.read()[0].ravel() for each in pairs])
    assert np.array_equal(np.sort(found[np.isfinite(found)]), np.sort(wanted))
    assert (labels >= 0).sum() == sum(height * width for height, width in sizes)


def test_labels_that_teach_nothing_are_refused():
    image, mask = scene(0)
    with pytest.raises(NotTrainableError, match="not one pixel"):
        LabelMap.of(set_of(pair(image, np.full_like(mask, UNLABELLED))))
    with pytest.raises(NotTrainableError, match="not one pixel"):
        LabelMap.of(set_of(pair(np.full_like(image, np.nan), mask)))
    with pytest.raises(NotTrainableError, match=r"'dry'.*water"):
        LabelMap.of(set_of(pair(image, np.zeros_like(mask))))
    with pytest.raises(NotTrainableError, match="0 images"):
        LabelMap.of(set_of())


def test_a_chip_beyond_the_run_does_not_exist():
    with pytest.raises(IndexError):
        crops(little_set(), count=3)[3]
