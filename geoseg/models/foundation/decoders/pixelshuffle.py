"""Clay's segmentation head: convolutions on the cells, one that writes every pixel of a cell, one over the pixels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.models.foundation.decoders.blocks import ConvNormRelu, fold_blocks
from geoseg.models.foundation.decoders.fused_shuffle import FusedShuffle
from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.protocol import Features


class BiasedConvNormRelu(ConvNormRelu):
    """With the bias that batch normalisation makes redundant: Clay's head has it, and it counts."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__(channels_in, channels_out, kernel)
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)


class ShuffleTail(nn.Module):
    """Convolution, pixel shuffle, convolution, with nothing nonlinear between them."""

    def __init__(self, hidden: int, fine: int, classes: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.spread = nn.Conv2d(hidden, fine * patch**2, 3, padding=1)
        self.out = nn.Conv2d(fine, classes, 3, padding=1)

    def forward(self, cells: Tensor) -> Tensor:
        """(batch, hidden, y, x) -> (batch, class, patch*y, patch*x)."""
        return self.out(F.pixel_shuffle(self.spread(cells), self.patch))  # type: ignore[no-any-return]


class PixelShuffleDecoder(Decoder):
    """Convolutions on the last map, then a pixel shuffle to full resolution.

    Args:
        width: Channels of the encoder's maps.
        classes: Channels of the output.
        patch: Side of a cell in pixels.
        hidden: Channels on the cells.
        fine: Channels on the pixels.
    """

    levels = 1

    def __init__(self, width: int, classes: int, *, patch: int, hidden: int = 512, fine: int = 64) -> None:
        super().__init__()
        self.mix = nn.Sequential(BiasedConvNormRelu(width, hidden, 3), BiasedConvNormRelu(hidden, hidden, 3))
        self.tail: nn.Module = ShuffleTail(hidden, fine, classes, patch)

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Logits at full resolution; see :class:`Decoder`."""
        return self.tail(self.mix(features.maps[-1]))  # type: ignore[no-any-return]

    def fold(self) -> None:
        """Batch normalisation into the convolutions, and the tail into one convolution on the cells."""
        fold_blocks(self)
        if isinstance(self.tail, ShuffleTail):
            self.tail = FusedShuffle.of(self.tail.spread, self.tail.out, self.tail.patch)
