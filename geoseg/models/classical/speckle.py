"""Reduce speckle by multilooking: the mean power of a small square."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TO_EXPONENT = math.log(10.0) / 10.0


def multilook(decibels: Floats, side: int) -> Floats:
    """Average the power of the observed pixels around each pixel (multilook).

    Args:
        decibels: float32 (batch, y, x), dB, NaN or infinite where not observed.
        side: Odd side of the square in pixels; 1 changes nothing.

    Returns:
        float32 (batch, y, x), dB, a new array, NaN exactly where ``decibels`` is not finite. An item's
        result does not depend on the others in its batch, to the last bit.
    """
    if side == 1:
        return np.where(np.isfinite(decibels), decibels, np.float32(np.nan))
    smooth = np.empty_like(decibels)
    for item, answer in zip(decibels, smooth, strict=True):
        _multilook(item, side, answer)
    return smooth


def _multilook(decibels: Floats, side: int, answer: Floats) -> None:
    valid = np.isfinite(decibels)
    power = decibels * TO_EXPONENT
    power[~valid] = 0
    np.exp(power, out=power)
    power[~valid] = 0
    valid_px = valid.astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):  # no valid pixel around: NaN below
        np.divide(_box_sum(power, side), _box_sum(valid_px, side), out=answer)
        np.log(answer, out=answer)
    answer /= TO_EXPONENT
    answer[~valid] = np.nan


def _box_sum(x: Floats, side: int) -> Floats:
    """Sum over the square around each pixel of (y, x); pixels outside the array count as 0."""
    height, width = x.shape
    wide = np.pad(x, side // 2)
    rows = wide[:height].copy()
    for shift in range(1, side):
        rows += wide[shift : shift + height]
    total = rows[:, :width].copy()
    for shift in range(1, side):
        total += rows[:, shift : shift + width]
    return total
