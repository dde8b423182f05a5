"""MNDWI: green against the shortwave infrared at 1.6 micrometres (Xu 2006, doi 10.1080/01431160600589179).

Built-up land and bare soil are bright at 1.6 micrometres, where NDWI takes them for water.
"""

from __future__ import annotations

from collections.abc import Mapping

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.baseline import Floats
from geoseg.models.classical.pointwise import Pointwise, normalised_difference


class Mndwi(Pointwise):
    """(green - swir16) / (green + swir16) of reflectance; open water above 0."""

    def __init__(self, card: ModelCard, *, threshold: float = 0.0, steepness: float = 20.0) -> None:
        super().__init__(card, threshold=threshold, steepness=steepness)

    def score(self, bands: Mapping[str, Floats]) -> Floats:
        """The index, -1..1."""
        return normalised_difference(bands["green"], bands["swir16"])
