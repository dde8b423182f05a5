"""A light feature pyramid (Lin et al. 2017; the sum over levels is Kirillov et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.models.foundation.decoders.blocks import ConvNormRelu, fold_blocks, resized
from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.decoders.pyramid import PyramidNeck
from geoseg.models.foundation.protocol import Features


class FpnDecoder(Decoder):
    """Neck, top-down pyramid, and the sum of its levels.

    Args:
        width: Channels of the encoder's maps.
        classes: Channels of the output.
        channels: Channels of the pyramid.
    """

    min_grid = 2

    def __init__(self, width: int, classes: int, *, channels: int = 128) -> None:
        super().__init__()
        self.neck = PyramidNeck(width)
        self.laterals = nn.ModuleList(nn.Conv2d(level, channels, 1) for level in self.neck.widths)
        self.smoothers = nn.ModuleList(ConvNormRelu(channels, channels, 3) for _ in self.neck.widths)
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Logits at a quarter of a cell; see :class:`Decoder`."""
        sides = [lateral(level) for lateral, level in zip(self.laterals, self.neck(features.maps), strict=True)]
        summed = [sides[-1]]
        for side in reversed(sides[:-1]):
            summed.insert(0, side + resized(summed[0], side, align_corners=False))
        smooth = [smoother(level) for smoother, level in zip(self.smoothers, summed, strict=True)]
        fine = torch.stack([resized(level, smooth[0], align_corners=False) for level in smooth])
        return self.head(fine.sum(0))  # type: ignore[no-any-return]

    def fold(self) -> None:
        """Batch normalisation into the convolutions."""
        fold_blocks(self)
