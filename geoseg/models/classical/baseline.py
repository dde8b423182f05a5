"""What every baseline is: a computation in numpy, which a caller who holds tensors may ask as well."""

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
        """See :class:`geoseg.models.protocol.ArrayModel`; ``pixels`` are in the card's bands and unit."""

    def logits(self, chips: Chips) -> Tensor:
        """See :class:`geoseg.models.protocol.SegmentationModel`."""
        import torch  # whoever has tensors has paid for it; a map by a threshold need not

        check_bands(chips.bands, self.card)
        pixels = np.asarray(chips.pixels.detach().cpu())
        check_pixels(pixels, self.card)
        return torch.from_numpy(self.array_logits(pixels)).unsqueeze(1)
