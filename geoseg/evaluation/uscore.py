"""U-Score: accuracy and efficiency in one number (U-Bench, Tang et al. 2025, arXiv 2510.07041).

As the authors' own calculator computes it (``index.html`` of github.com/FengheTan9/ubench, read in full; the paper's
text was not at hand)::

    a = up(IoU)                      between the 10th and 90th percentile of the models compared on a data set
    p = down(ln parameters)          10th and 90th percentile of ln(millions):          0.39, 4.32
    g = down(ln multiply-adds)       10th and 90th percentile of ln(thousand millions): 0.88, 4.20
    s = up(chips per second)         10th and 90th percentile: 24.28, 121.63 on their GPU

    up(x)   = (x - low) / (high - low), held to 0.05..1
    down(x) = (high - x) / (high - low), held to 0.05..1
    E = 3 / (1/p + 1/g + 1/s)        harmonic mean, equal weights
    U = 100 * 2 / (1/a + 1/E)        harmonic mean of accuracy and efficiency

What differs here, and must: the percentiles of IoU and of speed are those of the models in the table, because theirs
are of medical data sets and of their machine. So a U-Score says who does best within one table, and a number from one
table must not stand beside one from another. Their size anchors are kept. That what they call FLOPs are multiply-adds
is inferred from the value they print for U-Net (65.5 for 34.5 M parameters), not stated by them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FLOOR = 0.05
LOG_PARAMETERS = (0.39, 4.32)
LOG_MULTIPLY_ADDS = (0.88, 4.20)
SIDE_PX = 256
"""Side of the chip that multiply-adds and speed are stated for."""
FEWEST = 3
"""Fewest models for percentiles among them."""

Anchors = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ModelCost:
    """Computing cost and IoU of a model.

    Attributes:
        iou: IoU of class 1, 0 to 1.
        parameters_m: Parameters in millions; 0 for a baseline.
        multiply_adds_g: Multiply-adds in thousand millions for a chip of 256 x 256; 0 for a baseline.
        chips_per_second: Chips of 256 x 256.
    """

    iou: float
    parameters_m: float
    multiply_adds_g: float
    chips_per_second: float


def u_score(model: ModelCost, iou: Anchors, speed: Anchors) -> float:
    """Compute the U-Score, 0 to 100.

    Args:
        model: Cost and IoU of the model.
        iou: 10th and 90th percentile of IoU among the models it is compared with.
        speed: Likewise of chips per second.

    Returns:
        NaN where the IoU is.
    """
    if math.isnan(model.iou):
        return float("nan")
    accuracy = _clamped((model.iou - iou[0]) / _width(iou))
    parts = (
        _down(model.parameters_m, LOG_PARAMETERS),
        _down(model.multiply_adds_g, LOG_MULTIPLY_ADDS),
        _clamped((model.chips_per_second - speed[0]) / _width(speed)),
    )
    efficiency = len(parts) / sum(1 / part for part in parts)
    return 100 * 2 / (1 / accuracy + 1 / efficiency)


def u_scores(costs_of: Mapping[str, ModelCost]) -> dict[str, float]:
    """Compute the U-Score of every model of a table, by name; NaN for all where fewer than three have an IoU."""
    known = [each for each in costs_of.values() if not math.isnan(each.iou)]
    if len(known) < FEWEST:
        return dict.fromkeys(costs_of, float("nan"))
    iou = _percentiles([each.iou for each in known])
    speed = _percentiles([each.chips_per_second for each in known])
    return {name: u_score(each, iou, speed) for name, each in costs_of.items()}


def _percentiles(values: Sequence[float]) -> Anchors:
    low, high = np.percentile(values, [10, 90])
    return float(low), float(high)


def _down(value: float, anchors: Anchors) -> float:
    """Score a size, less is better; a baseline has neither parameters nor multiply-adds, and gets 1."""
    if value <= 0:
        return 1.0
    return _clamped((anchors[1] - math.log(value)) / _width(anchors))


def _width(anchors: Anchors) -> float:
    return max(anchors[1] - anchors[0], 1e-12)


def _clamped(value: float) -> float:
    return min(max(value, FLOOR), 1.0)
