"""Make the card of a network on a foundation encoder, before it is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.catalog.cards import Architecture, BandStatistics, ModelCard, Normalisation
from geoseg.catalog.encoders import BandInput, EncoderFamily, Variant, encoder_facts
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import BandMismatchError
from geoseg.models.foundation.build import EncoderInput, band_inputs


def encoder_card(
    name: str,
    given: EncoderInput,
    *,
    classes: Sequence[str] = ("water",),
    statistics: Mapping[str, BandStatistics] | None = None,
    options: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Make the card of a network: its bands, their normalisation, and the options that build it.

    Args:
        name: The encoder.
        given: Sensor and bands that it reads; see :func:`published_input`.
        classes: Names of the output classes.
        statistics: Statistics of bands without published ones, in the sensor's unit times the family's scale.
        options: Fields of :class:`geoseg.models.foundation.model.FoundationOptions`, over the defaults.

    Raises:
        UnknownNameError: No such encoder or sensor.
        BandMismatchError: A band that it cannot read, or whose statistics are neither published nor given.
    """
    family, variant = encoder_facts(name)
    sensor = given.sensor
    record = sensor_record(sensor)
    known = family.sensors.get(sensor)
    scale = known.scale if known else 1.0
    inputs = band_inputs(name, given)
    measured = statistics or {}
    normalisation = {
        band: measured[band] if band in measured else _statistics(name, sensor, band, one, scale)
        for band, one in zip(given.bands, inputs, strict=True)
    }
    chosen = {**_options(family, inputs), **(options or {})}
    return ModelCard(
        name=name,
        title=f"{family.title}; {chosen['decoder']} decoder",
        family="foundation",
        architecture=Architecture(name=name, options=chosen),
        sensors=(sensor,),
        bands=given.bands,
        unit=record.unit,
        normalisation=Normalisation(scale=scale, bands=normalisation),
        classes=tuple(classes),
        chip_px=family.chip_px,
        overlap_px=family.chip_px // 4,
        weights_from=_source(name, variant),
        limits=family.limits,
        licence=family.licence,
        references=family.references,
    )


def _options(family: EncoderFamily, inputs: Sequence[BandInput]) -> dict[str, Any]:
    """List the options that the features depend on, so that a bundle stays the same when a default changes."""
    wavelengths = [one.wavelength_um for one in inputs]
    options: dict[str, Any] = {"decoder": family.decoder}
    if None not in wavelengths:
        options["wavelengths_um"] = wavelengths
    options["positions"] = family.positions
    if family.norm_epsilon is not None:
        options["norm_epsilon"] = family.norm_epsilon
    return options


def _source(name: str, variant: Variant) -> str:
    if variant.file is None:
        return "No weights were released for this size. Train it from scratch."
    return (
        f"The command `geoseg models fetch {name}` downloads the encoder's weights "
        f"({variant.file.file} of {variant.file.repository} on the Hugging Face hub). The decoder must be trained."
    )


def published_input(name: str, sensor: str) -> EncoderInput:
    """Choose the bands of a sensor for which an encoder has published statistics: its own, or all of them.

    Raises:
        UnknownNameError: No such encoder.
        BandMismatchError: No band of that sensor has statistics.
    """
    family, _ = encoder_facts(name)
    known = family.sensors.get(sensor)
    bands = tuple(band for band, one in known.bands.items() if one.mean is not None) if known else ()
    if family.bands and set(family.bands) <= set(bands):
        return EncoderInput(sensor, family.bands)
    if not bands:
        raise BandMismatchError(
            f"{name} has no published statistics for {sensor}. Name the bands, and give statistics measured on your "
            "data."
        )
    return EncoderInput(sensor, bands)


def _statistics(name: str, sensor: str, band: str, known: BandInput, scale: float) -> BandStatistics:
    """Convert published statistics to the scale of the card."""
    if known.mean is None or known.std is None:
        raise BandMismatchError(
            f"{name} has no published statistics for band {band} of {sensor}. "
            "Give statistics measured on the training data."
        )
    factor = scale / (known.scale or scale)
    return BandStatistics(mean=round(known.mean * factor, 4), std=round(known.std * factor, 4))
