"""The card of a network that stands on a foundation encoder, before anyone has trained it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.catalog.cards import Architecture, BandStatistics, ModelCard, Normalisation
from geoseg.catalog.encoders import BandInput, EncoderFamily, SensorInput, Variant, encoder_facts
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import BandMismatchError
from geoseg.models.foundation.build import known_bands


def encoder_card(
    name: str,
    *,
    sensor: str,
    bands: Sequence[str] | None = None,
    decoder: str | None = None,
    classes: Sequence[str] = ("water",),
    statistics: Mapping[str, BandStatistics] | None = None,
    radar: bool = False,
    options: Mapping[str, Any] | None = None,
) -> ModelCard:
    """What a network of this encoder reads and how it is normalised.

    Args:
        name: The encoder.
        sensor: Whose imagery it reads.
        bands: In order. None: every band of that sensor for which the encoder has statistics.
        decoder: None: the one of the encoder's paper.
        classes: Names of the output classes.
        statistics: Of bands whose statistics nobody published, in the sensor's unit times the family's scale.
        radar: Give radar to an optical encoder, on purpose.
        options: More options of :func:`geoseg.models.foundation.model.build_network`.

    Raises:
        UnknownNameError: No such encoder or sensor.
        BandMismatchError: A band that it cannot read, or whose statistics are unknown and were not given.
    """
    family, variant = encoder_facts(name)
    record = sensor_record(sensor)
    known = family.sensors.get(sensor)
    scale = known.scale if known else 1.0
    read = tuple(bands) if bands else _published(name, sensor, known)
    inputs = known_bands(name, sensor, read, radar=radar)
    given = statistics or {}
    normalisation = {
        band: given[band] if band in given else _statistics(name, sensor, band, one, scale)
        for band, one in zip(read, inputs, strict=True)
    }
    head = decoder or family.decoder
    return ModelCard(
        name=name,
        title=f"{family.title}; {head} decoder",
        family="foundation",
        architecture=Architecture(name=name, options={**_options(family, inputs, head), **(options or {})}),
        sensors=(sensor,),
        bands=read,
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


def _options(family: EncoderFamily, inputs: Sequence[BandInput], decoder: str) -> dict[str, Any]:
    """What the features depend on, spelled out, so that a bundle stays what it is when a default changes."""
    wavelengths = [one.wavelength_um for one in inputs]
    options: dict[str, Any] = {"decoder": decoder}
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


def _published(name: str, sensor: str, known: SensorInput | None) -> tuple[str, ...]:
    family, _ = encoder_facts(name)
    bands = tuple(band for band, one in known.bands.items() if one.mean is not None) if known else ()
    if family.bands and set(family.bands) <= set(bands):
        return family.bands
    if not bands:
        raise BandMismatchError(f"{name} has no statistics for any band of {sensor}. Name the bands, and measure them.")
    return bands


def _statistics(name: str, sensor: str, band: str, known: BandInput, scale: float) -> BandStatistics:
    """The published numbers, brought to the one scale that a card has."""
    if known.mean is None or known.std is None:
        raise BandMismatchError(
            f"Nobody published {name}'s statistics for {sensor}'s {band}. "
            "Measure them on the training data and give them."
        )
    factor = scale / (known.scale or scale)
    return BandStatistics(mean=round(known.mean * factor, 4), std=round(known.std * factor, 4))
