"""Convolutional encoders from segmentation_models_pytorch and timm, never with downloaded weights."""

from __future__ import annotations

import segmentation_models_pytorch as smp
from segmentation_models_pytorch.encoders.efficientnet import EfficientNetEncoder
from torch import Tensor, nn

from geoseg.errors import UnknownNameError

TIMM = "tu-"
"""How segmentation_models_pytorch marks an encoder that timm builds."""


def encoder_name(name: str) -> str:
    """An encoder's name as segmentation_models_pytorch knows it: its own, or any of timm's.

    Raises:
        UnknownNameError: Neither knows it.
    """
    import timm

    own = smp.encoders.get_encoder_names()
    if name in own or name.startswith(TIMM):
        return name
    if name in timm.list_models():
        return TIMM + name
    raise UnknownNameError.among("encoder", name, [*own, *timm.list_models()])


def features(encoder: nn.Module, x: Tensor, halvings: int) -> list[Tensor]:
    """The image and its first ``halvings`` halvings, (batch, channel, y, x) each.

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
