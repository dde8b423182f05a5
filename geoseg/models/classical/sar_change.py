"""SAR change: backscatter that dropped by more than speckle can, and is dark now.

A flood turns rough land into a mirror that reflects the radar away. The drop alone also shows harvests and melting
snow; kept only where the later image is as dark as open water, it shows new water (the ratio-and-threshold practice of
Clement, Kilsby and Moore 2018, doi 10.1111/jfr3.12303, and of UN-SPIDER).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geoseg.catalog.cards import BEFORE, ModelCard
from geoseg.models.classical.baseline import Floats
from geoseg.models.classical.pointwise import Pointwise


class SarChange(Pointwise):
    """New water: ``before - now`` above a drop, and ``now`` below a ceiling, whichever is the less certain.

    Args:
        card: Names the band and the same band ``before.``.
        drop_db: Least fall of backscatter, dB.
        dark_db: Backscatter above which nothing is open water, dB.
        steepness: Logits per dB.
    """

    def __init__(
        self, card: ModelCard, *, drop_db: float = 3.0, dark_db: float = -13.0, steepness: float = 1.5
    ) -> None:
        super().__init__(card, threshold=0.0, steepness=steepness)
        self.band = next(band for band in card.bands if not band.startswith(BEFORE))
        self.drop_db = drop_db
        self.dark_db = dark_db

    def score(self, bands: Mapping[str, Floats]) -> Floats:
        """Decibels by which the nearer of the two conditions is met; negative where one is not."""
        now, before = bands[self.band], bands[BEFORE + self.band]
        fell = before - now
        fell -= self.drop_db
        np.minimum(fell, self.dark_db - now, out=fell)
        return fell
