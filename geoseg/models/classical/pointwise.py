"""What the pixel-by-pixel baselines share: a score, a threshold, and a logistic between them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.baseline import Baseline, Floats

DARKEST = 1e-4
"""Reflectance below this counts as this, one digital number. Atmospheric correction leaves small negatives over dark
water, and a ratio of differences would turn its sign over there."""

STRIP_PX = 2**16
"""Pixels that are computed at a time: what a formula makes on its way stays in the processor's cache."""


class Pointwise(Baseline):
    """A score per pixel; water where it exceeds a threshold.

    The logit is ``steepness * (score - threshold)``: it grows with certainty, and is no calibrated probability.

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
        """The score, a new float32 array, of bands (y, x) by name; NaN where one it reads is NaN."""

    def array_logits(self, pixels: Floats) -> Floats:
        """See :class:`geoseg.models.protocol.ArrayModel`."""
        count, _, height, width = pixels.shape
        logits = np.empty((count, height, width), np.float32)
        rows = max(1, STRIP_PX // width)
        for chip, answer in zip(pixels, logits, strict=True):
            for top in range(0, height, rows):
                strip = slice(top, top + rows)
                score = self.score(dict(zip(self.card.bands, chip[:, strip], strict=True)))
                score -= self.threshold
                np.multiply(score, self.steepness, out=answer[strip])
        return logits


def normalised_difference(plus: Floats, minus: Floats) -> Floats:
    """(plus - minus) / (plus + minus) of reflectances, -1..1, as a new array; both dark gives 0."""
    plus, minus = np.maximum(plus, DARKEST), np.maximum(minus, DARKEST)
    total = plus + minus
    plus -= minus
    plus /= total
    return plus
