"""What the pixel-by-pixel baselines share: a score, a threshold, and a logistic between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from geoseg.catalog.cards import ModelCard
from geoseg.models.protocol import Chips
from geoseg.models.units import check_chips

if TYPE_CHECKING:
    from torch import Tensor

DARKEST = 1e-4
"""Reflectance below this counts as this, one digital number. Atmospheric correction leaves small negatives over dark
water, and a ratio of differences would turn its sign over there."""


class Pointwise(ABC):
    """A score per pixel; water where it exceeds a threshold.

    The logit is ``steepness * (score - threshold)``: it grows with certainty, and is no calibrated probability.

    Args:
        card: Names the bands in the order that ``score`` takes them.
        threshold: In the score's unit.
        steepness: Logits per unit of score.
    """

    def __init__(self, card: ModelCard, *, threshold: float, steepness: float) -> None:
        self.card = card
        self.threshold = threshold
        self.steepness = steepness

    @abstractmethod
    def score(self, bands: Mapping[str, Tensor]) -> Tensor:
        """The score, a new float32 tensor, of bands (batch, y, x) by name; NaN where one it reads is NaN."""

    def logits(self, chips: Chips) -> Tensor:
        """See :class:`geoseg.models.protocol.SegmentationModel`."""
        check_chips(chips, self.card)
        score = self.score(dict(zip(chips.bands, chips.pixels.unbind(1), strict=True)))
        return score.sub_(self.threshold).mul_(self.steepness).unsqueeze(1)


def normalised_difference(plus: Tensor, minus: Tensor) -> Tensor:
    """(plus - minus) / (plus + minus) of reflectances, -1..1, as a new tensor; both dark gives 0."""
    plus, minus = plus.clamp(min=DARKEST), minus.clamp(min=DARKEST)
    total = plus + minus
    return plus.sub_(minus).div_(total)
