"""TransNorm (Azad et al. 2022, doi 10.1109/ACCESS.2022.3211501): a transformer also tells the skips where to look.

A ResNet-50 halves the image four times, a ViT-B attends over what is left, and a decoder climbs back over the skips.
The last attention carries a second, "spatial" value beside its own; where that is strong, the skips pass.

Built from the paper. The published network computes the spatial value in all twelve layers and uses the last; the other
eleven (6.5 million parameters that no output depends on) are left out here.
"""

from __future__ import annotations

from functools import partial

import torch
from timm.layers import StdConv2dSame
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.models.cnn.blocks import conv_norm_relu, cropped, double_conv, padded

WIDTH, HEADS, LAYERS = 768, 12, 12
STRIDE = 16
TABLE = 14
"""Side of the table of learned positions: 224 px. Other sizes read it stretched."""

EPSILON = 1e-6
SKIPS = (512, 256, 64, 0)
"""Channels of the skip that joins after each doubling: at 1/8, 1/4, 1/2 and whole resolution."""

CHANNELS = (512, 256, 128, 64, 16)


class SpatialBlock(nn.Module):
    """The last layer: a transformer block whose attention also carries the spatial value."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.spatial = nn.Linear(WIDTH, WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, token, width) -> the tokens, and the spatial value attended, both of that shape."""
        x = self.norm1(tokens)
        query, key, value = (_to_heads(part) for part in self.qkv(x).chunk(3, dim=-1))
        values = torch.cat([value, _to_heads(self.spatial(x))], dim=-1)  # one attention, two values
        scale = (WIDTH // HEADS) ** -0.5
        attended = F.scaled_dot_product_attention(query, key, values, scale=scale)
        own, spatial = (_from_heads(part) for part in attended.chunk(2, dim=-1))
        tokens = tokens + self.proj(own)
        return tokens + self.mlp(self.norm2(tokens)), spatial


class SpatialGate(nn.Module):
    """A coefficient per cell, 0..1, out of the spatial value."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*conv_norm_relu(WIDTH, WIDTH), nn.Conv2d(WIDTH, 1, 1), nn.Sigmoid())

    def forward(self, spatial: Tensor) -> Tensor:
        """(batch, width, y, x) -> (batch, 1, y, x)."""
        return self.layers(spatial)  # type: ignore[no-any-return]


class TransNorm(nn.Module):
    """ResNet-50 and ViT-B as one encoder, and a decoder whose skips the transformer recalibrates.

    Args:
        bands: Channels of the input.
        classes: Channels of the output.
    """

    encoder_path = ("resnet", "to_tokens", "positions", "blocks", "last_block", "norm")
    """Parts that lead from the image to its coarsest features, in order."""

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        # BiT's ResNet-50 without its last stage, whose blocks went to the one before: 1/16 is where the tokens are
        self.resnet = ResNetV2(
            layers=(3, 4, 9),
            num_classes=0,
            global_pool="",
            in_chans=bands,
            preact=False,
            stem_type="same",
            conv_layer=partial(StdConv2dSame, eps=1e-8),
        )
        self.to_tokens = nn.Conv2d(1024, WIDTH, 1)
        self.positions = nn.Parameter(torch.randn(1, WIDTH, TABLE, TABLE) * 0.02)
        norm = partial(nn.LayerNorm, eps=EPSILON)
        self.blocks = nn.ModuleList(Block(WIDTH, HEADS, qkv_bias=True, norm_layer=norm) for _ in range(LAYERS - 1))
        self.last_block = SpatialBlock()
        self.norm = norm(WIDTH)
        self.gate = SpatialGate()
        self.entry = nn.Sequential(*conv_norm_relu(WIDTH, CHANNELS[0]))
        self.joins = nn.ModuleList(
            double_conv(before + skip, after)
            for before, skip, after in zip(CHANNELS[:-1], SKIPS, CHANNELS[1:], strict=True)
        )
        self.head = nn.Conv2d(CHANNELS[-1], classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised (batch, band, y, x) of any size -> logits (batch, class, y, x)."""
        *skips, deep = self._convolved(padded(x, STRIDE))
        attended, spatial = self._attended(self.to_tokens(deep))
        gate, deep = self.gate(spatial), self.entry(attended)
        for join in self.joins:
            deep = F.interpolate(deep, scale_factor=2.0, mode="bilinear", align_corners=False)
            if skips:
                skip = skips.pop()
                where = F.interpolate(gate, size=skip.shape[-2:], mode="bilinear", align_corners=False)
                deep = torch.cat([deep, skip * where], dim=1)
            deep = join(deep)
        return cropped(self.head(deep), x)

    def _convolved(self, x: Tensor) -> list[Tensor]:
        """Maps at 1/2, 1/4, 1/8 and 1/16."""
        stem = self.resnet.stem
        maps = [stem.norm(stem.conv(x))]
        deep = stem.pool(maps[0])
        for stage in self.resnet.stages:
            deep = stage(deep)
            maps.append(deep)
        return maps

    def _attended(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, width, y, x) -> what the transformer makes of it, and its spatial value, likewise."""
        size = cells.shape[-2:]
        table: Tensor = self.positions
        if size != table.shape[-2:]:
            table = F.interpolate(table, size=size, mode="bicubic", align_corners=False)
        tokens = (cells + table).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        tokens, spatial = self.last_block(tokens)
        return _to_map(self.norm(tokens), size), _to_map(spatial, size)


def _to_heads(x: Tensor) -> Tensor:
    """(batch, token, width) -> (batch, head, token, width of a head)."""
    return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)


def _from_heads(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


def _to_map(tokens: Tensor, size: torch.Size) -> Tensor:
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *size)
