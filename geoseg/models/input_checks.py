"""The check at every model's door: the right bands, in the right order, in the right unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import ModelCard
from geoseg.catalog.sensors import Unit
from geoseg.errors import BandMismatchError, InputRangeError
from geoseg.models.protocol import Chips

PLAUSIBLE: dict[Unit, tuple[float, float]] = {"reflectance": (-0.5, 2.5), "dB": (-70.0, 45.0), "unitless": (0.0, 1.0)}
"""What most pixels must lie in. Wide: a chip may be nothing but sun glint, or nothing but radar shadow."""

POWER_CEILING = 2.0
"""Linear backscatter of nearly every pixel lies between 0 and this; a chip all of whose dB do is none."""

ENOUGH_PX = 256
"""Fewer observed values than this prove nothing."""

SAMPLE_EVERY = 7
"""Rows and columns looked at: one in so many, and no power of two, which would beat with the bands of sensors."""


def check_chips(chips: Chips, card: ModelCard) -> None:
    """Refuse chips that are not what a card says its model reads.

    Raises:
        BandMismatchError: Other bands, another order, or as many names as there are planes.
        InputRangeError: Most pixels cannot be in the card's unit.
    """
    check_bands(chips.bands, card)
    check_pixels(chips.pixels, card)


def check_bands(bands: tuple[str, ...], card: ModelCard) -> None:
    """Refuse other bands than a card's, or another order.

    Raises:
        BandMismatchError: They are.
    """
    if bands != card.bands:
        raise BandMismatchError(
            f"{card.name} reads {', '.join(card.bands)} in that order, not {', '.join(bands) or 'no bands'}."
        )


def check_pixels(pixels: Any, card: ModelCard) -> None:
    """Refuse pixels that are not what a card says its model reads.

    Args:
        pixels: float32 (batch, band, y, x), an array or a tensor, wherever it lies; a sample of it is looked at.
        card: Of the model.

    Raises:
        BandMismatchError: As many planes as the card has bands are wanted.
        InputRangeError: Most pixels cannot be in the card's unit.
    """
    if pixels.ndim != 4 or pixels.shape[1] != len(card.bands):
        raise BandMismatchError(
            f"{card.name} reads chips (batch, {len(card.bands)}, y, x), and was given {tuple(pixels.shape)}."
        )
    sample = _sample(pixels)
    fault = _fault(sample if isinstance(sample, np.ndarray) else sample.detach().cpu().numpy(), card.unit)
    if fault:
        raise InputRangeError(f"{card.name} reads {card.unit}, but {fault}. Convert the pixels before the model.")


def check_unit(pixels: NDArray[np.float32], unit: Unit, who: str) -> None:
    """Refuse an image whose pixels cannot be in the unit that somebody says they are in.

    Args:
        pixels: float32 (band, y, x), NaN where not observed; a sample of it is looked at.
        unit: As said.
        who: The image, for the message.

    Raises:
        InputRangeError: Most of them cannot.
    """
    if fault := _fault(_sample(pixels), unit):
        raise InputRangeError(f"{who} is said to be in {unit}, but {fault}. Say what it holds, or convert it.")


def _sample(pixels: Any) -> Any:
    step = SAMPLE_EVERY if min(pixels.shape[-2:]) > 16 * SAMPLE_EVERY else 1
    return pixels[..., ::step, ::step]


def _fault(sample: NDArray[np.float32], unit: Unit) -> str | None:
    known = sample[np.isfinite(sample)]
    if known.size < ENOUGH_PX:
        return None
    low, high = PLAUSIBLE[unit]
    outside = float(np.mean((known < low) | (known > high)))
    if outside > 0.5:
        return f"{outside:.0%} of the pixels lie outside {low:g}..{high:g} (half are below {np.median(known):.4g})"
    if unit == "dB" and float(np.mean((known >= 0) & (known < POWER_CEILING))) > 0.95:
        return f"nearly all pixels lie between 0 and {POWER_CEILING:g}, as linear power does"
    return None
