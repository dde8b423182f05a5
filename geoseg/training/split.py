"""What of a labelled set is learned from, and what chooses among the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.datasets.pair import UNLABELLED, LabelledSet
from geoseg.errors import BandMismatchError, NotTrainableError
from geoseg.training.crops import held
from geoseg.training.recipe import Recipe

FEWEST = 8
"""Images below which each one teaches more than it could tell: no part is kept for validation."""

LEARNED = ("", "train")
CHOOSES = "val"


@dataclass(frozen=True)
class Halves:
    """A set, divided.

    Attributes:
        training: What is learned from.
        validation: What chooses among the weights; None: the last weights are kept.
        notes: How it came to that, for a person.
    """

    training: LabelledSet
    validation: LabelledSet | None
    notes: tuple[str, ...] = ()


def split_off(data: LabelledSet, recipe: Recipe, validation: LabelledSet | None = None) -> Halves:
    """Divide a set: by its own splits where it has them, else by region, else by image.

    Args:
        data: Everything there is.
        recipe: Share that is kept for validation, and the seed of its choice.
        validation: Given by the caller; nothing is divided.

    Raises:
        NotTrainableError: Nothing is left to learn from.
        BandMismatchError: The validation has other bands or classes.
    """
    learned = data.where(lambda pair: pair.split in LEARNED)
    left_out = sum(pair.split not in (*LEARNED, CHOOSES) for pair in data.pairs)
    notes = [f"Left out: {data.counted(left_out)} of test splits."] if left_out else []
    if not learned.pairs:
        raise NotTrainableError(
            f"{data.name} holds no {data.piece} to learn from: {len(data.pairs)} belong to other splits."
        )
    own = data.where(lambda pair: pair.split == CHOOSES)
    chosen = validation if validation is not None else (own if own.pairs else None)
    if chosen is None:
        learned, chosen = _divided(learned, recipe)
    elif (chosen.bands, chosen.classes, chosen.unit) != (data.bands, data.classes, data.unit):
        raise BandMismatchError(f"{chosen.name}, the validation, has other bands or classes than {data.name}.")
    if chosen is None:
        few = f"{data.counted(len(learned.pairs))}: too few to keep some for validation, so the last weights are kept."
        notes.append(few)
    elif not _has_every_class(chosen):
        notes.append("The validation lacks a class, so that it could choose nothing: the last weights are kept.")
        chosen = None
    return Halves(learned, chosen, tuple(notes))


def _divided(data: LabelledSet, recipe: Recipe) -> tuple[LabelledSet, LabelledSet | None]:
    """Whole regions if there are enough, so that neighbours of a training image choose nothing."""
    count = len(data.pairs)
    if count < FEWEST or not recipe.validation:
        return data, None
    random, wanted = np.random.default_rng((recipe.seed, 1)), max(1, round(recipe.validation * count))
    by_region = len(data.regions) >= FEWEST // 2
    units = [pair.region if by_region else pair.id for pair in data.pairs]
    names = sorted(set(units))
    kept: set[str] = set()
    for name in random.permutation(names):
        if sum(unit in kept for unit in units) >= wanted or len(kept) == len(names) - 1:
            break
        kept.add(str(name))

    def unit(region: str, identity: str) -> str:
        return region if by_region else identity

    training = data.where(lambda pair: unit(pair.region, pair.id) not in kept)
    return training, data.where(lambda pair: unit(pair.region, pair.id) in kept)


def _has_every_class(data: LabelledSet) -> bool:
    seen: set[int] = set()
    for pair in data.pairs:
        image, mask = held.read(pair)
        known = mask[np.isfinite(image).all(axis=0)]
        seen |= set(np.unique(known).tolist()) - {UNLABELLED}
        if len(seen) == len(data.classes):
            return True
    return False
