"""UNETR (Hatamizadeh et al. 2022) in two dimensions: each tapped map climbs to its own scale and joins there."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geoseg.models.foundation.decoders.blocks import resized
from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.protocol import Features

GROUPS = 8


def double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice: 3x3 convolution, group normalisation (no statistics of the batch), ReLU."""
    parts: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        convolution = nn.Conv2d(channels, channels_out, 3, padding=1, bias=False)
        parts += [convolution, nn.GroupNorm(GROUPS, channels_out), nn.ReLU()]
    return nn.Sequential(*parts)


def doubling(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    """Learned upsampling by 2."""
    return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)


def climb(channels_in: int, channels_out: int, times: int) -> nn.Sequential:
    """Upsampling by ``2**times``, convolved after each step."""
    parts: list[nn.Module] = []
    for step in range(times):
        parts += [doubling(channels_in if not step else channels_out, channels_out)]
        parts += [double_conv(channels_out, channels_out)]
    return nn.Sequential(*parts)


class UnetrDecoder(Decoder):
    """One scale per doubling from the cells to the pixels; the finest looks at the image itself.

    Args:
        width: Channels of the encoder's maps.
        classes: Channels of the output.
        bands: Bands of the image.
        patch: Side of a cell in pixels. Where it is no power of two (14), the last step is resized.
        base: Channels at full resolution, doubled at every coarser scale.
    """

    def __init__(self, width: int, classes: int, *, bands: int, patch: int, base: int = 32) -> None:
        super().__init__()
        scales = max(round(math.log2(patch)), 1)
        channels = [base * 2**scale for scale in range(scales)]
        self.levels = scales
        self.stem = double_conv(bands, base)
        self.climbs = nn.ModuleList(climb(width, channels[scale], scales - scale) for scale in range(1, scales))
        below = [*channels[1:], width]
        self.steps = nn.ModuleList(doubling(below[scale], channels[scale]) for scale in range(scales))
        self.joins = nn.ModuleList(double_conv(2 * channels[scale], channels[scale]) for scale in range(scales))
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Logits at full resolution; see :class:`Decoder`."""
        *shallower, x = features.maps
        skips = [self.stem(image), *(climb(map_) for climb, map_ in zip(self.climbs, shallower, strict=True))]
        for skip, step, join in reversed(list(zip(skips, self.steps, self.joins, strict=True))):
            up = resized(step(x), skip, align_corners=False)
            x = join(torch.cat([up, skip], dim=1))
        return self.head(x)  # type: ignore[no-any-return]
