"""NDWI: green against near infrared (McFeeters 1996, doi 10.1080/01431169608948714)."""

from __future__ import annotations

from collections.abc import Mapping

from geoseg.catalog.cards import ModelCard
from geoseg.models.classical.baseline import Floats
from geoseg.models.classical.pointwise import Pointwise, normalised_difference


class Ndwi(Pointwise):
    """(green - nir) / (green + nir) of reflectance; open water above 0."""

    def __init__(self, card: ModelCard, *, threshold: float = 0.0, steepness: float = 20.0) -> None:
        super().__init__(card, threshold=threshold, steepness=steepness)

    def score(self, bands: Mapping[str, Floats]) -> Floats:
        """The index, -1..1."""
        return normalised_difference(bands["green"], bands["nir"])
