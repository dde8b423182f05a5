"""Build a network of a foundation encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.catalog.encoders import encoder_facts
from geoseg.errors import BadOptionError
from geoseg.models.foundation.build import build_encoder
from geoseg.models.foundation.decoders.build import build_decoder
from geoseg.models.foundation.decoders.network import SegmentationNetwork
from geoseg.models.foundation.positions import Policy


def build_network(
    name: str,
    bands: int,
    classes: int = 1,
    *,
    wavelengths_um: Sequence[float] | None = None,
    gsd_m: float | None = None,
    decoder: str | None = None,
    decoder_options: Mapping[str, Any] | None = None,
    positions: Policy | None = None,
    norm_epsilon: float | None = None,
    taps: Sequence[int] | None = None,
    frozen: bool | str = False,
    depth: int | None = None,
) -> SegmentationNetwork:
    """A network with fresh weights. Everything that its features depend on is an option, so a card holds it.

    Args:
        name: The encoder.
        bands: Channels of the input.
        classes: Channels of the output.
        wavelengths_um: Centre of each band in micrometres; Clay and DOFA read nothing without.
        gsd_m: Ground sampling in metres, where the chips do not say; Clay reads nothing without.
        decoder: ``upernet``, ``fpn``, ``unetr``, ``pixelshuffle`` or ``linear``. None: the one of the encoder's paper.
        decoder_options: Of that decoder.
        positions: Off the pretraining's grid, ``recompute`` or ``interpolate``. None: as the released weights want it.
        norm_epsilon: LayerNorm's epsilon (Prithvi). None: as the released weights want it.
        taps: Blocks that the decoder reads. None: the encoder's choice.
        frozen: Part of the encoder that is not trained; see :class:`SegmentationNetwork`. True: all of it.
        depth: Fewer blocks than the encoder has, for trials.

    Raises:
        UnknownNameError: No such encoder or decoder.
        BadOptionError: Not one wavelength per band, or an option that this encoder has not.
    """
    family, _ = encoder_facts(name)
    if wavelengths_um is not None and len(wavelengths_um) != bands:
        raise BadOptionError(
            f"{name} was given {len(wavelengths_um)} wavelengths for {bands} bands. Give one per band."
        )
    encoder = build_encoder(name, bands=bands, positions=positions, norm_epsilon=norm_epsilon, depth=depth)
    head = build_decoder(
        decoder or family.decoder, encoder, bands=bands, classes=classes, **dict(decoder_options or {})
    )
    return SegmentationNetwork(encoder, head, wavelengths_um=wavelengths_um, gsd_m=gsd_m, taps=taps, frozen=frozen)
