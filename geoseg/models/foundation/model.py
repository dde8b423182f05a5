"""Build a network of a foundation encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geoseg.catalog.encoders import encoder_facts
from geoseg.errors import BadOptionError
from geoseg.models.foundation.build import build_encoder
from geoseg.models.foundation.decoders.build import build_decoder
from geoseg.models.foundation.decoders.network import NetworkOptions, SegmentationNetwork
from geoseg.models.foundation.positions import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationOptions(NetworkOptions):
    """Options of a card: everything that the features depend on.

    Attributes:
        decoder: ``upernet``, ``fpn``, ``unetr``, ``pixelshuffle`` or ``linear``. None: the one of the encoder's paper.
        decoder_options: Options of that decoder.
        positions: Position embeddings of another size than the pretraining's, ``recompute`` or ``interpolate``. None:
            as the released weights require.
        norm_epsilon: LayerNorm's epsilon (Prithvi). None: as the released weights require.
        depth: Fewer blocks than the encoder has, for trials.
    """

    decoder: str | None = None
    decoder_options: Mapping[str, Any] | None = None
    positions: Policy | None = None
    norm_epsilon: float | None = None
    depth: int | None = None


def build_network(name: str, bands: int, classes: int = 1, **options: Any) -> SegmentationNetwork:
    """Build a network with fresh weights.

    Args:
        name: The encoder.
        bands: Channels of the input.
        classes: Channels of the output.
        options: Fields of :class:`FoundationOptions`.

    Raises:
        UnknownNameError: No such encoder or decoder.
        BadOptionError: Not one wavelength per band, or an option that this encoder does not have.
        TypeError: An option that no encoder has.
    """
    family, _ = encoder_facts(name)
    chosen = FoundationOptions(**options)
    if chosen.wavelengths_um is not None and len(chosen.wavelengths_um) != bands:
        raise BadOptionError(
            f"wavelengths_um of {name}: expected {bands}, one per band, got {len(chosen.wavelengths_um)}."
        )
    encoder = build_encoder(
        name, bands=bands, positions=chosen.positions, norm_epsilon=chosen.norm_epsilon, depth=chosen.depth
    )
    decoder_options = dict(chosen.decoder_options or {})
    decoder = build_decoder(chosen.decoder or family.decoder, encoder, bands=bands, classes=classes, **decoder_options)
    return SegmentationNetwork(encoder, decoder, chosen)
