"""What the labels of a set hold, before anything is learned from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.pair import LabelledSet
from geoseg.errors import NotTrainableError


@dataclass(frozen=True)
class LabelCounts:
    """Pixels of each class in each pair.

    Attributes:
        name: Of the set.
        classes: Name of each class.
        ids: Of the pairs.
        counts: int64 (pair, class).
        unlabelled: int64 (pair,).
    """

    name: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    counts: NDArray[np.int64]
    unlabelled: NDArray[np.int64]

    @property
    def totals(self) -> dict[str, int]:
        """Pixels of each class in the whole set."""
        return {name: int(count) for name, count in zip(self.classes, self.counts.sum(axis=0), strict=True)}

    def check(self) -> None:
        """Refuse labels that nothing can be learned from.

        Raises:
            NotTrainableError: No pixel is labelled, or all are of one class.
        """
        held = [name for name, count in self.totals.items() if count]
        if not held:
            raise NotTrainableError(
                f"No pixel of {self.name} is labelled ({len(self.ids)} pairs). Check the codes of its labels."
            )
        if len(held) == 1:
            raise NotTrainableError(
                f"Every labelled pixel of {self.name} is {held[0]} ({len(self.ids)} pairs), so nothing tells it from "
                f"{' and '.join(name for name in self.classes if name not in held)}. Add pairs that hold both."
            )


def survey(labelled: LabelledSet) -> LabelCounts:
    """Count the labels; every mask is read once, one after the other.

    Raises:
        BadLabelsError: A mask holds a number without a meaning.
        SceneUnreadableError: A file is truncated or damaged.
    """
    counts = np.zeros((len(labelled.pairs), len(labelled.classes) + 1), np.int64)
    for row, pair in zip(counts, labelled.pairs, strict=True):
        mask = pair.mask.compute(scheduler="synchronous")
        row[:] = np.bincount(mask.ravel() + 1, minlength=counts.shape[1])
    return LabelCounts(
        labelled.name, labelled.classes, tuple(pair.id for pair in labelled.pairs), counts[:, 1:], counts[:, 0]
    )
