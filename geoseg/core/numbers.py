"""Tell numbers that float64 holds from those that it does not: JSON's integers know no bounds."""

from __future__ import annotations

import math
from typing import Any

LARGEST = 1.7e308


def finite(value: object) -> float | None:
    """Convert a number to float; None for NaN, infinity, integers beyond float, booleans and everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) > LARGEST:
        return None
    return float(value) if math.isfinite(value) else None


def first_beyond_float(document: Any) -> int | None:
    """Find an integer beyond float64 anywhere in a JSON document."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
            return value
    return None
