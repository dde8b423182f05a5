"""From names to a network: an encoder, a decoder, and the bands they read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from geoseg.catalog.encoders import encoder_facts
from geoseg.errors import UnknownNameError
from geoseg.models.decoders.fpn import FpnDecoder
from geoseg.models.decoders.linear import LinearDecoder
from geoseg.models.decoders.network import SegmentationNetwork
from geoseg.models.decoders.pixelshuffle import PixelShuffleDecoder
from geoseg.models.decoders.protocol import Decoder
from geoseg.models.decoders.unetr import UnetrDecoder
from geoseg.models.decoders.upernet import UPerNetDecoder
from geoseg.models.encoders.build import build_encoder, known_bands
from geoseg.models.encoders.positions import Policy
from geoseg.models.encoders.protocol import PatchEncoder

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


def build_network(
    name: str,
    *,
    sensor: str,
    bands: Sequence[str],
    classes: int = 1,
    decoder: str | None = None,
    decoder_options: dict[str, Any] | None = None,
    positions: Policy | None = None,
    norm_epsilon: float | None = None,
    taps: Sequence[int] | None = None,
    frozen: bool = False,
    radar: bool = False,
    depth: int | None = None,
) -> SegmentationNetwork:
    """A network with fresh weights.

    Args:
        name: The encoder.
        sensor: Whose bands it reads.
        bands: In order; ``before.`` marks imagery before the flood.
        classes: Channels of the output.
        decoder: ``upernet``, ``fpn``, ``unetr``, ``pixelshuffle`` or ``linear``. None: the one of the encoder's paper.
        decoder_options: Of that decoder.
        positions: See :func:`build_encoder`.
        norm_epsilon: See :func:`build_encoder`.
        taps: Blocks that the decoder reads. None: the encoder's choice.
        frozen: Train the decoder alone.
        radar: Give radar to an optical encoder, on purpose.
        depth: Fewer blocks than the encoder has, for trials.

    Raises:
        UnknownNameError: No such encoder, decoder or sensor.
        BandMismatchError: Bands that the encoder cannot read.
    """
    family, _ = encoder_facts(name)
    inputs = known_bands(name, sensor, bands, radar=radar)
    encoder = build_encoder(name, bands=len(bands), positions=positions, norm_epsilon=norm_epsilon, depth=depth)
    head = build_decoder(
        decoder or family.decoder, encoder, bands=len(bands), classes=classes, **(decoder_options or {})
    )
    wavelengths = [band.wavelength_um for band in inputs if band.wavelength_um is not None]
    return SegmentationNetwork(
        encoder,
        head,
        wavelengths_um=wavelengths if len(wavelengths) == len(bands) else None,
        taps=taps,
        frozen=frozen,
    )
