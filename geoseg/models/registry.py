"""Build networks and classical baselines by name: one table, one line per architecture.

A network is a builder ``(bands, classes, **options) -> nn.Module`` of normalised chips to logits of their size. A
baseline is a class ``(card, **options)`` that is a :class:`SegmentationModel` without weights. Their modules are
imported only when that name is built.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from geoseg.catalog.cards import ModelCard
from geoseg.catalog.encoders import encoder_names
from geoseg.errors import BadOptionError, GeosegError, UnknownNameError
from geoseg.models.protocol import SegmentationModel

if TYPE_CHECKING:
    from torch import nn

NETWORKS = {
    "attention-unet": "geoseg.models.cnn.attention_unet:AttentionUNet",
    "deeplabv3plus": "geoseg.models.cnn.deeplab:DeepLabV3Plus",
    "transnorm": "geoseg.models.cnn.transnorm:TransNorm",
    "unet": "geoseg.models.cnn.unet:UNet",
    "unetplusplus": "geoseg.models.cnn.unetplusplus:UNetPlusPlus",
    "uvit": "geoseg.models.cnn.uvit:UViT",
}
"""Architecture -> its builder. A network on a foundation encoder has the encoder's name, and is not listed."""

BASELINES = {
    "awei": "geoseg.models.classical.awei:Awei",
    "mndwi": "geoseg.models.classical.mndwi:Mndwi",
    "ndwi": "geoseg.models.classical.ndwi:Ndwi",
    "otsu": "geoseg.models.classical.otsu:TiledOtsu",
    "sar-change": "geoseg.models.classical.sar_change:SarChange",
}
"""Architecture -> its class."""

ON_ENCODER = "geoseg.models.foundation.model:build_network"
"""Builder of every network on a foundation encoder; takes the encoder's name first."""


def architectures() -> list[str]:
    """List the names of all networks and baselines."""
    return sorted({*NETWORKS, *BASELINES, *encoder_names()})


def build(architecture: str, bands: int, classes: int = 1, **options: Any) -> nn.Module:
    """Build a network with fresh weights.

    Args:
        architecture: Name of a network, or of a foundation encoder.
        bands: Channels of the input.
        classes: Channels of the output; 1 for a sigmoid.
        options: Of that network.

    Raises:
        UnknownNameError: No network has that name.
        BadOptionError: Options that it does not have, or values that it cannot be built with.
    """
    if architecture in BASELINES:
        raise UnknownNameError(f"{architecture} is a baseline, a fixed rule without weights. Choose a network.")
    if architecture in NETWORKS:
        builder = _imported(NETWORKS[architecture])
    elif architecture in encoder_names():
        builder = partial(_imported(ON_ENCODER), architecture)
    else:
        raise UnknownNameError.among("network or baseline", architecture, architectures())
    module: nn.Module = _built(architecture, builder, bands, classes, **options)
    return module


def build_baseline(card: ModelCard) -> SegmentationModel:
    """Build the baseline that a card describes.

    Raises:
        UnknownNameError: No baseline has that name.
        BadOptionError: Options that it does not have.
    """
    name = card.architecture.name
    if name in NETWORKS or name in encoder_names():
        raise UnknownNameError(f"{name} is a network, which needs weights. Choose a baseline.")
    if name not in BASELINES:
        raise UnknownNameError.among("network or baseline", name, architectures())
    model: SegmentationModel = _built(name, _imported(BASELINES[name]), card, **card.architecture.options)
    return model


def _imported(place: str) -> Callable[..., Any]:
    module, _, attribute = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found


def _built(name: str, builder: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return builder(*arguments, **options)
    except GeosegError:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        if not options:
            raise
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BadOptionError(f"{name} cannot be built with the options {options}: {reason}.") from None
