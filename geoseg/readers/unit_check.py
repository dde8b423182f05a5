"""A check at the door: pixels that are mostly no such quantity were declared in another unit."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RadiometryUnknownError
from geoseg.readers.access import redact
from geoseg.readers.read_spec import BandReadSpec

Scalar = TypeVar("Scalar", bound=np.generic)

ENOUGH_PX = 1024
"""Fewer observed pixels than this prove nothing: a rim of noise, one roof."""

POWER_CEILING = 2.0
"""Linear backscatter of nearly every pixel is below this. In dB, a rectangle all between 0 and 2 is no landscape."""


def check_power(values: NDArray[np.float32], band: BandReadSpec) -> None:
    """Refuse dB that are said to be linear power: all of it would silently turn into "not observed".

    Args:
        values: float32 (y, x) on the file's own scale, NaN where not observed.
        band: The band.

    Raises:
        RadiometryUnknownError: Half of the numbers are below -1; noise alone makes power slightly negative at most.
    """
    if band.conversion.quantity != "power":
        return
    known = _without_fill(_known(values), (0, np.inf))
    if known.size < ENOUGH_PX or float(np.median(known)) >= -1:
        return
    raise RadiometryUnknownError(
        f"Band {band.name} in {redact(band.href)} is read as linear power, which is never negative, but half is "
        f"below {float(np.median(known)):.4g}. If these are dB, add the file with `geoseg catalog add --units db`."
    )


def _sampled(values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Every fourth row and column of a large rectangle: enough to tell units apart."""
    return values[::4, ::4] if values.size > 16 * ENOUGH_PX else values


def _known(values: NDArray[np.float32]) -> NDArray[np.float32]:
    sampled = _sampled(values)
    return sampled[np.isfinite(sampled)]


def _without_fill(known: NDArray[np.float32], valid: tuple[float, float]) -> NDArray[np.float32]:
    """Without the one impossible number that occurs most: fill is one number, and a wrong unit makes many of them.

    So a tile that is all fill says as little about the unit as a tile without any.
    """
    numbers, counts = np.unique(known[(known < valid[0]) | (known > valid[1])], return_counts=True)
    return known[known != numbers[counts.argmax()]] if numbers.size else known


def check_plausible(values: NDArray[np.float32], band: BandReadSpec) -> None:
    """Refuse a band whose numbers are not in the unit they are said to be in.

    Args:
        values: float32 (y, x) on the file's own scale, before anything outside the valid range is taken out; NaN where
            not observed.
        band: The band.

    Raises:
        RadiometryUnknownError: More than half of the observed pixels lie outside the sensor's valid range, or values in
            dB look like linear power.
    """
    if band.unit is None or band.valid_range is None:
        return
    known = _known(values)
    if band.conversion.quantity == "power":
        known = 10 * np.log10(known[known > 0])
    known = _without_fill(known, band.valid_range)
    if known.size < ENOUGH_PX:
        return
    fault = _fault(known, band.valid_range, band.conversion.quantity == "db")
    if fault:
        raise RadiometryUnknownError(
            f"Band {band.name} in {redact(band.href)} is read as {band.unit}, but {fault}. "
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
