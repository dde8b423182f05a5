"""Who learns from what and is judged on what: by split, by region, or from a handful. Never by chip."""

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
    """One training, and what it is judged on.

    Attributes:
        name: For tables and folders: ``fold-Ghana``, ``split``, ``5-shots-1``.
        training: What may be learned from, its own validation included. None: nothing is learned.
        test: What it is judged on; shares no image with ``training``.
        shots: Images learned from, where that is what is varied; else 0.
        repeat: Which draw of them.
        seed: Of this training.
    """

    name: str
    training: LabelledSet | None
    test: LabelledSet
    shots: int = 0
    repeat: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What an image's label holds where the image was observed.

    Attributes:
        classes: Indices of the classes that occur.
        sha256: Of the label, so that results of other labels are not taken for those of these.
    """

    classes: frozenset[int]
    sha256: str


def label_facts(data: LabelledSet, report: Report = silent) -> dict[str, LabelFacts]:
    """Read every label once, by id."""
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
    """The set with its regions as they are to be left out.

    Args:
        data: Any.
        regions: ``region``: as they are; ``split``: each split is one; ``id:REGEX``: the first group of a regular
            expression searched in the id, or all of its match; or names of groups and the regions in each (a region in
            none stays one of its own).

    Raises:
        BadOptionError: No such field, an expression that does not fit an id, or a group of regions that do not exist.
    """
    if isinstance(regions, Mapping):
        return _in_groups(data, regions)
    if regions == "region":
        return data
    if regions == "split":
        return _with_regions(data, {pair.id: pair.split or "(none)" for pair in data.pairs})
    if regions == "id":
        raise BadOptionError(
            "--regions id would leave out chip by chip, and neighbours of a chip tell what is in it. "
            "Group them: --regions 'id:REGEX', as in --regions 'id:^[^_]+'."
        )
    if not regions.startswith(ID_FIELD):
        raise BadOptionError(f"--regions is region, split or id:REGEX, not {regions!r}.")
    return _with_regions(data, {pair.id: _from_id(pair.id, regions.removeprefix(ID_FIELD)) for pair in data.pairs})


def _from_id(identity: str, expression: str) -> str:
    try:
        match = re.search(expression, identity)
    except re.error as error:
        raise BadOptionError(f"--regions id:{expression} is no regular expression: {error}.") from None
    # a group that took no part in the match is None, and one that is empty would be a region without a name
    found = match and (match.group(1) if match.re.groups else match.group())
    if not found:
        raise BadOptionError(f"--regions id:{expression} does not fit the id {identity}.")
    return str(found)


def _in_groups(data: LabelledSet, groups: Mapping[str, Sequence[str]]) -> LabelledSet:
    group_of = {region: group for group, members in groups.items() for region in members}
    if missing := sorted(set(group_of) - set(data.regions)):
        raise BadOptionError(f"{data.name} has no region {missing[0]!r}; it has {', '.join(data.regions)}.")
    return _with_regions(data, {pair.id: group_of.get(pair.region, pair.region) for pair in data.pairs})


def _with_regions(data: LabelledSet, regions: Mapping[str, str]) -> LabelledSet:
    return replace(data, pairs=tuple(replace(pair, region=regions[pair.id]) for pair in data.pairs))


def cropped(data: LabelledSet, side: int) -> LabelledSet:
    """Every image that is larger cut into squares, each where it lies; what is left at the end is a smaller one."""
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
    """A fold for each region, in order: the model learns from all others, whatever split they are of.

    Raises:
        NotTrainableError: There is one region, so nothing to learn from.
        BadOptionError: A region that is to be held out does not exist.
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
    """One fold by the set's own splits: train (and val, which chooses) against test and every further split.

    Raises:
        NotTrainableError: The set has no such splits.
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
    """Folds with so many images to learn from, each drawn anew; judged on the test split, else region by region.

    Raises:
        NotTrainableError: Fewer images than shots, or no draw with every class.
        BadOptionError: A region that is to be held out does not exist.
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
                f"{max(shots)} shots were asked for, and {len(fold.training.pairs)} images of {data.name} may be "
                "learned from. Ask for fewer, or cut the images with --crop."
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
    """Choose what a model that learns nothing here is scored on: each test set of a protocol once.

    The folds have the names and test sets that a model that learns would get. No image to learn from is needed: a set
    that holds nothing but a test split, or a single region, can be scored.

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
    """Refuse a fold whose training part lacks a class, before anything is trained.

    Raises:
        NotTrainableError: It does.
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
    """Every image may be learned from: what a set calls its test split counts only in ``split``."""
    return replace(data, pairs=tuple(replace(pair, split="") for pair in data.pairs))
