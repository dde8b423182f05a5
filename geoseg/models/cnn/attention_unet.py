"""Attention U-Net (Oktay et al. 2018, arXiv 1804.03999): the coarser scale tells each skip where to look."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.models.cnn.blocks import conv_norm_relu, cropped, double_conv, padded
from geoseg.models.foundation.decoders.blocks import BatchOfOneNorm

DEPTH = 4


class AttentionGate(nn.Module):
    """Additive attention: a skip times a coefficient per pixel, 0..1.

    Args:
        channels: Of the skip, and of the gating signal, which has been brought to the skip's size.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.of_gate = nn.Sequential(nn.Conv2d(channels, inner, 1), BatchOfOneNorm(inner))
        self.of_skip = nn.Sequential(nn.Conv2d(channels, inner, 1), BatchOfOneNorm(inner))
        self.coefficient = nn.Sequential(nn.Conv2d(inner, 1, 1), BatchOfOneNorm(1), nn.Sigmoid())

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Both (batch, channels, y, x) -> the skip, attended."""
        attended: Tensor = skip * self.coefficient(torch.relu(self.of_gate(gate) + self.of_skip(skip)))
        return attended


class AttentionUNet(nn.Module):
    """U-Net with an attention gate in each skip. 34.88 million parameters at 3 bands and 1 class.

    Its convolutions have a bias, which the normalisation behind them cancels: it was published so, and weights have it.

    Args:
        bands: Channels of the input.
        classes: Channels of the output.
        base: Channels at full resolution, doubled at each halving.
    """

    encoder_path = ("stem", "downs")
    """Parts that lead from the image to its coarsest features, in order."""

    def __init__(self, bands: int, classes: int, *, base: int = 64) -> None:
        super().__init__()
        widths = [base * 2**scale for scale in range(DEPTH + 1)]
        self.stem = double_conv(bands, base, bias=True)
        self.downs = nn.ModuleList(double_conv(widths[scale], widths[scale + 1], bias=True) for scale in range(DEPTH))
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), *conv_norm_relu(widths[scale + 1], widths[scale], bias=True))
            for scale in range(DEPTH)
        )
        self.gates = nn.ModuleList(AttentionGate(widths[scale]) for scale in range(DEPTH))
        self.joins = nn.ModuleList(double_conv(widths[scale + 1], widths[scale], bias=True) for scale in range(DEPTH))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised (batch, band, y, x) of any size -> logits (batch, class, y, x)."""
        scales = [self.stem(padded(x, 2**DEPTH))]
        for down in self.downs:
            scales.append(down(self.pool(scales[-1])))
        deep = scales.pop()
        for up, gate, join in reversed(list(zip(self.ups, self.gates, self.joins, strict=True))):
            deep = up(deep)
            deep = join(torch.cat([gate(deep, scales.pop()), deep], dim=1))
        return cropped(self.head(deep), x)
