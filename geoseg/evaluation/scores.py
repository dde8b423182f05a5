"""Scores of a confusion matrix, each under its own name.

With the matrix n (row: label, column: prediction) and, for a class c, TP = n_cc, FN = row c less TP, FP = column c
less TP:

=========================  ============================================================================================
``iou_CLASS``              TP / (TP + FP + FN), Jaccard's index (Everingham et al. 2010, the PASCAL VOC challenge)
``f1_CLASS``               2 TP / (2 TP + FP + FN), Dice's coefficient
``precision_CLASS``        TP / (TP + FP), the user's accuracy of remote sensing (Congalton 1991)
``recall_CLASS``           TP / (TP + FN), the producer's accuracy
``iou_class_mean``         mean of the IoU of every class, **the background included**: what papers call mIoU
``accuracy``               sum of n_cc / sum of n, overall accuracy
``accuracy_class_mean``    mean of every class's recall, balanced accuracy
=========================  ============================================================================================

CLASS is a name other than the background's: ``iou_water``. A score that is 0/0 is NaN, never 0 or 1: water IoU where
water is neither labelled nor predicted, and a class mean where that of any of its classes is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geoseg.core.scores import class_ious
from geoseg.errors import UnknownNameError
from geoseg.evaluation.counts import Confusion, stacked

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Score = Callable[[Counts], Values]
"""From matrices (..., class, class) to one number each (...)."""


@dataclass(frozen=True, slots=True)
class UnitMean:
    """A score averaged over chips or regions, each counting the same.

    Attributes:
        mean: NaN where no unit defines the score.
        std: Over units, with n - 1; NaN for fewer than two.
        units: That define the score, and that the mean is over.
        undefined: Left out because their score is 0/0.
    """

    mean: float
    std: float
    units: int
    undefined: int

    @classmethod
    def of(cls, values: Values) -> UnitMean:
        """Average one number per unit, NaN where undefined."""
        defined = values[~np.isnan(values)]
        return cls(
            mean=float(defined.mean()) if len(defined) else float("nan"),
            std=float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"),
            units=len(defined),
            undefined=len(values) - len(defined),
        )


def score_functions(classes: Sequence[str]) -> dict[str, Score]:
    """Return every score of a set of classes, by name.

    Args:
        classes: Names, the background first.
    """
    known: dict[str, Score] = {}
    for index, name in enumerate(classes):
        if index:
            known[f"iou_{name}"] = partial(_of_class, class_ious, index)
            known[f"f1_{name}"] = partial(_of_class, f1_of_classes, index)
            known[f"precision_{name}"] = partial(_of_class, precision_of_classes, index)
            known[f"recall_{name}"] = partial(_of_class, recall_of_classes, index)
    known["iou_class_mean"] = partial(_class_mean, class_ious)
    known["accuracy"] = accuracy
    known["accuracy_class_mean"] = partial(_class_mean, recall_of_classes)
    return known


def score_function(name: str, classes: Sequence[str]) -> Score:
    """Return one of :func:`score_functions`.

    Raises:
        UnknownNameError: No such score.
    """
    known = score_functions(classes)
    if name not in known:
        raise UnknownNameError.among("score", name, known)
    return known[name]


def pooled(confusion: Confusion, classes: Sequence[str]) -> dict[str, float]:
    """Compute every score over all pixels together, so that larger chips weigh more. NaN where 0/0."""
    return {name: float(score(confusion.matrix)) for name, score in score_functions(classes).items()}


def unit_means(confusions: Sequence[Confusion], classes: Sequence[str]) -> dict[str, UnitMean]:
    """Average every score over chips or regions with equal weights; units without the score are counted apart."""
    matrices = stacked(confusions, len(classes))
    return {name: UnitMean.of(score(matrices)) for name, score in score_functions(classes).items()}


def f1_of_classes(matrix: Counts) -> Values:
    """Compute F1 of each class, (..., class)."""
    both, labelled, predicted = _margins(matrix)
    return _share(2 * both, labelled + predicted)


def precision_of_classes(matrix: Counts) -> Values:
    """Compute the precision of each class, (..., class): correct of all predicted pixels."""
    both, _, predicted = _margins(matrix)
    return _share(both, predicted)


def recall_of_classes(matrix: Counts) -> Values:
    """Compute the recall of each class, (..., class): correct of all labelled pixels."""
    both, labelled, _ = _margins(matrix)
    return _share(both, labelled)


def accuracy(matrix: Counts) -> Values:
    """Compute the overall accuracy, (...): correct of all pixels."""
    return _share(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def _of_class(scores: Score, index: int, matrix: Counts) -> Values:
    return scores(matrix)[..., index]


def _class_mean(scores: Score, matrix: Counts) -> Values:
    """Average over classes; NaN where any class is NaN, because a mean over fewer classes is another quantity."""
    mean: Values = scores(matrix).mean(axis=-1)
    return mean


def _margins(matrix: Counts) -> tuple[Counts, Counts, Counts]:
    """Return correct, labelled and predicted pixels: (..., class) each."""
    return np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1), matrix.sum(axis=-2)


def _share(part: Counts, whole: Counts) -> Values:
    part, whole = np.asarray(part), np.asarray(whole)
    share: Values = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
