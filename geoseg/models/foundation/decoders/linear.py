"""One linear layer on the last map: what the features say by themselves."""

from __future__ import annotations

from torch import Tensor, nn

from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.protocol import Features


class LinearDecoder(Decoder):
    """A 1x1 convolution to the classes.

    Args:
        width: Channels of the encoder's maps.
        classes: Channels of the output.
    """

    levels = 1

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Logits at one per cell; see :class:`Decoder`."""
        return self.head(features.maps[-1])  # type: ignore[no-any-return]
