"""From probability to mask, strip by strip, counting as it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from geoseg.inference.layers import ByteLayer, Window
from geoseg.water.areas import AreaCounter, ClassAreas, aoi_mask
from geoseg.water.codes import NOT_OBSERVED, mask_codes
from geoseg.water.reference import WaterMask

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

KnownWater = Callable[[Window], WaterMask]
"""Permanent water in a window of the grid."""


def fill_mask(
    mask: ByteLayer,
    others: tuple[ByteLayer, ...],
    geobox: GeoBox,
    *,
    threshold_pct: int,
    known: KnownWater | None = None,
    area: str,
    blank_outside: bool = False,
) -> tuple[ClassAreas, int]:
    """Fill the mask from the probability, and count it within the area that was asked for.

    A box in degrees is no rectangle in UTM: the grid's corners reach beyond it. They are mapped, being there, and not
    counted. Outside the polygons of an AOI every layer is blank.

    Args:
        mask: Filled here with codes.
        others: Layers on the same grid, the probability (per cent, 255 not observed) first.
        geobox: Their grid.
        threshold_pct: Per cent from which a pixel is class 1.
        known: Permanent water; None: every water pixel is class 1.
        area: What was asked for, a GeoJSON geometry (WGS 84) as text.
        blank_outside: Say nothing outside ``area``.

    Returns:
        What the mask comes to, and how many of its water pixels lie where the reference says nothing.
    """
    tally, undecided = AreaCounter(geobox), 0
    for window, probability in others[0].blocks():
        inside = aoi_mask(area, geobox, window)
        reference = known(window) if known else None
        codes = mask_codes(probability, reference.water if reference else None, threshold_pct)
        if blank_outside and not inside.all():
            codes[~inside] = NOT_OBSERVED
            for layer in others:
                rows = layer.read(window)
                rows[~inside] = NOT_OBSERVED
                layer.write(window[0].start, rows)
        if reference is not None:
            undecided += int(np.count_nonzero((codes == 1) & ~reference.known))
        mask.write(window[0].start, codes)
        tally.add(window, codes, inside, reference.water if reference else None)
    return tally.total(), undecided
