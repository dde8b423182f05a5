"""What the numbers of a mask mean, and how they follow from the probability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog import target
from geoseg.catalog.target import DRY_COLOUR, TargetClass
from geoseg.core.raster_band import NOT_OBSERVED, RGB, RasterBand

DRY = 0
FLOOD = 1
PERMANENT = 2


@dataclass(frozen=True, slots=True)
class MaskClass:
    """One code of a mask.

    Attributes:
        code: Its number.
        key: Its name in records (``flood_pct``...), a word.
        label: Its name for people.
        colour: Red, green, blue, 0..255.
        meaning: One sentence.
    """

    code: int
    key: str
    label: str
    colour: RGB
    meaning: str


_PERMANENT = MaskClass(
    PERMANENT, "permanent", "permanent water", (136, 198, 232), "Observed water that the reference knows as lasting."
)
_NOT_OBSERVED = MaskClass(
    NOT_OBSERVED, "not_observed", "not observed", (190, 190, 190), "Nothing is said here: cloud, shadow, no data."
)
_BY_REFERENCE = replace(
    target.FLOOD,
    description="Observed water where the reference knows none.",
    sentence="Class 1 is flood: water where the reference knows no permanent water.",
)
"""Flood that reference water, and not the model, tells from permanent water."""


@dataclass(frozen=True, slots=True)
class Legend:
    """The codes that one map uses, what they are called and how they are drawn. Every product reads it from here.

    Attributes:
        target: What code 1 is.
        classes: Codes in the order a legend shows them.
    """

    target: TargetClass
    classes: tuple[MaskClass, ...]

    @classmethod
    def of(cls, model_target: TargetClass, *, has_reference: bool) -> Self:
        """The legend of a map.

        Args:
            model_target: What the model's class 1 is.
            has_reference: Reference water is known, so that permanent water can be told from flood.
        """
        permanent = has_reference and model_target.is_water
        one = _BY_REFERENCE if permanent else model_target
        found = MaskClass(FLOOD, one.name, one.name, one.colour, one.description)
        rest = MaskClass(DRY, one.background, one.background_label, DRY_COLOUR, one.background_description)
        return cls(one, (found, *((_PERMANENT,) if permanent else ()), rest, _NOT_OBSERVED))

    def __iter__(self) -> Iterator[MaskClass]:
        """The classes, in legend order."""
        return iter(self.classes)

    @property
    def band(self) -> RasterBand:
        """The legend as a GeoTIFF carries it."""
        return RasterBand(
            description=f"{self.target} mask",
            colours={each.code: each.colour for each in self},
            categories={each.code: each.label for each in self},
        )

    @property
    def sentence(self) -> str:
        """What code 1 is, in words, for every place where someone could take water for flood."""
        return self.target.sentence


PROBABILITY = RasterBand(description="probability of class 1", unit="%")
"""``probability.tif``: whole per cent 0..100, 255 not observed."""


def mask_codes(
    probability_pct: NDArray[np.uint8], permanent: NDArray[np.bool_] | None, threshold_pct: int
) -> NDArray[np.uint8]:
    """The mask of a block.

    A pixel is 1 or 2 exactly where its probability reaches the threshold: 2 on reference water, 1 elsewhere.
    Reference water that the model does *not* see as water stays 0. The map says what was observed that day, and a
    reservoir drawn down, a dry wadi or a river bed that moved are dry; painting the reference over them would
    claim water nobody saw. How much of it there is tells how far model and reference agree: see
    ``area.ClassAreas.reference_seen_pct``.

    Args:
        probability_pct: uint8 (y, x), 0..100, 255 where not observed.
        permanent: bool (y, x), reference water; None: no reference.
        threshold_pct: Per cent, 1..100, from which a pixel is class 1.

    Returns:
        uint8 (y, x): 0 dry, 1 flood or water, 2 permanent water, 255 exactly where the probability is 255.

    Raises:
        ValueError: A probability between 101 and 254, which no stage before makes.
    """
    observed = probability_pct != NOT_OBSERVED
    if np.any((probability_pct > 100) & observed):
        raise ValueError(f"probability holds {int(probability_pct[observed].max())}: it is 0..100, or 255.")
    codes = (probability_pct >= threshold_pct).view(np.uint8)
    if permanent is not None:
        codes = np.where(permanent & (codes == FLOOD), np.uint8(PERMANENT), codes)
    return np.where(observed, codes, np.uint8(NOT_OBSERVED))
