"""AWEI, the automated water extraction index (Feyisa et al. 2014, doi 10.1016/j.rse.2013.08.029)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.pointwise import Pointwise
from geoseg.models.registry import baseline

if TYPE_CHECKING:
    from torch import Tensor


@baseline("awei")
class Awei(Pointwise):
    """A fixed sum of reflectances; open water above 0.

    Args:
        card: Names the bands.
        shadow: True: AWEIsh, which also rejects shadow; False: AWEInsh, for scenes without it, which needs no blue.
        threshold: The paper's is 0.
        steepness: Logits per unit of the sum.
    """

    def __init__(
        self, card: ModelCard, *, shadow: bool = True, threshold: float = 0.0, steepness: float = 20.0
    ) -> None:
        super().__init__(card, threshold=threshold, steepness=steepness)
        self.shadow = shadow

    def score(self, bands: Mapping[str, Tensor]) -> Tensor:
        """AWEIsh or AWEInsh, about -5..5.

        AWEIsh = blue + 2.5 green - 1.5 (nir + swir16) - 0.25 swir22
        AWEInsh = 4 (green - swir16) - 0.25 nir - 2.75 swir22
        """
        if self.shadow:
            total = bands["blue"].add(bands["green"], alpha=2.5)
            total.sub_(bands["nir"], alpha=1.5).sub_(bands["swir16"], alpha=1.5)
            return total.sub_(bands["swir22"], alpha=0.25)
        total = bands["green"].sub(bands["swir16"]).mul_(4.0)
        return total.sub_(bands["nir"], alpha=0.25).sub_(bands["swir22"], alpha=2.75)
