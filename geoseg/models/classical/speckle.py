"""Speckle taken out by averaging power over a small square, the simplest filter with no edge to tune."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TO_EXPONENT = math.log(10.0) / 10.0


def multilook(decibels: Floats, side: int) -> Floats:
    """Mean power of the observed pixels around each, in dB.

    Args:
        decibels: float32 (batch, y, x), dB, NaN where not observed.
        side: Odd side of the square in pixels; 1 changes nothing.

    Returns:
        float32 (batch, y, x), dB, a new array, NaN exactly where ``decibels`` is. An item's result does not depend on
        the others in its batch, to the last bit.
    """
    if side == 1:
        return decibels.copy()
    smooth = np.empty_like(decibels)
    for item, answer in zip(decibels, smooth, strict=True):
        _multilook(item, side, answer)
    return smooth


def _multilook(decibels: Floats, side: int, answer: Floats) -> None:
    power = decibels * TO_EXPONENT
    np.exp(power, out=power)
    hidden = np.isnan(power)
    power[hidden] = 0
    seen = (~hidden).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing was seen around: blank below
        np.divide(_box_sum(power, side), _box_sum(seen, side), out=answer)
        np.log(answer, out=answer)
    answer /= TO_EXPONENT
    answer[hidden] = np.nan


def _box_sum(x: Floats, side: int) -> Floats:
    """Sum over the square around each pixel of (y, x); what lies outside counts as 0."""
    height, width = x.shape
    wide = np.pad(x, side // 2)
    rows = wide[:height].copy()
    for shift in range(1, side):
        rows += wide[shift : shift + height]
    total = rows[:, :width].copy()
    for shift in range(1, side):
        total += rows[:, shift : shift + width]
    return total
