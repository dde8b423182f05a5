"""Calibration: whether pixels with a probability of 70 per cent are of class 1 in 7 of 10 cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadOptionError, InputRangeError

PERCENTS = 101
"""0 to 100 per cent."""


@dataclass(frozen=True, eq=False)
class ProbabilityCounts:
    """Histogram of probabilities in whole per cent; adding two merges them, exactly and in any order.

    For more than two classes count "correct" (0 or 1) against the probability of the predicted class: the
    calibration of that confidence is then :meth:`expected_calibration_error` with ``of="class 1"``.

    Attributes:
        pixels: int64 (101,): pixels whose probability of class 1 rounds to 0, 1... 100 per cent.
        positives: int64 (101,): those of them that are class 1.
        not_observed: Pixels with a label and no probability.
    """

    pixels: NDArray[np.int64]
    positives: NDArray[np.int64]
    not_observed: int = 0

    def __post_init__(self) -> None:
        for name in ("pixels", "positives"):
            counts = np.array(getattr(self, name), dtype=np.int64)
            counts.setflags(write=False)
            object.__setattr__(self, name, counts)

    @classmethod
    def none(cls) -> ProbabilityCounts:
        """Return empty counts."""
        return cls(np.zeros(PERCENTS, np.int64), np.zeros(PERCENTS, np.int64))

    @classmethod
    def of(cls, truth: NDArray[np.integer], probability: NDArray[np.generic]) -> ProbabilityCounts:
        """Count one image, or one block of it.

        Args:
            truth: 0 or 1; ``UNLABELLED`` or 255: unlabelled.
            probability: Of class 1, same shape: a float 0 to 1, NaN where not observed; or whole per cent as uint8,
                255 where not observed, as geoseg writes it.

        Raises:
            InputRangeError: Shapes that differ, labels other than these, or probabilities out of range.
        """
        if truth.shape != probability.shape:
            raise InputRangeError(
                f"A label of shape {truth.shape} does not fit probabilities of shape {probability.shape}. "
                "Bring both onto one grid."
            )
        said = (truth != UNLABELLED) & (truth != NOT_OBSERVED)
        if (said & (truth != 0) & (truth != 1)).any():
            raise InputRangeError("Calibration: expected labels 0 and 1, got others. Map the label to two classes.")
        percent, seen = _whole_percent(probability)
        both = said & seen
        pixels = np.bincount(percent[both], minlength=PERCENTS)
        positives = np.bincount(percent[both & (truth == 1)], minlength=PERCENTS)
        return cls(pixels, positives, int(np.count_nonzero(said & ~seen)))

    def __add__(self, other: ProbabilityCounts) -> ProbabilityCounts:
        return ProbabilityCounts(
            self.pixels + other.pixels, self.positives + other.positives, self.not_observed + other.not_observed
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProbabilityCounts):
            return NotImplemented
        same = np.array_equal(self.pixels, other.pixels) and np.array_equal(self.positives, other.positives)
        return same and self.not_observed == other.not_observed

    def __hash__(self) -> int:
        return hash((self.pixels.tobytes(), self.positives.tobytes(), self.not_observed))

    def expected_calibration_error(self, bins: int = 15, of: str = "confidence") -> float:
        """Compute the expected calibration error: mean gap of probability and frequency, weighted by pixels, 0 is best.

        ``sum_m (|B_m| / n) |share true in B_m - mean probability in B_m|`` over M bins B_m = ((m - 1) / M, m / M], 0
        itself in the first. Of the probabilities as rounded to whole per cent: up to 0.005 from that of the unrounded
        ones where no pixel changes its bin.

        Args:
            bins: M, 1 to 100; 10 and 15 are usual.
            of: ``confidence``: probability of the predicted class, p or 1 - p, against being correct, class 1 predicted
                from 50 per cent on (Guo et al. 2017, arXiv 1706.04599, eq. 3). ``class 1``: its probability of class 1
                against being class 1 (Naeini et al. 2015, AAAI, who introduced the error for two classes).

        Returns:
            NaN where nothing was counted.

        Raises:
            BadOptionError: No such kind, or number of bins.
        """
        table = self.reliability(bins, of)
        total = table.pixels.sum()
        if not total:
            return float("nan")
        filled = table.pixels > 0
        gaps = np.abs(table.true[filled] - table.claimed[filled])
        return float((table.pixels[filled] * gaps).sum() / total)

    def reliability(self, bins: int = 15, of: str = "confidence") -> Reliability:
        """Return the values of a reliability diagram.

        Args:
            bins: As for :meth:`expected_calibration_error`.
            of: Likewise.

        Raises:
            BadOptionError: As :meth:`expected_calibration_error`.
        """
        if of not in {"confidence", "class 1"} or not 1 <= bins < PERCENTS:
            raise BadOptionError(
                f"Calibration: expected 'confidence' or 'class 1' in 1 to 100 bins, got {of!r} in {bins} bins."
            )
        percent = np.arange(PERCENTS)
        claimed, true = percent, self.positives
        if of == "confidence":
            claimed = np.where(percent >= 50, percent, 100 - percent)
            true = np.where(percent >= 50, self.positives, self.pixels - self.positives)
        place = np.maximum(-(-claimed * bins // 100) - 1, 0)  # whole numbers: no edge falls on a rounding error

        def binned(counts: NDArray[np.int64]) -> NDArray[np.int64]:
            sums = np.zeros(bins, np.int64)
            np.add.at(sums, place, counts)
            return sums

        pixels = binned(self.pixels)

        def shares(counts: NDArray[np.int64], scale: int) -> NDArray[np.float64]:
            share: NDArray[np.float64] = np.full(bins, np.nan)
            np.divide(binned(counts), pixels * scale, out=share, where=pixels > 0)
            return share

        return Reliability(pixels, shares(self.pixels * claimed, 100), shares(true, 1))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Probabilities in bins of equal width.

    Attributes:
        pixels: int64 (bin,).
        claimed: Mean probability, 0 to 1, NaN in an empty bin.
        true: Share that came true, 0 to 1, NaN in an empty bin.
    """

    pixels: NDArray[np.int64]
    claimed: NDArray[np.float64]
    true: NDArray[np.float64]


def _whole_percent(probability: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return whole per cent (0 where not observed), and the mask of observed pixels."""
    if probability.dtype == np.uint8:
        seen = probability != NOT_OBSERVED
        percent = np.where(seen, probability, 0).astype(np.int64)
    elif probability.dtype.kind == "f":
        seen = ~np.isnan(probability)
        values = np.where(seen, probability, 0)
        if ((values < 0) | (values > 1)).any():
            raise InputRangeError(
                "Probabilities: expected 0 to 1, got values outside. Give probabilities, not logits or per cent."
            )
        percent = np.rint(values.astype(np.float64) * 100).astype(np.int64)
    else:
        raise InputRangeError(f"Probabilities: expected float, or uint8 in per cent, got {probability.dtype}.")
    if (percent >= PERCENTS).any():
        raise InputRangeError(
            f"Probabilities: expected 0 to 100 per cent, 255 where not observed, got {percent.max()}."
        )
    return percent, seen
