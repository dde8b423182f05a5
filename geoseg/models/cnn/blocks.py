"""The convolutions that the U-Net family is made of."""

from __future__ import annotations

from typing import Literal

from torch import nn

Up = Literal["transposed", "bilinear"]


def conv_norm_relu(channels_in: int, channels_out: int) -> list[nn.Module]:
    """3x3 convolution, batch normalisation, ReLU; height and width stay."""
    return [
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    ]


def double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice :func:`conv_norm_relu`."""
    return nn.Sequential(*conv_norm_relu(channels_in, channels_out), *conv_norm_relu(channels_out, channels_out))


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
