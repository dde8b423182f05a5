"""What can be built by name: networks by a builder, baselines by their class.

A module registers what it holds with a decorator, and is imported only when that name is asked for::

    @network("unet")
    def unet(bands: int, classes: int, *, base: int = 64) -> nn.Module: ...
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from geoseg.catalog.cards import ModelCard
from geoseg.catalog.encoders import encoder_names
from geoseg.errors import BadOptionError, GeosegError, UnknownNameError
from geoseg.models.protocol import SegmentationModel

if TYPE_CHECKING:
    from torch import nn

Builder = Callable[..., "nn.Module"]
B = TypeVar("B", bound=Callable[..., Any])

MODULES = {
    "attention-unet": "geoseg.models.cnn.attention_unet",
    "awei": "geoseg.models.classical.awei",
    "deeplabv3plus": "geoseg.models.cnn.deeplab",
    "mndwi": "geoseg.models.classical.mndwi",
    "ndwi": "geoseg.models.classical.ndwi",
    "otsu": "geoseg.models.classical.otsu",
    "sar-change": "geoseg.models.classical.sar_change",
    "transnorm": "geoseg.models.cnn.transnorm",
    "unet": "geoseg.models.cnn.unet",
    "unetplusplus": "geoseg.models.cnn.unetplusplus",
    "uvit": "geoseg.models.cnn.uvit",
}
"""Architecture -> module that registers it. Networks on foundation encoders bear the encoder's name."""

MODULES |= dict.fromkeys(encoder_names(), "geoseg.models.foundation.model")

WITH_ANY_ENCODER = ("unetplusplus", "deeplabv3plus")
"""Networks over an encoder of one's choice, which a name may carry: ``unetplusplus-resnet18``."""

_networks: dict[str, Builder] = {}
_baselines: dict[str, Callable[..., SegmentationModel]] = {}


def network(name: str) -> Callable[[B], B]:
    """Register a builder ``(bands, classes, **options) -> nn.Module`` of normalised chips to logits of their size."""

    def register(builder: B) -> B:
        _networks[name] = builder
        return builder

    return register


def baseline(name: str) -> Callable[[B], B]:
    """Register a class ``(card, **options)`` that is a :class:`SegmentationModel` without weights."""

    def register(model: B) -> B:
        _baselines[name] = model
        return model

    return register


def build(architecture: str, bands: int, classes: int = 1, **options: Any) -> nn.Module:
    """A network with fresh weights.

    Args:
        architecture: Name of a registered network.
        bands: Channels of the input.
        classes: Channels of the output; 1 for a sigmoid.
        options: Of that network.

    Raises:
        UnknownNameError: No such network.
        BadOptionError: Options it does not have, or that cannot be.
    """
    _import(architecture, _networks)
    module: nn.Module = _made(architecture, _networks[architecture], bands, classes, **options)
    return module


def build_baseline(card: ModelCard) -> SegmentationModel:
    """The baseline that a card describes.

    Raises:
        UnknownNameError: No such baseline.
        BadOptionError: Options it does not have.
    """
    name = card.architecture.name
    _import(name, _baselines)
    model: SegmentationModel = _made(name, _baselines[name], card, **card.architecture.options)
    return model


def _import(architecture: str, registered: dict[str, Any]) -> None:
    if architecture in registered:
        return
    if architecture in MODULES:
        importlib.import_module(MODULES[architecture])
    if architecture in registered:
        return
    if architecture in _baselines:
        raise UnknownNameError(f"{architecture} is a baseline, a formula without weights: no network has that name.")
    if architecture in _networks:
        raise UnknownNameError(f"{architecture} is a network, which needs weights: no baseline has that name.")
    raise UnknownNameError.among("network or baseline", architecture, MODULES)


def _made(name: str, builder: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return builder(*arguments, **options)
    except GeosegError:
        raise
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        if not options:
            raise
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BadOptionError(f"{name} cannot be built with the options {options}: {reason}.") from None
