"""Boundary F1: how closely the outline of a prediction follows that of the label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.errors import BadOptionError
from geoseg.evaluation.counts import known_pixels

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BoundaryCounts:
    """Boundary pixels of one class, and how many of them have the other's boundary near; adding two merges images.

    The boundary F1 of Csurka, Larlus and Perronnin 2013 ("What is a good evaluation measure for semantic
    segmentation?", BMVC): precision is the share of the prediction's boundary with the label's within a tolerance,
    recall the other way round, and F1 their harmonic mean. They average it over images; pooled over images is the sum
    of these counts.

    Attributes:
        predicted: Boundary pixels of the prediction.
        predicted_near: Of these, those near the label's boundary.
        labelled: Boundary pixels of the label.
        labelled_near: Of these, those near the prediction's boundary.
    """

    predicted: int = 0
    predicted_near: int = 0
    labelled: int = 0
    labelled_near: int = 0

    @classmethod
    def of(
        cls,
        truth: NDArray[np.integer],
        prediction: NDArray[np.integer | np.bool_],
        *,
        classes: int,
        index: int = 1,
        tolerance: float = 2.0,
    ) -> BoundaryCounts:
        """Count one whole image; a block of one would miss what lies just outside it.

        A pixel is boundary where it is of the class and one of its four neighbours is not. Pixels without a label or
        not observed are left out: they are neither boundary nor what makes their neighbour one, and neither is the
        image's frame. Near is an Euclidean distance between pixel centres of at most ``tolerance`` (Csurka et al.
        have less than, and 0.75 per cent of the image's diagonal, which chips of different sizes could not share).

        Args:
            truth: (y, x), as for :meth:`geoseg.evaluation.counts.Confusion.of`.
            prediction: Likewise.
            classes: Number of classes.
            index: Class whose outline is scored.
            tolerance: Pixels, 0 or more.

        Raises:
            BadOptionError: A tolerance that cannot be.
            InputRangeError: Shapes that differ, or values that are no class.
        """
        if not (math.isfinite(tolerance) and tolerance >= 0):
            raise BadOptionError(f"The tolerance of a boundary: expected 0 or more pixels, got {tolerance}.")
        known = known_pixels(truth, prediction, classes)
        wanted = _boundary(truth == index, known)
        found = _boundary(prediction == index, known)
        return cls(
            predicted=int(found.sum()),
            predicted_near=_near(found, wanted, tolerance),
            labelled=int(wanted.sum()),
            labelled_near=_near(wanted, found, tolerance),
        )

    @property
    def precision(self) -> float:
        """NaN where nothing was predicted to have an outline."""
        return self.predicted_near / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """NaN where the label has no outline."""
        return self.labelled_near / self.labelled if self.labelled else float("nan")

    @property
    def f1(self) -> float:
        """NaN where neither has an outline, 0 where one alone has."""
        if not (self.predicted and self.labelled):
            return 0.0 if self.predicted or self.labelled else float("nan")
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(
            self.predicted + other.predicted,
            self.predicted_near + other.predicted_near,
            self.labelled + other.labelled,
            self.labelled_near + other.labelled_near,
        )


def _boundary(inside: Bools, known: Bools) -> Bools:
    """Known pixels inside with a known one outside among their four neighbours."""
    outside = ndimage.binary_dilation(known & ~inside)
    near: NDArray[np.bool_] = known & inside & outside
    return near


def _near(these: Bools, those: Bools, tolerance: float) -> int:
    """How many of these have one of those within the tolerance."""
    if not (these.any() and those.any()):
        return 0
    return int((ndimage.distance_transform_edt(~those)[these] <= tolerance).sum())
