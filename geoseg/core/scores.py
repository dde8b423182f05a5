"""Intersection over union (IoU, Jaccard index) of a confusion matrix: the one definition that every score uses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def class_ious(matrix: NDArray[np.integer]) -> NDArray[np.float64]:
    """Compute the intersection over union of each class: TP / (TP + FP + FN).

    Args:
        matrix: Counts (..., class, class); row: the label's class, column: the prediction's.

    Returns:
        float64 (..., class), 0..1; NaN where 0/0: the class is neither labelled nor predicted, so nothing is known of
        it, and neither 0 nor 1 would be true.
    """
    both = np.diagonal(matrix, axis1=-2, axis2=-1)
    union = matrix.sum(axis=-1) + matrix.sum(axis=-2) - both
    ious: NDArray[np.float64] = np.full(union.shape, np.nan)
    np.divide(both, union, out=ious, where=union > 0)
    return ious


def foreground_iou(matrix: NDArray[np.integer]) -> float:
    """Compute the IoU of class 1, or of several classes the mean over all but the background (class 0).

    Args:
        matrix: Counts (class, class); row: the label's class, column: the prediction's.

    Returns:
        0..1; classes whose IoU is undefined are left out of the mean. NaN where all of them are.
    """
    ious = class_ious(matrix)[1:]
    defined = ious[~np.isnan(ious)]
    return float(defined.mean()) if len(defined) else float("nan")
