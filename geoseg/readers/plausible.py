"""A check at the door: pixels that are mostly no such quantity were declared in another unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RadiometryUnknownError
from geoseg.readers.access import scrubbed
from geoseg.readers.recipe import BandRecipe, SceneRecipe

Scalar = TypeVar("Scalar", bound=np.generic)

ENOUGH_PX = 1024
"""Fewer observed pixels than this prove nothing: a rim of noise, one roof."""

POWER_CEILING = 2.0
"""Linear backscatter of nearly every pixel is below this. In dB, a rectangle all between 0 and 2 is no landscape."""


def check_power(numbers: NDArray[np.generic], band: BandRecipe, nodata: tuple[float, ...]) -> None:
    """Refuse dB that are said to be linear power: all of it would silently turn into "not observed".

    Args:
        numbers: Digital numbers (y, x), as the file holds them.
        band: The band.
        nodata: Numbers that mean "not observed".

    Raises:
        RadiometryUnknownError: Half of the numbers are below -1; noise alone makes power slightly negative at most.
    """
    known = np.asarray(_sampled(numbers), dtype=np.float32)
    known = known[np.isfinite(known) & ~np.isin(known, np.asarray(nodata, dtype=np.float32))]
    if known.size < ENOUGH_PX or float(np.median(known)) >= -1:
        return
    raise RadiometryUnknownError(
        f"Band {band.name} in {scrubbed(band.href)} is read as linear power, which is never negative, but half is "
        f"below {float(np.median(known)):.4g}. If these are dB, add the file with `geoseg catalog add --units db`."
    )


def _sampled(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Every fourth row and column of a large rectangle: enough to tell units apart."""
    return values[::4, ::4] if values.size > 16 * ENOUGH_PX else values


def check_plausible(recipe: SceneRecipe, bands: Sequence[NDArray[np.float32]]) -> None:
    """Refuse a scene whose numbers are not in the unit they are said to be in.

    Args:
        recipe: The scene.
        bands: float32 (y, x) each, physical units, NaN where not observed.

    Raises:
        RadiometryUnknownError: More than half of the observed pixels lie outside the sensor's valid range, or values in
            dB look like linear power.
    """
    if recipe.unit is None or recipe.valid_range is None:
        return
    for description, values in zip(recipe.bands, bands, strict=True):
        known = _sampled(values)
        known = known[np.isfinite(known)]
        if known.size < ENOUGH_PX:
            continue
        fault = _fault(known, recipe.valid_range, description.conversion.curve == "decibel")
        if fault:
            raise RadiometryUnknownError(
                f"Band {description.name} of scene {recipe.id} is read as {recipe.unit}, but {fault}. "
                "If it is your own file, add it again with the right `geoseg catalog add --units`."
            )


def _fault(known: NDArray[np.float32], valid: tuple[float, float], decibel: bool) -> str | None:
    typical = float(np.median(known))
    outside = float(np.mean((known < valid[0]) | (known > valid[1])))
    if outside > 0.5:
        return f"{outside:.0%} of its pixels lie outside {valid[0]:g}..{valid[1]:g} (half are below {typical:.4g})"
    if decibel and float(np.mean((known >= 0) & (known < POWER_CEILING))) > 0.95:
        return f"nearly all its pixels lie between 0 and {POWER_CEILING:g}, as linear power does"
    return None
