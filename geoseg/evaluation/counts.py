"""Confusion matrix: exact counts of predicted against labelled pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import InputRangeError


@dataclass(frozen=True, eq=False)
class Confusion:
    """Confusion matrix in pixels; adding two merges them, exactly and in any order.

    Attributes:
        matrix: int64 (class, class), read-only; row: the label's class, column: the prediction's.
        not_observed: Labelled pixels without a prediction. Reported beside the scores, never part of one.
    """

    matrix: NDArray[np.int64]
    not_observed: int = 0

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.int64)
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def none(cls, classes: int) -> Confusion:
        """Return empty counts."""
        return cls(np.zeros((classes, classes), np.int64))

    @classmethod
    def of(cls, truth: NDArray[np.integer], prediction: NDArray[np.integer | np.bool_], classes: int) -> Confusion:
        """Count one image, or one block of it.

        Args:
            truth: Class indices; ``UNLABELLED`` or 255: unlabelled.
            prediction: Of the same shape; class indices; 255, or a negative number where the type has them: not
                observed. True and False are class 1 and class 0.
            classes: Number of classes, with the background.

        Raises:
            InputRangeError: Shapes that differ, or values that are no class.
        """
        both = known_pixels(truth, prediction, classes)
        pairs = truth[both].astype(np.int64) * classes + prediction[both].astype(np.int64)
        counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        return cls(counts.astype(np.int64), int(np.count_nonzero(_known("label", truth, classes) & ~both)))

    @classmethod
    def total(cls, parts: Iterable[Confusion], classes: int) -> Confusion:
        """Sum any number of counts, also none."""
        return sum(parts, cls.none(classes))

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.matrix)

    @property
    def scored(self) -> int:
        """Pixels labelled and observed."""
        return int(self.matrix.sum())

    @property
    def labelled(self) -> int:
        """Pixels labelled, observed or not."""
        return self.scored + self.not_observed

    def __add__(self, other: Confusion) -> Confusion:
        if self.classes != other.classes:
            raise InputRangeError(
                f"Counts of {self.classes} classes cannot be added to those of {other.classes}. Score the same classes."
            )
        return Confusion(self.matrix + other.matrix, self.not_observed + other.not_observed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Confusion):
            return NotImplemented
        return self.not_observed == other.not_observed and np.array_equal(self.matrix, other.matrix)

    def __hash__(self) -> int:
        return hash((self.matrix.tobytes(), self.not_observed))


def stacked(confusions: Sequence[Confusion], classes: int) -> NDArray[np.int64]:
    """The matrices of several chips or regions: int64 (unit, class, class)."""
    if not confusions:
        return np.zeros((0, classes, classes), np.int64)
    return np.stack([confusion.matrix for confusion in confusions])


def known_pixels(
    truth: NDArray[np.integer], prediction: NDArray[np.integer | np.bool_], classes: int
) -> NDArray[np.bool_]:
    """Return where a pixel is both labelled and observed, and so can be scored.

    Raises:
        InputRangeError: As :meth:`Confusion.of`.
    """
    if truth.shape != prediction.shape:
        raise InputRangeError(
            f"A label of shape {truth.shape} does not fit a prediction of shape {prediction.shape}. "
            "Bring both onto one grid."
        )
    return _known("label", truth, classes) & _known("prediction", prediction, classes)


def _known(what: str, values: NDArray[np.integer | np.bool_], classes: int) -> NDArray[np.bool_]:
    """Return where ``values`` are class indices."""
    if values.dtype.kind not in "iub":
        raise InputRangeError(
            f"The {what}: expected class indices (integers), got {values.dtype}. Give a mask, not probabilities."
        )
    known: NDArray[np.bool_] = (values >= 0) & (values != NOT_OBSERVED)
    wrong = known & (values >= classes)
    if values.dtype.kind == "i" and what == "label":
        wrong |= (values < 0) & (values != UNLABELLED)
    if wrong.any():
        raise InputRangeError(
            f"The {what} holds {values[wrong][0]} where classes 0 to {classes - 1} exist. "
            "Map it to a class, or to unlabelled."
        )
    return known
