"""Speckle taken out by averaging power over a small square, the simplest filter with no edge to tune."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TO_EXPONENT = math.log(10.0) / 10.0


def multilook(decibels: Tensor, side: int) -> Tensor:
    """Mean power of the observed pixels around each, in dB.

    Args:
        decibels: float32 (batch, y, x), dB, NaN where not observed.
        side: Odd side of the square in pixels; 1 changes nothing.

    Returns:
        float32 (batch, y, x), dB, a new tensor, NaN exactly where ``decibels`` is.
    """
    from torch.nn.functional import avg_pool2d

    if side == 1:
        return decibels.clone()
    power = decibels.mul(TO_EXPONENT).exp_()
    hidden = power.isnan()
    whole = not bool(hidden.any())
    power = power if whole else power.masked_fill_(hidden, 0.0)
    mean = avg_pool2d(power.unsqueeze(1), side, stride=1, padding=side // 2, count_include_pad=False).squeeze(1)
    if not whole:
        seen = (~hidden).to(decibels.dtype).unsqueeze(1)
        mean /= avg_pool2d(seen, side, stride=1, padding=side // 2, count_include_pad=False).squeeze(1)
    return mean.log_().div_(TO_EXPONENT).masked_fill_(hidden, float("nan"))
