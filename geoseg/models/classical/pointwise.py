"""Threshold a score per pixel: the base class of the spectral indices and of SAR change."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.baseline import Baseline, Floats

DARKEST = 1e-4
"""Lowest reflectance in a ratio, one digital number; lower values are raised to it.

Atmospheric correction leaves small negatives over dark water, where they would change the sign of a normalised
difference.
"""

STRIP_PX = 2**16
"""Pixels computed at a time, so that intermediate arrays stay in the processor's cache."""


class Pointwise(Baseline):
    """A score per pixel; water where it exceeds a threshold.

    The logit is ``steepness * (score - threshold)``: it grows with certainty, and is not a calibrated probability.

    Args:
        card: Names the bands in the order that ``score`` takes them.
        threshold: In the score's unit.
        steepness: Logits per unit of score.
    """

    def __init__(self, card: ModelCard, *, threshold: float, steepness: float) -> None:
        super().__init__(card)
        self.threshold = threshold
        self.steepness = steepness

    @abstractmethod
    def score(self, bands: Mapping[str, Floats]) -> Floats:
        """Compute the score, a new float32 array, from bands (y, x) by name; any value where one is not finite."""

    def array_logits(self, pixels: Floats) -> Floats:
        """See :class:`geoseg.models.protocol.ArrayModel`."""
        count, _, height, width = pixels.shape
        logits = np.empty((count, height, width), np.float32)
        rows = max(1, STRIP_PX // width)
        with np.errstate(invalid="ignore", over="ignore"):  # of pixels that are not valid
            for chip, answer in zip(pixels, logits, strict=True):
                for top in range(0, height, rows):
                    strip = slice(top, top + rows)
                    score = self.score(dict(zip(self.card.bands, chip[:, strip], strict=True)))
                    score -= self.threshold
                    np.multiply(score, self.steepness, out=answer[strip])
        return logits


def normalised_difference(plus: Floats, minus: Floats) -> Floats:
    """Compute (plus - minus) / (plus + minus) of reflectances, -1..1, as a new array; 0 where both are dark."""
    plus, minus = np.maximum(plus, DARKEST), np.maximum(minus, DARKEST)
    total = plus + minus
    plus -= minus
    plus /= total
    return plus
