"""Divide labelled images into folds: by split, by region, or with few images to learn from. Never by single chip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoseg.core.progress import Progress, Report, silent
from geoseg.datasets.pair import Georeference, LabelledSet, Pair
from geoseg.errors import BadOptionError, NotTrainableError
from geoseg.evaluation.plan import Protocol
from geoseg.training.split import draw

TRAIN, VALIDATION, TEST = ("", "train"), "val", "test"
ID_FIELD = "id:"


@dataclass(frozen=True)
class Fold:
    """Training images and test images of one training.

    Attributes:
        name: Name in tables and folders: ``Ghana``, ``split``, ``Ghana-5-shots-1``.
        training: Images to learn from, validation included. None: nothing is trained.
        test: Images to score; shares no image with ``training``.
        shots: Number of training images in a few-shot evaluation; else 0.
        repeat: Number of the draw in a few-shot evaluation, from 1; else 0.
        seed: Seed of this training.
    """

    name: str
    training: LabelledSet | None
    test: LabelledSet
    shots: int = 0
    repeat: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """Facts of an image's label.

    Attributes:
        classes: Indices of the classes that are labelled where the image is observed.
        sha256: SHA-256 of the label, so that results of other labels are not reused.
    """

    classes: frozenset[int]
    sha256: str


def label_facts(data: LabelledSet, report: Report = silent) -> dict[str, LabelFacts]:
    """Read every label once; return its facts by the image's id."""
    facts = {}
    for index, pair in enumerate(data.pairs):
        report(Progress("labels", index, len(data.pairs), "images"))
        image, mask = pair.read()
        seen = np.unique(mask[np.isfinite(image).all(axis=0)]).tolist()
        digest = hashlib.sha256(np.ascontiguousarray(mask).tobytes()).hexdigest()
        facts[pair.id] = LabelFacts(frozenset(each for each in seen if each >= 0), digest)
    report(Progress("labels", len(data.pairs), len(data.pairs), "images"))
    return facts


def regrouped(data: LabelledSet, regions: str | Mapping[str, Sequence[str]]) -> LabelledSet:
    """Redefine the regions of a set, which are held out as a whole.

    Args:
        data: Labelled images.
        regions: ``region``: unchanged; ``split``: each split is a region; ``id:REGEX``: the first group of a regular
            expression that is searched in the id, or the whole match; or names of groups and the regions in each (a
            region in no group stays as it is).

    Raises:
        BadOptionError: No such field, an expression that does not match an id, or a group with an unknown region.
    """
    if isinstance(regions, Mapping):
        return _in_groups(data, regions)
    if regions == "region":
        return data
    if regions == "split":
        return _with_regions(data, {pair.id: pair.split or "(none)" for pair in data.pairs})
    if regions == "id":
        raise BadOptionError(
            "--regions id would hold out chip by chip, and neighbouring chips show the same water. "
            "Group the chips by a part of their ids: --regions 'id:REGEX', as in --regions 'id:^[^_]+'."
        )
    if not regions.startswith(ID_FIELD):
        raise BadOptionError(f"--regions: expected region, split or id:REGEX, got {regions!r}.")
    return _with_regions(data, {pair.id: _from_id(pair.id, regions.removeprefix(ID_FIELD)) for pair in data.pairs})


def _from_id(identity: str, expression: str) -> str:
    try:
        match = re.search(expression, identity)
    except re.error as error:
        raise BadOptionError(f"--regions id:{expression}: expected a regular expression: {error}.") from None
    # a group outside the match is None, and an empty one would give a region without a name
    found = match and (match.group(1) if match.re.groups else match.group())
    if not found:
        raise BadOptionError(
            f"--regions id:{expression} does not match the id {identity}. Use an expression that matches every id."
        )
    return str(found)


def _in_groups(data: LabelledSet, groups: Mapping[str, Sequence[str]]) -> LabelledSet:
    group_of = {region: group for group, members in groups.items() for region in members}
    if missing := sorted(set(group_of) - set(data.regions)):
        raise BadOptionError(f"{data.name} has no region {missing[0]!r}; it has {', '.join(data.regions)}.")
    return _with_regions(data, {pair.id: group_of.get(pair.region, pair.region) for pair in data.pairs})


def _with_regions(data: LabelledSet, regions: Mapping[str, str]) -> LabelledSet:
    return replace(data, pairs=tuple(replace(pair, region=regions[pair.id]) for pair in data.pairs))


def cropped(data: LabelledSet, side: int) -> LabelledSet:
    """Cut larger images into squares of ``side`` pixels, each with its georeference; the last ones may be smaller."""
    from affine import Affine

    def square(pair: Pair, row: int, column: int) -> Pair:
        rows, columns = slice(row, row + side), slice(column, column + side)
        place = pair.place and Georeference(pair.place.crs, pair.place.transform @ Affine.translation(column, row))
        identity = f"{pair.id}_y{row}_x{column}"
        return replace(
            pair, id=identity, image=pair.image[:, rows, columns], mask=pair.mask[rows, columns], place=place
        )

    squares = [
        square(pair, row, column) if max(pair.shape) > side else pair
        for pair in data.pairs
        for row in range(0, pair.shape[0], side)
        for column in range(0, pair.shape[1], side)
    ]
    return replace(data, pairs=tuple(squares))


