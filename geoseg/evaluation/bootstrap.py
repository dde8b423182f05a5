"""Bootstrap intervals of pooled scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import BadOptionError
from geoseg.evaluation.scores import Score


@dataclass(frozen=True, slots=True)
class Interval:
    """A pooled score and where it lies.

    Attributes:
        estimate: Of all units pooled; NaN where 0/0.
        low: Lower end; NaN where there are fewer than two units, or no resample defines the score.
        high: Upper end.
        confidence: Share of resamples between the two, 0 to 1.
        units: Chips or regions that were resampled.
        undefined: Resamples whose score is 0/0; the ends are of the others.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    units: int
    undefined: int


def bootstrap_interval(
    matrices: NDArray[np.int64],
    score: Score,
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of a pooled score (Efron and Tibshirani 1993, chapter 13).

    Units are drawn with replacement, as many as there are, their counts summed and scored; the interval holds the
    middle share of those scores. A unit should be what was sampled independently: chips of one scene resemble each
    other, so an interval over them is narrower than one over regions, and only the latter speaks for new regions.
    With few units percentile intervals are too narrow as well.

    Args:
        matrices: int64 (unit, class, class), of :func:`geoseg.evaluation.counts.stacked`.
        score: Of :func:`geoseg.evaluation.scores.score_function`.
        seed: The same seed gives the same interval.
        resamples: 1 or more.
        confidence: More than 0, less than 1.

    Raises:
        BadOptionError: A number that cannot be.
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise BadOptionError(
            f"{resamples} resamples at confidence {confidence} cannot be: give 1 or more, and between 0 and 1."
        )
    units = len(matrices)
    estimate = float(score(matrices.sum(axis=0)))
    nan = float("nan")
    if units < 2:
        return Interval(estimate, nan, nan, confidence, units, 0)
    times = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=resamples)
    values = score(np.tensordot(times, matrices, axes=1))
    defined = values[~np.isnan(values)]
    low, high = nan, nan
    if len(defined):
        tail = (1 - confidence) / 2
        low, high = (float(end) for end in np.quantile(defined, [tail, 1 - tail]))
    return Interval(estimate, low, high, confidence, units, resamples - len(defined))
