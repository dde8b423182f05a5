"""From a name to a decoder that fits an encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geoseg.errors import UnknownNameError
from geoseg.models.foundation.decoders.fpn import FpnDecoder
from geoseg.models.foundation.decoders.linear import LinearDecoder
from geoseg.models.foundation.decoders.pixelshuffle import PixelShuffleDecoder
from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.decoders.unetr import UnetrDecoder
from geoseg.models.foundation.decoders.upernet import UPerNetDecoder
from geoseg.models.foundation.protocol import PatchEncoder

DECODERS: dict[str, Callable[..., Decoder]] = {
    "upernet": lambda encoder, bands, classes, **options: UPerNetDecoder(encoder.width, classes, **options),
    "fpn": lambda encoder, bands, classes, **options: FpnDecoder(encoder.width, classes, **options),
    "unetr": lambda encoder, bands, classes, **options: UnetrDecoder(
        encoder.width, classes, bands=bands, patch=encoder.patch, **options
    ),
    "pixelshuffle": lambda encoder, bands, classes, **options: PixelShuffleDecoder(
        encoder.width, classes, patch=encoder.patch, **options
    ),
    "linear": lambda encoder, bands, classes, **options: LinearDecoder(encoder.width, classes, **options),
}


def build_decoder(name: str, encoder: PatchEncoder, *, bands: int, classes: int, **options: Any) -> Decoder:
    """A decoder that fits an encoder.

    Raises:
        UnknownNameError: No such decoder.
    """
    if name not in DECODERS:
        raise UnknownNameError.among("decoder", name, DECODERS)
    return DECODERS[name](encoder, bands, classes, **options)