def leave_one_region_out(data: LabelledSet, *, held_out: Sequence[str] = (), seed: int = 0) -> tuple[Fold, ...]:
    """Make a fold for each region, in order: the model learns from all others, whatever their split.

    Raises:
        NotTrainableError: The set has one region, so nothing is left to learn from.
        BadOptionError: A region to hold out does not exist.
    """
    held_out = _regions_of(data, held_out)
    if len(data.regions) < 2:
        raise NotTrainableError(
            f"{data.name} has one region ({data.regions[0]}), so no other is left to learn from: expected two or more. "
            "Use evaluate split, group its images with --regions, or score models as they are with --no-train."
        )
    pooled = _one_split(data)
    return tuple(
        Fold(
            name=region,
            training=pooled.where(lambda pair, region=region: pair.region != region),  # type: ignore[misc]
            test=data.where(lambda pair, region=region: pair.region == region),  # type: ignore[misc]
            seed=seed,
        )
        for region in held_out
    )


def by_split(data: LabelledSet, *, seed: int = 0) -> tuple[Fold, ...]:
    """Make one fold of the set's own splits: train and val against test and every further split.

    Raises:
        NotTrainableError: The set lacks a train or a test split.
    """
    training = data.where(lambda pair: pair.split in (*TRAIN, VALIDATION))
    test = data.where(lambda pair: pair.split not in (*TRAIN, VALIDATION))
    if not test.pairs or not any(pair.split in TRAIN for pair in training.pairs):
        raise NotTrainableError(
            f"{data.name} has the splits {_splits(data)}: train and test are needed. "
            "Use evaluate loro, sources with splits, or --no-train to score models as they are on the test split."
        )
    return (Fold("split", training, test, seed=seed),)


def few_shot(
    data: LabelledSet, shots: Sequence[int], repeats: int, *, held_out: Sequence[str] = (), seed: int = 0
) -> tuple[Fold, ...]:
    """Make folds with few training images, drawn at random; tested on the test split, else region by region.

    Raises:
        NotTrainableError: The set has fewer images than shots, or no draw has every class.
        BadOptionError: A region to hold out does not exist.
    """
    if _has_test_split(data) and not held_out:
        base = by_split(data, seed=seed)
        base = tuple(
            replace(
                fold,
                training=_one_split(fold.training.where(lambda pair: pair.split in TRAIN)),
                test=fold.test.where(lambda pair: pair.split == TEST),
            )
            for fold in base
            if fold.training
        )
    else:
        base = leave_one_region_out(data, held_out=held_out, seed=seed)
    folds = []
    for fold in base:
        assert fold.training is not None
        if max(shots) > len(fold.training.pairs):
            raise NotTrainableError(
                f"{max(shots)} shots were asked for, but {data.name} has {len(fold.training.pairs)} images to learn "
                "from. Ask for fewer, or cut the images with --crop."
            )
        for count in shots:
            for repeat in range(repeats):
                drawn = draw(fold.training, count, seed + repeat)
                name = f"{fold.name}-{count}-shots-{repeat + 1}"
                folds.append(Fold(name, drawn, fold.test, count, repeat + 1, seed + repeat))
    return tuple(folds)


def scored_folds(
    data: LabelledSet, protocol: Protocol, *, held_out: Sequence[str] = (), seed: int = 0
) -> tuple[Fold, ...]:
    """Make folds for a model that is not trained: each test set of a protocol once.

    Names and test sets are those that a trained model would get. No images to learn from are needed: a set with only
    a test split, or with a single region, can be scored.

    Args:
        data: Labelled images.
        protocol: ``split``, ``loro`` or ``fewshot``.
        held_out: Regions to score; empty: all.
        seed: Of the evaluation.

    Raises:
        BadOptionError: The set has no test split (``split``), or a region does not exist.
    """
    if protocol == "split":
        test = data.where(lambda pair: pair.split not in (*TRAIN, VALIDATION))
        if not test.pairs:
            raise BadOptionError(
                f"{data.name} has no images to test on: expected a test split, got {_splits(data)}. "
                "Use evaluate loro, which scores every region, or add a source with a test split."
            )
        return (Fold("split", None, test, seed=seed),)
    if protocol == "fewshot" and _has_test_split(data) and not held_out:
        return (Fold("split", None, data.where(lambda pair: pair.split == TEST), seed=seed),)
    return tuple(
        Fold(region, None, data.where(lambda pair, region=region: pair.region == region), seed=seed)  # type: ignore[misc]
        for region in _regions_of(data, held_out)
    )


def check_classes(fold: Fold, facts: Mapping[str, LabelFacts]) -> None:
    """Refuse a fold whose training images lack a class, before anything is trained.

    Raises:
        NotTrainableError: A class is not labelled in any training image.
    """
    if fold.training is None:
        return
    classes = fold.training.classes
    present = set().union(*(facts[pair.id].classes for pair in fold.training.pairs))
    if missing := [name for index, name in enumerate(classes) if index not in present]:
        raise NotTrainableError(
            f"Fold {fold.name}: its {len(fold.training.pairs)} images to learn from hold no {', '.join(missing)}. "
            "Give more regions, or hold out others with --held-out."
        )


def _regions_of(data: LabelledSet, held_out: Sequence[str]) -> tuple[str, ...]:
    """The regions to hold out: those asked for, else all."""
    if unknown := sorted(set(held_out) - set(data.regions)):
        raise BadOptionError(f"{data.name} has no region {unknown[0]!r}; it has {', '.join(data.regions)}.")
    return tuple(held_out) or data.regions


def _has_test_split(data: LabelledSet) -> bool:
    return any(pair.split == TEST for pair in data.pairs)


def _splits(data: LabelledSet) -> str:
    return ", ".join(sorted({pair.split or "(none)" for pair in data.pairs}))


def _one_split(data: LabelledSet) -> LabelledSet:
    """Remove the splits, so that every image may be learned from: a set's own splits count only in ``split``."""
    return replace(data, pairs=tuple(replace(pair, split="") for pair in data.pairs))
