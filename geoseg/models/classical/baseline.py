"""Define the base class of baselines: a computation in numpy, callable with tensors too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import ModelCard
from geoseg.models.input_checks import check_bands, check_pixels
from geoseg.models.protocol import Chips

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]


class Baseline(ABC):
    """A model without weights.

    Args:
        card: Names the bands, in the order that ``array_logits`` takes them.
    """

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    @abstractmethod
    def array_logits(self, pixels: Floats) -> Floats:
        """Compute logits; see :class:`geoseg.models.protocol.ArrayModel`. Any value where a pixel is not valid."""

    def logits(self, chips: Chips) -> Tensor:
        """See :class:`geoseg.models.protocol.SegmentationModel`; NaN where any band is NaN or infinite."""
        import torch  # here, and not above: a map with a baseline loads no torch

        check_bands(chips.bands, self.card)
        pixels = np.asarray(chips.pixels.detach().cpu())
        check_pixels(pixels, self.card)
        logits = self.array_logits(pixels)
        logits[~np.isfinite(pixels).all(axis=1)] = np.nan
        return torch.from_numpy(logits).unsqueeze(1)
