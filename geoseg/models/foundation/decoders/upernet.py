"""UPerNet (Xiao et al. 2018): pyramid pooling on the coarsest level, a feature pyramid over all, and one fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoseg.models.foundation.decoders.blocks import ConvNormRelu, PixelHead, fold_blocks, resized
from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.decoders.pyramid import PyramidNeck
from geoseg.models.foundation.protocol import Features

POOLED_TO = (1, 2, 3, 6)


class PyramidPooling(nn.Module):
    """The coarsest map beside its averages over 1, 4, 9 and 36 parts."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(cells), ConvNormRelu(width, channels, 1)) for cells in POOLED_TO
        )
        self.merge = ConvNormRelu(width + len(POOLED_TO) * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, y, x) -> (batch, channels, y, x)."""
        pooled = [resized(pool(x), x, align_corners=True) for pool in self.pools]
        return self.merge(torch.cat([x, *pooled], dim=1))  # type: ignore[no-any-return]


class UPerNet(nn.Module):
    """The decoder proper, over any pyramid.

    Args:
        widths: Channels of each level, finest first.
        channels: Channels inside, and of the output.
    """

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        finer = widths[:-1]
        self.pooling = PyramidPooling(widths[-1], channels)
        self.laterals = nn.ModuleList(ConvNormRelu(width, channels, 1) for width in finer)
        self.smoothers = nn.ModuleList(ConvNormRelu(channels, channels, 3) for _ in finer)
        self.merge = ConvNormRelu(len(widths) * channels, channels, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels (batch, width, y, x), finest first -> (batch, channels, y, x) at the finest."""
        summed = [self.pooling(levels[-1])]
        for level, lateral in zip(reversed(levels[:-1]), reversed(list(self.laterals)), strict=True):
            here = lateral(level)
            summed.insert(0, here + resized(summed[0], here, align_corners=True))
        smooth = [smoother(level) for smoother, level in zip(self.smoothers, summed[:-1], strict=True)]
        fine = [resized(level, summed[0], align_corners=True) for level in [*smooth, summed[-1]]]
        return self.merge(torch.cat(fine, dim=1))  # type: ignore[no-any-return]


class UPerNetDecoder(Decoder):
    """Neck, UPerNet and head. The paper's pair with Prithvi-600M has 256 channels and a head of 128 and 64.

    Args:
        width: Channels of the encoder's maps.
        classes: Channels of the output.
        channels: Channels of UPerNet.
        hidden: Channels of the head's convolutions.
        dropout: Before the last convolution.
    """

    min_grid = 2

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        channels: int = 256,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.neck = PyramidNeck(width)
        self.upernet = UPerNet(self.neck.widths, channels)
        self.head = PixelHead(channels, hidden, classes, dropout)

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Logits at a quarter of a cell; see :class:`Decoder`."""
        return self.head(self.upernet(self.neck(features.maps)))  # type: ignore[no-any-return]

    def fold(self) -> None:
        """Batch normalisation into the convolutions."""
        fold_blocks(self)
