"""From a name and bands to an encoder, by what the catalogue says of it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from geoseg.catalog.cards import BEFORE
from geoseg.catalog.encoders import BandInput, EncoderFamily, encoder_facts
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import BadRecordError, BandMismatchError
from geoseg.models.foundation.family import EncoderSpec, Family
from geoseg.models.foundation.positions import Policy
from geoseg.models.foundation.protocol import PatchEncoder

FAMILIES = {
    "clay": "geoseg.models.foundation.clay:FAMILY",
    "dofa": "geoseg.models.foundation.dofa:FAMILY",
    "dofa-v2": "geoseg.models.foundation.dofa:FAMILY_V2",
    "prithvi": "geoseg.models.foundation.prithvi:FAMILY",
}
"""Family of encoders -> where it is, imported only when asked for."""


def build_encoder(
    name: str,
    *,
    bands: int,
    positions: Policy | None = None,
    norm_epsilon: float | None = None,
    depth: int | None = None,
) -> PatchEncoder:
    """An encoder with fresh weights.

    Args:
        name: As in ``data_catalog/encoders``.
        bands: Number of bands.
        positions: Off the pretraining's grid; None: as the catalogue says.
        norm_epsilon: LayerNorm's epsilon, where it is an option; None: as the catalogue says.
        depth: Fewer blocks than it has, for trials.

    Raises:
        UnknownNameError: No such encoder.
        BadOptionError: An option that this encoder has not.
    """
    record, variant = encoder_facts(name)
    spec = EncoderSpec(
        name=name,
        size=variant.size,
        bands=bands,
        default_positions=record.positions,
        positions=positions,
        norm_epsilon=norm_epsilon,
        default_epsilon=record.norm_epsilon,
        depth=depth,
    )
    return family_of(record.builder).build(spec)


def family_of(builder: str) -> Family:
    """Import the family of encoders that a record of the catalogue names.

    Raises:
        BadRecordError: No such family.
    """
    if builder not in FAMILIES:
        raise BadRecordError(f"builder {builder!r} is unknown: expected one of {', '.join(FAMILIES)}.")
    module, _, attribute = FAMILIES[builder].partition(":")
    family: Family = getattr(import_module(module), attribute)
    return family


def known_bands(name: str, sensor: str, bands: Sequence[str], *, radar: bool = False) -> tuple[BandInput, ...]:
    """What the encoder is to know about each band.

    Args:
        name: The encoder.
        sensor: Whose bands they are.
        bands: In order; ``before.`` marks the same band of imagery before the flood.
        radar: Give radar to an encoder that never saw any, on purpose.

    Returns:
        One per band. The wavelength is None only for radar that is given on purpose.

    Raises:
        BandMismatchError: A band that the sensor has not, or radar for an encoder that never saw any.
    """
    family, _ = encoder_facts(name)
    plain = [band.removeprefix(BEFORE) for band in bands]
    return tuple(_known(name, family, sensor, band, radar=radar) for band in plain)


def _known(name: str, family: EncoderFamily, sensor: str, band: str, *, radar: bool) -> BandInput:
    of_sensor = sensor_record(sensor).bands
    if band not in of_sensor:
        raise BandMismatchError(f"{sensor} has no band {band!r}. It has: {', '.join(of_sensor)}.")
    told = family.sensors[sensor].bands.get(band) if sensor in family.sensors else None
    told = told or BandInput()
    wavelength_um = told.wavelength_um or of_sensor[band].wavelength_um
    if wavelength_um is None and not (radar and family.bands):
        cure = "Add the option radar to give it the mean of its kernels." if family.bands else "Choose another encoder."
        raise BandMismatchError(f"{name} never saw {sensor}'s {band}, which is radar and has no wavelength. {cure}")
    return told.model_copy(update={"wavelength_um": wavelength_um})
