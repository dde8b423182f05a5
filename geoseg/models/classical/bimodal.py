"""Histograms of backscatter, and whether one holds two classes.

A threshold between water and land can only be read off where both are there in comparable amounts; in the histogram of
a whole scene a small flood drowns. So the scene is looked at tile by tile, and only tiles that hold two classes vote
(Martinis, Twele and Voigt 2009, doi 10.5194/nhess-9-303-2009; Chini et al. 2017, doi 10.1109/TGRS.2017.2737664).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST_DB, HIGHEST_DB, STEP_DB = -50.0, 20.0, 0.25
BINS = round((HIGHEST_DB - LOWEST_DB) / STEP_DB)
CENTRES: NDArray[np.float64] = LOWEST_DB + STEP_DB * (np.arange(BINS, dtype=np.float64) + 0.5)

NARROWEST_DB = 0.5
"""Least standard deviation of a class: two bins. Without it a mixture may collapse onto one."""

ROUNDS = 60
"""Of expectation and maximisation, at most."""


def histogram(decibels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Observed pixels per bin of 0.25 dB, int64 (BINS,); what lies beyond either end counts in the end bin."""
    known = decibels[np.isfinite(decibels)]
    bins = np.clip((known - LOWEST_DB) * (1.0 / STEP_DB), 0, BINS - 1).astype(np.intp)
    return np.bincount(bins, minlength=BINS)


def otsu_split(counts: NDArray[np.int64]) -> tuple[int, float]:
    """The cut that separates best (Otsu 1979, doi 10.1109/TSMC.1979.4310076), and how well it does.

    Returns:
        Number of bins in the darker class, and the between-class share of the variance, 0..1. One normal distribution
        cut at its mean has 2/pi = 0.64 (so that share alone proves nothing below that), two distant ones near 1.
    """
    weight = np.cumsum(counts, dtype=np.float64)
    moment = np.cumsum(counts * CENTRES)
    total, sum_ = weight[-1], moment[-1]
    variance = float(np.sum(counts * CENTRES**2) / total - (sum_ / total) ** 2)
    dark, bright = weight[:-1], total - weight[:-1]
    between = np.zeros(BINS - 1)
    np.divide((sum_ * dark / total - moment[:-1]) ** 2, dark * bright, out=between, where=(dark > 0) & (bright > 0))
    best = int(np.argmax(between))
    return best + 1, float(between[best] / variance) if variance > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Mixture:
    """Two normal distributions of backscatter, the darker first. Shares sum to 1; the rest is in dB."""

    shares: tuple[float, float]
    means_db: tuple[float, float]
    stds_db: tuple[float, float]

    @classmethod
    def fit(cls, counts: NDArray[np.int64]) -> Mixture | None:
        """Fit by expectation and maximisation, from Otsu's split on; None where that leaves a class empty."""
        cut, _ = otsu_split(counts)
        dark = np.where(np.arange(BINS) < cut, 1.0, 0.0)
        mixture = _moments(counts, dark)
        for _ in range(ROUNDS):
            if mixture is None:
                return None
            before, (first, second) = mixture, mixture.densities(CENTRES)
            mixture = _moments(counts, first / np.maximum(first + second, np.finfo(np.float64).tiny))
            if mixture is not None and mixture.is_near(before):
                break
        return mixture if mixture is not None and mixture.means_db[0] < mixture.means_db[1] else None

    def is_near(self, other: Mixture) -> bool:
        """Neither mean differs by more than a hundredth of a bin."""
        return max(abs(a - b) for a, b in zip(self.means_db, other.means_db, strict=True)) < STEP_DB / 100

    def densities(self, decibels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share times density of each class."""
        first, second = (
            share / std * np.exp(-0.5 * ((decibels - mean) / std) ** 2)
            for share, mean, std in zip(self.shares, self.means_db, self.stds_db, strict=True)
        )
        return first, second

    @property
    def ashman_d(self) -> float:
        """Distance of the means over the root mean square deviation; 2 or more is two classes (Ashman et al. 1994)."""
        spread = float(np.sqrt((self.stds_db[0] ** 2 + self.stds_db[1] ** 2) / 2))
        return (self.means_db[1] - self.means_db[0]) / spread

    @property
    def boundary_db(self) -> float:
        """Where a pixel is as likely of either class: the minimum-error threshold (Kittler and Illingworth 1986)."""
        grid = np.linspace(*self.means_db, 2001)
        first, second = self.densities(grid)
        return float(grid[np.argmin(np.abs(np.log(np.maximum(first, 1e-300)) - np.log(np.maximum(second, 1e-300))))])

    def log_odds_slope(self, decibels: float) -> float:
        """How fast the log odds of the dark class fall there, per dB brighter."""
        dark, bright = ((decibels - mean) / std**2 for mean, std in zip(self.means_db, self.stds_db, strict=True))
        return dark - bright


def _moments(counts: NDArray[np.int64], dark: NDArray[np.float64]) -> Mixture | None:
    """The mixture whose dark class holds the share ``dark`` of each bin."""
    shares, means, stds = [], [], []
    for part in (counts * dark, counts * (1.0 - dark)):
        weight = float(part.sum())
        if weight < 1.0:
            return None
        mean = float((part * CENTRES).sum() / weight)
        shares.append(weight / float(counts.sum()))
        means.append(mean)
        stds.append(max(float(np.sqrt((part * (CENTRES - mean) ** 2).sum() / weight)), NARROWEST_DB))
    return Mixture((shares[0], shares[1]), (means[0], means[1]), (stds[0], stds[1]))
