"""Folds: never by chip, nothing scored on what was learned from."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.catalog.target import WATER
from geoseg.datasets.pair import UNLABELLED, Georeference, LabelledSet, Pair
from geoseg.errors import BadOptionError, NotTrainableError
from geoseg.evaluation.folds import (
    by_split,
    check_classes,
    cropped,
    few_shot,
    label_facts,
    leave_one_region_out,
    regrouped,
    scored_folds,
)


def pair(name: str, region: str, split: str = "", mask: np.ndarray | None = None) -> Pair:
    label = np.tile(np.array([0, 1], np.int16), (4, 2)) if mask is None else mask
    image = da.zeros((1, *label.shape), dtype=np.float32)
    place = Georeference("EPSG:32632", Affine(10, 0, 500_000, 0, -10, 5_300_000))
    return Pair(name, region, split, image, da.from_array(label, name=False), place)


def set_of(*pairs: Pair) -> LabelledSet:
    return LabelledSet("made", pairs, ("vv",), "dB", "s1", ("dry", "water"), WATER)


def ids(data: LabelledSet | None) -> set[str]:
    return {each.id for each in data.pairs} if data else set()


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "train", "val", "test"])), min_size=2))
def test_each_region_is_held_out_once_and_teaches_all_others(drawn):
    data = set_of(*(pair(f"p{n}", region, split) for n, (region, split) in enumerate(drawn)))
    if len(data.regions) < 2:
        with pytest.raises(NotTrainableError, match="one region"):
            leave_one_region_out(data)
        return
    folds = leave_one_region_out(data)
    assert [fold.name for fold in folds] == list(data.regions)
    for fold in folds:
        assert set(fold.test.regions) == {fold.name}
        assert fold.name not in fold.training.regions
        assert ids(fold.training) | ids(fold.test) == ids(data)
        assert {each.split for each in fold.training.pairs} == {""}, "a split of the set is none of this protocol"


def test_only_the_regions_asked_for_are_held_out():
    data = set_of(pair("p", "a"), pair("q", "b"), pair("r", "c"))
    (fold,) = leave_one_region_out(data, held_out=["b"])
    assert (ids(fold.test), ids(fold.training)) == ({"q"}, {"p", "r"})
    with pytest.raises(BadOptionError, match="no region 'z'"):
        leave_one_region_out(data, held_out=["z"])


def test_regions_come_from_ids_or_groups_and_never_are_chips():
    data = set_of(pair("Kano_1", "x"), pair("Kano_2", "y"), pair("Lagos_1", "z"))
    assert regrouped(data, "id:^([^_]+)_").regions == ("Kano", "Lagos")
    assert regrouped(data, "id:^[^_]+").regions == ("Kano", "Lagos")
    assert regrouped(data, {"north": ["x", "y"]}).regions == ("north", "z")
    assert regrouped(data, "split").regions == ("(none)",)
    for wrong in ("id", "colour", "id:(", "id:Ghana", "id:(Ghana)?", "id:Kano|(Lagos)", "id:x*"):
        with pytest.raises(BadOptionError, match="--regions"):
            regrouped(data, wrong)
    with pytest.raises(BadOptionError, match="no region 'q'"):
        regrouped(data, {"north": ["q"]})


def test_splits_are_the_sets_own():
    data = set_of(pair("p", "a", "train"), pair("v", "a", "val"), pair("t", "a", "test"), pair("u", "b", "unseen"))
    (fold,) = by_split(data)
    assert (ids(fold.training), ids(fold.test)) == ({"p", "v"}, {"t", "u"})
    for lacking in (set_of(pair("p", "a", "train")), set_of(pair("p", "a", "val"), pair("t", "a", "test"))):
        with pytest.raises(NotTrainableError, match="train and test are needed"):
            by_split(lacking)


def test_shots_are_drawn_anew_and_tested_on_the_test_split():
    data = set_of(*(pair(f"p{n}", "a", "train") for n in range(12)), pair("v", "a", "val"), pair("t", "a", "test"))
    folds = few_shot(data, [2, 5], 3)
    assert [(fold.shots, fold.repeat, len(fold.training.pairs)) for fold in folds] == [
        (shots, repeat, shots) for shots in (2, 5) for repeat in (1, 2, 3)
    ]
    assert all(ids(fold.test) == {"t"} and not ids(fold.training) & {"t", "v"} for fold in folds)
    assert len({frozenset(ids(fold.training)) for fold in folds if fold.shots == 5}) > 1
    assert [ids(each.training) for each in few_shot(data, [2, 5], 3)] == [ids(each.training) for each in folds]
    with pytest.raises(NotTrainableError, match="13 shots were asked for, but made has 12 images"):
        few_shot(data, [2, 13], 1)


@pytest.mark.parametrize("protocol", ["split", "loro", "fewshot"])
def test_a_model_that_learns_nothing_gets_the_test_sets_of_one_that_does(protocol):
    data = set_of(*(pair(f"p{n}", "a", "train") for n in range(3)), pair("t", "a", "test"), pair("u", "b", "test"))
    folds = {"split": by_split, "loro": leave_one_region_out, "fewshot": lambda data: few_shot(data, [2], 2)}
    taught = {(fold.name.removesuffix("-2-shots-1"), *sorted(ids(fold.test))) for fold in folds[protocol](data)}
    scored = scored_folds(data, protocol)
    assert {(fold.name, *sorted(ids(fold.test))) for fold in scored} <= taught
    assert len(scored) == {"split": 1, "loro": 2, "fewshot": 1}[protocol]
    assert all((fold.training, fold.shots, fold.repeat) == (None, 0, 0) for fold in scored)


@pytest.mark.parametrize("protocol", ["split", "loro", "fewshot"])
def test_nothing_to_learn_from_is_needed_to_score(protocol):
    (fold,) = scored_folds(set_of(pair("t", "a", "test"), pair("u", "a", "test")), protocol)
    assert ids(fold.test) == {"t", "u"} and fold.name == ("a" if protocol == "loro" else "split")


def test_to_score_by_split_there_must_be_a_test_split():
    with pytest.raises(BadOptionError, match=r"expected a test split, got train, val\. Use evaluate loro"):
        scored_folds(set_of(pair("p", "a", "train"), pair("v", "a", "val")), "split")
    with pytest.raises(BadOptionError, match="no region 'q'"):
        scored_folds(set_of(pair("t", "a", "test")), "loro", held_out=("q",))


def test_a_fold_whose_teachers_lack_a_class_is_refused_before_any_training():
    dry, wet = np.zeros((4, 4), np.int16), np.ones((4, 4), np.int16)
    data = set_of(pair("p", "a", mask=dry), pair("q", "b", mask=wet), pair("r", "c"))
    facts = label_facts(data)
    folds = {fold.name: fold for fold in leave_one_region_out(data)}
    check_classes(folds["c"], facts)
    only_dry = {fold.name: fold for fold in leave_one_region_out(data.where(lambda each: each.region != "c"))}
    with pytest.raises(NotTrainableError, match="Fold b: its 1 images to learn from hold no water"):
        check_classes(only_dry["b"], facts)


def test_what_was_not_observed_teaches_nothing():
    hidden = pair("p", "a")
    hidden = Pair("p", "a", "", da.full((1, 4, 4), np.nan, dtype=np.float32), hidden.mask)
    assert label_facts(set_of(hidden))["p"].classes == frozenset()


@given(st.integers(1, 50), st.integers(1, 50), st.integers(16, 40))
def test_squares_cover_an_image_once_where_it_lies(rows, columns, side):
    label = np.arange(rows * columns, dtype=np.int16).reshape(rows, columns) % 2
    label[0, 0] = UNLABELLED
    whole = pair("p", "a", mask=label)
    parts = cropped(set_of(whole), side).pairs
    back = np.full((rows, columns), 9, np.int16)
    for part in parts:
        column, row = ~whole.place.transform * (part.place.transform.c, part.place.transform.f)
        where = slice(round(row), round(row) + part.shape[0]), slice(round(column), round(column) + part.shape[1])
        assert (back[where] == 9).all()
        back[where] = part.mask.compute()
    assert (back == label).all()
    assert len({part.id for part in parts}) == len(parts)
    assert all(max(part.shape) <= side for part in parts)
