"""AWEI, the automated water extraction index (Feyisa et al. 2014, doi 10.1016/j.rse.2013.08.029)."""

from __future__ import annotations

from collections.abc import Mapping

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.baseline import Floats
from geoseg.models.classical.pointwise import Pointwise


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

    def score(self, bands: Mapping[str, Floats]) -> Floats:
        """AWEIsh or AWEInsh, about -5..5.

        AWEIsh = blue + 2.5 green - 1.5 (nir + swir16) - 0.25 swir22
        AWEInsh = 4 (green - swir16) - 0.25 nir - 2.75 swir22
        """
        if self.shadow:
            total = bands["green"] * 2.5
            total += bands["blue"]
            weighed = {"nir": 1.5, "swir16": 1.5, "swir22": 0.25}
        else:
            total = bands["green"] - bands["swir16"]
            total *= 4.0
            weighed = {"nir": 0.25, "swir22": 2.75}
        for band, weight in weighed.items():
            total -= bands[band] * weight
        return total
