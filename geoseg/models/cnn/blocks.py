"""Build and run the parts that convolutional networks share: convolutions, encoders, padding to a multiple."""

from __future__ import annotations

from typing import Literal

import segmentation_models_pytorch as smp
from segmentation_models_pytorch.encoders.efficientnet import EfficientNetEncoder
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.errors import UnknownNameError
from geoseg.models.foundation.decoders.blocks import BatchOfOneNorm

Up = Literal["transposed", "bilinear"]

TIMM = "tu-"
"""Prefix of segmentation_models_pytorch for an encoder of timm."""


def conv_norm_relu(channels_in: int, channels_out: int, *, bias: bool = False) -> list[nn.Module]:
    """Build a 3x3 convolution, batch normalisation and ReLU that keep height and width."""
    return [
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias),
        BatchOfOneNorm(channels_out),
        nn.ReLU(inplace=True),
    ]


def double_conv(channels_in: int, channels_out: int, *, bias: bool = False) -> nn.Sequential:
    """Build :func:`conv_norm_relu` twice."""
    return nn.Sequential(
        *conv_norm_relu(channels_in, channels_out, bias=bias), *conv_norm_relu(channels_out, channels_out, bias=bias)
    )


def doubling(channels_in: int, channels_out: int, up: Up) -> nn.Module:
    """Build a layer that doubles height and width.

    Raises:
        ValueError: Another ``up``.
    """
    if up == "transposed":
        return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
    if up == "bilinear":
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.Conv2d(channels_in, channels_out, 1)
        )
    raise ValueError(f"up: expected transposed or bilinear, got {up!r}.")


def allow_batch_of_one(module: nn.Module) -> nn.Module:
    """Let batch normalisation also train on one value per channel, in place; see :class:`BatchOfOneNorm`."""
    for part in module.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = BatchOfOneNorm  # the same state, another forward
    return module


def encoder_name(name: str) -> str:
    """Translate an encoder's name to segmentation_models_pytorch: its own, or any of timm's, never with weights.

    Raises:
        UnknownNameError: Neither has it.
    """
    import timm

    own = smp.encoders.get_encoder_names()
    if name in own or name.startswith(TIMM):
        return name
    if name in timm.list_models():
        return TIMM + name
    raise UnknownNameError.among("encoder", name, [*own, *timm.list_models()])


def features(encoder: nn.Module, x: Tensor, halvings: int) -> list[Tensor]:
    """Encode an image: the image and its first ``halvings`` halvings, (batch, channel, y, x) each.

    EfficientNet stops after the last one that is wanted; other encoders run whole.
    """
    if not isinstance(encoder, EfficientNetEncoder):
        whole: list[Tensor] = encoder(x)
        return whole[: halvings + 1]
    found = [x, encoder._swish(encoder._bn0(encoder._conv_stem(x)))]
    deep = found[-1]
    for index, block in enumerate(encoder._blocks):
        if len(found) > halvings:
            break
        deep = block(deep, encoder._drop_connect_rate * index / len(encoder._blocks))
        if index in encoder._out_indexes:
            found.append(deep)
    return found


def padded(x: Tensor, multiple: int) -> Tensor:
    """Pad (batch, band, y, x) at the end until height and width are multiples.

    Reflected where the image is large enough, else the last row and column are repeated.
    """
    below, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    if not below and not right:
        return x
    mirrors = below < x.shape[-2] and right < x.shape[-1]
    return F.pad(x, (0, right, 0, below), mode="reflect" if mirrors else "replicate")


def cropped(x: Tensor, like: Tensor) -> Tensor:
    """Crop to the size before :func:`padded`."""
    return x[..., : like.shape[-2], : like.shape[-1]]
