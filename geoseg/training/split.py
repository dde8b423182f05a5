"""Choose what is trained on: a few images by chance, and a split into training and validation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from geoseg.datasets.pair import UNLABELLED, LabelledSet, Pair
from geoseg.errors import BandMismatchError, NotTrainableError
from geoseg.training.recipe import Recipe

FEWEST = 8
"""Images below which each one teaches more than it could tell: no part is kept for validation."""

LEARNED = ("", "train")
CHOOSES = "val"


@dataclass(frozen=True)
class TrainValSplit:
    """A set, divided.

    Attributes:
        training: What is learned from.
        validation: What chooses among the weights; None: the last weights are kept.
        notes: How it came to that, for a person.
    """

    training: LabelledSet
    validation: LabelledSet | None
    notes: tuple[str, ...] = ()


def split_train_val(data: LabelledSet, recipe: Recipe, validation: LabelledSet | None = None) -> TrainValSplit:
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
    return TrainValSplit(learned, chosen, tuple(notes))


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
        image, mask = pair.read()
        known = mask[np.isfinite(image).all(axis=0)]
        seen |= set(np.unique(known).tolist()) - {UNLABELLED}
        if len(seen) == len(data.classes):
            return True
    return False


TRIES = 1000


def draw(data: LabelledSet, shots: int, seed: int) -> LabelledSet:
    """So many images by chance, all classes among them: a draw that lacks one is drawn again.

    Images without a pixel that is both labelled and observed teach nothing and are not drawn.

    Args:
        data: What is drawn from.
        shots: How many images.
        seed: Of the chance.

    Raises:
        NotTrainableError: There are fewer images, or no draw holds every class.
    """
    every = [_classes(pair) for pair in data.pairs]
    data = replace(data, pairs=tuple(pair for pair, found in zip(data.pairs, every, strict=True) if found))
    classes = [found for found in every if found]
    if shots > len(data.pairs):
        raise NotTrainableError(
            f"{shots} shots were asked for, and {data.name} holds {data.counted(len(data.pairs))} with a pixel that is "
            "both labelled and observed."
        )
    random = np.random.default_rng((seed, shots))
    for _ in range(TRIES):
        chosen = set(random.permutation(len(data.pairs))[:shots].tolist())
        if len(set().union(*(classes[index] for index in chosen))) == len(data.classes):
            return replace(data, pairs=tuple(data.pairs[index] for index in sorted(chosen)))
    raise NotTrainableError(f"No {data.counted(shots)} of {data.name} hold every class ({', '.join(data.classes)}).")


def _classes(pair: Pair) -> set[int]:
    """Classes that are labelled where the image was observed."""
    image, mask = pair.read()
    return {int(each) for each in np.unique(mask[np.isfinite(image).all(axis=0)]) if each >= 0}
