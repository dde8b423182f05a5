"""A handful of labelled images, drawn as a person with little time would have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.errors import NotTrainableError
from geoseg.training.crops import held

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
    image, mask = held.read(pair)
    return {int(each) for each in np.unique(mask[np.isfinite(image).all(axis=0)]) if each >= 0}
