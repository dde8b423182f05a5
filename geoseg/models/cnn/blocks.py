"""The convolutions that the U-Net family is made of."""

from __future__ import annotations

from typing import Literal

from torch import nn

from geoseg.models.foundation.decoders.blocks import BatchOfOneNorm

Up = Literal["transposed", "bilinear"]


def conv_norm_relu(channels_in: int, channels_out: int, *, bias: bool = False) -> list[nn.Module]:
    """3x3 convolution, batch normalisation, ReLU; height and width stay."""
    return [
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias),
        BatchOfOneNorm(channels_out),
        nn.ReLU(inplace=True),
    ]


def double_conv(channels_in: int, channels_out: int, *, bias: bool = False) -> nn.Sequential:
    """Twice :func:`conv_norm_relu`."""
    return nn.Sequential(
        *conv_norm_relu(channels_in, channels_out, bias=bias), *conv_norm_relu(channels_out, channels_out, bias=bias)
    )


def doubling(channels_in: int, channels_out: int, up: Up) -> nn.Module:
    """Twice the height and width.

    Raises:
        ValueError: ``up`` is neither.
    """
    if up == "transposed":
        return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
    if up == "bilinear":
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.Conv2d(channels_in, channels_out, 1)
        )
    raise ValueError(f"up is transposed or bilinear, not {up!r}.")


def allow_batch_of_one(module: nn.Module) -> nn.Module:
    """The same module, whose batch normalisation also trains where a batch holds one value per channel."""
    for part in module.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = BatchOfOneNorm  # the same state, another forward
    return module
