"""U-Net (Ronneberger, Fischer and Brox 2015, arXiv 1505.04597) with padded convolutions and batch normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.models.cnn.blocks import Up, cropped, double_conv, doubling, padded

DEPTH = 4


class UNet(nn.Module):
    """Four halvings, four doublings, a skip at each scale. 31.04 million parameters at 3 bands and 1 class.

    Args:
        bands: Channels of the input.
        classes: Channels of the output.
        base: Channels at full resolution, doubled at each halving.
        up: How it doubles: ``transposed`` convolution, or ``bilinear`` and a 1x1 convolution.
    """

    encoder_path = ("stem", "downs")
    """Parts that lead from the image to its coarsest features, in order."""

    def __init__(self, bands: int, classes: int, *, base: int = 64, up: Up = "transposed") -> None:
        super().__init__()
        widths = [base * 2**scale for scale in range(DEPTH + 1)]
        self.stem = double_conv(bands, base)
        self.downs = nn.ModuleList(double_conv(widths[scale], widths[scale + 1]) for scale in range(DEPTH))
        self.ups = nn.ModuleList(doubling(widths[scale + 1], widths[scale], up) for scale in range(DEPTH))
        self.joins = nn.ModuleList(double_conv(widths[scale + 1], widths[scale]) for scale in range(DEPTH))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised (batch, band, y, x) of any size -> logits (batch, class, y, x)."""
        scales = [self.stem(padded(x, 2**DEPTH))]
        for down in self.downs:
            scales.append(down(self.pool(scales[-1])))
        deep = scales.pop()
        for up, join in reversed(list(zip(self.ups, self.joins, strict=True))):
            deep = join(torch.cat([scales.pop(), up(deep)], dim=1))
        return cropped(self.head(deep), x)
