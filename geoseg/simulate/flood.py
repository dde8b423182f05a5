"""Water rises from where it comes from and fills what it can reach."""

from __future__ import annotations

import numpy as np

from geoseg.simulate.grid import Floats, Mask


def reached(low: Mask, source: Mask) -> Mask:
    """The part of ``low`` that is connected (by sides, not corners) to ``source``, and the source itself.

    Args:
        low: bool (rows, cols), ground that water would cover if it got there.
        source: bool (rows, cols), where water comes from.

    Returns:
        bool (rows, cols).
    """
    from scipy.ndimage import label

    parts, count = label(low | source)
    wet = np.zeros(count + 1, dtype=np.bool_)
    wet[np.unique(parts[source])] = True
    wet[0] = False
    return np.asarray(wet[parts])


def fill(hand_m: Floats, source: Mask, stage_m: float) -> Floats:
    """Depth of the water once the river stands ``stage_m`` above its normal level.

    Ground counts as flooded where it lies below the stage **and** a path of such ground leads to the source: a
    hollow behind a dike stays dry. Deeper stages never dry anything.

    Args:
        hand_m: float32 (rows, cols), height above the nearest drainage's normal level, metres.
        source: bool (rows, cols), channels and sea.
        stage_m: Rise above the normal level; 0 gives the water of normal times.

    Returns:
        float32 (rows, cols), metres, 0 where dry.
    """
    low = hand_m < stage_m
    wet = reached(low, source & low)
    return np.where(wet, stage_m - hand_m, 0).astype(np.float32)
