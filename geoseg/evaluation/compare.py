"""Whether one model beats another by more than chance, on the same chips or regions.

U-Bench (arXiv 2510.07041, abstract) asks that segmentation models be compared with statistical validation. Its own
test is, according to a review of it, the paired t-test against plain U-Net; the paper's full text was not at hand.
Here are that test, the Wilcoxon signed-rank test, which needs no normal distribution, and a permutation test of the
pooled score itself. A p-value says nothing of how large a difference is: the difference is given beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from geoseg.errors import BadOptionError, InputRangeError
from geoseg.evaluation.counts import Confusion, stacked
from geoseg.evaluation.scores import Score

FEWEST = 6
"""Pairs that differ: with five, all of one sign, an exact two-sided test cannot give less than 2 / 2^5 = 0.0625."""
EXACT = 13
"""Up to so many pairs every one of the 2^n swaps is tried."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """One two-sided test.

    Attributes:
        p: NaN where the test says nothing.
        reason: Why it is NaN, "" where it is not.
        pairs: Units that the test is over.
    """

    p: float
    reason: str
    pairs: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same units.

    Attributes:
        difference: Pooled score of the first less that of the second; NaN where either is 0/0.
        mean_difference: Mean over units of the difference of their scores; NaN where no unit defines both.
        undefined: Units left out of the tests on unit scores because one of the two is 0/0 there.
        wilcoxon: Signed-rank test of the units' differences (Wilcoxon 1945).
        t_test: Paired t-test of the units' differences (Student 1908); takes them to be normally distributed.
        permutation: Of ``difference``, over swaps of the two models within units.
    """

    difference: float
    mean_difference: float
    undefined: int
    wilcoxon: PairedTest
    t_test: PairedTest
    permutation: PairedTest


def compare(
    first: Mapping[str, Confusion],
    second: Mapping[str, Confusion],
    score: Score,
    *,
    seed: int,
    resamples: int = 10_000,
) -> Comparison:
    """Compare two models, unit by unit and pooled.

    Args:
        first: Counts of one model, by chip or region.
        second: Counts of the other, for the same units.
        score: Of :func:`geoseg.evaluation.scores.score_function`.
        seed: Of the permutations, where they are drawn.
        resamples: How many are drawn where there are too many to try all.

    Raises:
        InputRangeError: The two were not scored on the same labels.
        BadOptionError: Fewer than one resample.
    """
    names = _same_units(first, second)
    if resamples < 1:
        raise BadOptionError(f"Permutations: expected 1 or more, got {resamples}.")
    classes = next(iter(first.values())).classes
    mine = stacked([first[name] for name in names], classes)
    theirs = stacked([second[name] for name in names], classes)
    gaps = score(mine) - score(theirs)
    defined = gaps[~np.isnan(gaps)]
    return Comparison(
        difference=float(score(mine.sum(axis=0)) - score(theirs.sum(axis=0))),
        mean_difference=float(defined.mean()) if len(defined) else float("nan"),
        undefined=len(gaps) - len(defined),
        wilcoxon=wilcoxon_test(defined),
        t_test=t_test(defined),
        permutation=permutation_test(mine, theirs, score, seed=seed, resamples=resamples),
    )


def wilcoxon_test(differences: NDArray[np.float64]) -> PairedTest:
    """Wilcoxon's signed-rank test, two-sided: scipy's, with differences of 0 left out as Wilcoxon did.

    scipy takes the exact distribution for up to 50 pairs without ties, tries every sign for up to 13 with ties, and the
    normal approximation beyond.

    Args:
        differences: One per unit, none NaN.
    """
    differing = differences[differences != 0]
    if refused := _too_few(len(differing), len(differences)):
        return refused
    return PairedTest(float(stats.wilcoxon(differing).pvalue), "", len(differing))


def t_test(differences: NDArray[np.float64]) -> PairedTest:
    """Student's paired t-test, two-sided: scipy's.

    Args:
        differences: One per unit, none NaN.
    """
    if refused := _too_few(int(np.count_nonzero(differences)), len(differences)):
        return refused
    if np.ptp(differences) == 0:
        return PairedTest(float("nan"), "the difference is the same in every unit: it has no spread", len(differences))
    return PairedTest(float(stats.ttest_1samp(differences, 0).pvalue), "", len(differences))


def permutation_test(
    first: NDArray[np.int64], second: NDArray[np.int64], score: Score, *, seed: int, resamples: int = 10_000
) -> PairedTest:
    """Permutation test of the difference of two pooled scores, two-sided.

    If the models were alike, either could have made either's counts in each unit: the two are swapped in every subset
    of the units, or in ``resamples`` random ones, and p is the share of swaps whose absolute difference reaches the
    one seen. Drawn swaps count the one seen among them, (b + 1) / (m + 1), so that p is never 0 (Phipson and Smyth,
    arXiv 1603.05766). A swap whose score is 0/0 counts as reaching it, which can only raise p.

    Args:
        first: int64 (unit, class, class).
        second: Likewise, the same units in the same order.
        score: Of :func:`geoseg.evaluation.scores.score_function`.
        seed: Of the swaps, where they are drawn.
        resamples: How many are drawn where there are more than 2^13.
    """
    differ = (first != second).any(axis=(1, 2))
    pairs = int(differ.sum())
    if refused := _too_few(pairs, len(first)):
        return refused
    mine, theirs = first.sum(axis=0), second.sum(axis=0)
    seen = abs(float(score(mine) - score(theirs)))
    if np.isnan(seen):
        return PairedTest(float("nan"), "the pooled score of one of the two is 0/0", pairs)
    swaps = _swaps(pairs, seed, resamples)
    moved = np.tensordot(swaps, (second - first)[differ], axes=1)
    reached = ~(np.abs(score(mine + moved) - score(theirs - moved)) < seen - 1e-12)
    drawn = 0 if pairs <= EXACT else 1
    return PairedTest((int(reached.sum()) + drawn) / (len(swaps) + drawn), "", pairs)


def _swaps(pairs: int, seed: int, resamples: int) -> NDArray[np.int64]:
    """Return which pairs to swap: 0 or 1, (swap, pair)."""
    if pairs <= EXACT:
        return (np.arange(2**pairs)[:, None] >> np.arange(pairs)) & 1
    return np.random.default_rng(seed).integers(0, 2, (resamples, pairs))


def _too_few(differing: int, units: int) -> PairedTest | None:
    """Return a result without p where there are too few units; None where there are enough."""
    if differing >= FEWEST:
        return None
    if not differing:
        reason = "the two do not differ in any unit" if units else "there is no unit in which both are scored"
    else:
        reason = f"the two differ in {differing} of {units} units, and fewer than {FEWEST} cannot reach p = 0.05"
    return PairedTest(float("nan"), reason, differing)


def _same_units(first: Mapping[str, Confusion], second: Mapping[str, Confusion]) -> list[str]:
    if not first or first.keys() != second.keys():
        odd = sorted(first.keys() ^ second.keys())
        raise InputRangeError(
            f"The two models were scored on different units ({len(odd)} of them, such as {odd[:1]}). "
            "Score both on the same chips or regions."
        )
    for name in first:
        if first[name].labelled != second[name].labelled or first[name].classes != second[name].classes:
            raise InputRangeError(
                f"In {name} one model was scored on {first[name].labelled} labelled pixels and the other on "
                f"{second[name].labelled}. Score both on the same labels."
            )
    return sorted(first)
