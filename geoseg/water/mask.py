"""Turn probability into mask codes, strip by strip, and count their areas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.inference.layers import ByteLayer, Window
from geoseg.water.areas import AreaCounter, ClassAreas, aoi_mask
from geoseg.water.codes import FLOOD, mask_codes
from geoseg.water.reference import WaterMask

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

KnownWater = Callable[[Window], WaterMask]
"""Permanent water in a window of the grid."""


@dataclass(frozen=True, slots=True)
class AreaOfInterest:
    """What was asked for.

    Attributes:
        geojson: Geometry (WGS 84) as text.
        blank_outside: Every layer is 255 outside it.
    """

    geojson: str
    blank_outside: bool = False


@dataclass(frozen=True, slots=True)
class MaskRule:
    """How a pixel becomes a code.

    Attributes:
        threshold_pct: Per cent from which a pixel is class 1.
        known: Permanent water; None: every water pixel is class 1.
    """

    threshold_pct: int
    known: KnownWater | None = None


@dataclass(frozen=True, slots=True)
class MaskSummary:
    """What a mask came to.

    Attributes:
        areas: Pixels and areas of each code in the area of interest.
        reference_px: Mapped pixels where it is known whether there is permanent water.
        unknown_reference_px: Pixels of class 1 in the area of interest where it is unknown.
    """

    areas: ClassAreas
    reference_px: int
    unknown_reference_px: int


def fill_mask(
    mask: ByteLayer, others: tuple[ByteLayer, ...], geobox: GeoBox, area: AreaOfInterest, rule: MaskRule
) -> MaskSummary:
    """Fill the mask from the probability, and count it within the area that was asked for.

    A box in degrees is not a rectangle in UTM: the grid's corners reach beyond it. They are mapped, and not counted.

    Args:
        mask: Filled here with codes.
        others: Layers on the same grid, the probability (per cent, 255 not observed) first.
        geobox: Their grid.
        area: What is counted.
        rule: How codes follow from the probability.
    """
    counter, reference_px, unknown_px = AreaCounter(geobox), 0, 0
    for window, probability in others[0].blocks():
        inside = aoi_mask(area.geojson, geobox, window)
        reference = rule.known(window) if rule.known else None
        codes = mask_codes(probability, reference.water if reference else None, rule.threshold_pct)
        if area.blank_outside and not inside.all():
            codes[~inside] = NOT_OBSERVED
            for layer in others:
                rows = layer.read(window)
                rows[~inside] = NOT_OBSERVED
                layer.write(window[0].start, rows)
        if reference is not None:
            reference_px += int(np.count_nonzero(reference.known & inside if area.blank_outside else reference.known))
            unknown_px += int(np.count_nonzero(inside & (codes == FLOOD) & ~reference.known))
        mask.write(window[0].start, codes)
        counter.add(window, codes, inside, reference.water if reference else None)
    return MaskSummary(counter.total(), reference_px, unknown_px)
