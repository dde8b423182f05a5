"""What a decoder is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from geoseg.models.foundation.protocol import Features


class Decoder(nn.Module, ABC):
    """Turns an encoder's maps into logits of any resolution; the network brings them to the image's size.

    Attributes:
        levels: How many maps it wants; the network taps the deepest ones.
        min_grid: Smallest number of cells per side that it can work with.
    """

    levels: int = 4
    min_grid: int = 1

    @abstractmethod
    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Logits.

        Args:
            features: ``levels`` maps, the deepest last.
            image: (batch, band, y, x), normalised and padded to whole cells, for decoders that look at it again.

        Returns:
            float32 (batch, class, y, x), covering exactly what ``image`` covers.
        """

    def fold(self) -> None:
        """Merge what can be merged once weights no longer change; the outputs stay the same but for rounding."""
