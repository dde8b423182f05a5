"""Build a foundation encoder by name, from its record in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
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
"""Family of encoders -> its module and attribute, imported on first use."""


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """Imagery that an encoder reads.

    Attributes:
        sensor: Sensor of the bands.
        bands: Bands in order; ``before.`` marks the same band of imagery before the flood.
        radar: Allow radar for an encoder that was pretrained on optical imagery only.
    """

    sensor: str
    bands: tuple[str, ...]
    radar: bool = False


def build_encoder(
    name: str,
    *,
    bands: int,
    positions: Policy | None = None,
    norm_epsilon: float | None = None,
    depth: int | None = None,
) -> PatchEncoder:
    """Build an encoder with fresh weights.

    Args:
        name: As in ``data_catalog/encoders``.
        bands: Number of bands.
        positions: Policy for other sizes than the pretraining's; None: as the catalogue says.
        norm_epsilon: LayerNorm's epsilon, where it is an option; None: as the catalogue says.
        depth: Fewer blocks than it has, for trials.

    Raises:
        UnknownNameError: No such encoder.
        BadOptionError: An option that this encoder does not have.
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


def band_inputs(name: str, given: EncoderInput) -> tuple[BandInput, ...]:
    """Look up wavelength and statistics of each band.

    Args:
        name: The encoder.
        given: Sensor and bands.

    Returns:
        One per band. The wavelength is None only for radar that is allowed.

    Raises:
        BandMismatchError: A band that the sensor does not have, or radar that is not allowed.
    """
    family, _ = encoder_facts(name)
    return tuple(_band_input(name, family, given, band.removeprefix(BEFORE)) for band in given.bands)


def _band_input(name: str, family: EncoderFamily, given: EncoderInput, band: str) -> BandInput:
    sensor = given.sensor
    of_sensor = sensor_record(sensor).bands
    if band not in of_sensor:
        raise BandMismatchError(f"Band {band!r} of {sensor}: expected one of {', '.join(of_sensor)}.")
    known = family.sensors[sensor].bands.get(band) if sensor in family.sensors else None
    known = known or BandInput()
    wavelength_um = known.wavelength_um or of_sensor[band].wavelength_um
    if wavelength_um is None and not (given.radar and family.bands):
        fix = (
            "Set radar: true in the recipe: each band gets the mean of the kernels."
            if family.bands
            else "Choose another encoder."
        )
        raise BandMismatchError(
            f"Band {band} of {sensor} is radar, which has no wavelength; {name} was pretrained on optical bands only. "
            f"{fix}"
        )
    return known.model_copy(update={"wavelength_um": wavelength_um})
