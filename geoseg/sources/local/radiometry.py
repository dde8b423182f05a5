"""What a file's numbers are: decided from the product's metadata or the person's word, checked against the pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import BadOptionError, RadiometryUnknownError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.naming import quantity_in_name
from geoseg.sources.local.product import LinearConversion, Options, Units
from geoseg.sources.local.raster import RasterFile

DECIDABLE: dict[str, tuple[Units, ...]] = {
    "dB": ("db", "linear"),
    "reflectance": ("reflectance", "dn"),
    "unitless": ("uint8",),
}
"""What ``--units`` can say, by the unit of the sensor."""

MOSTLY = 0.5
"""More than this share of the sampled pixels decides what the numbers cannot be."""

LARGEST_LINEAR_MEDIAN = 10.0
"""10 dB: the median of no terrain's backscatter; amplitudes and counts are far above."""


def check_units(options: Options) -> None:
    """Refuse a ``--units`` that the sensor's numbers cannot have.

    Raises:
        BadOptionError: See above.
    """
    possible = DECIDABLE[sensor_record(options.sensor).unit]
    if options.units is not None and options.units not in possible:
        raise BadOptionError(
            f"--units {options.units} is nothing that {options.sensor} holds: say {' or '.join(possible)}."
        )
    if options.s2_offset is not None and sensor_record(options.sensor).baseline_offset is None:
        raise BadOptionError(f"--s2-offset belongs to --sensor s2, not {options.sensor}.")
    if options.s2_offset is not None and options.units == "reflectance":
        raise BadOptionError(
            "--units reflectance says that no offset is due: leave --s2-offset out, or say --units dn."
        )


def decide(raster: RasterFile, options: Options) -> tuple[Units, LinearConversion]:
    """What the numbers of a plain file are: one with no product metadata beside it.

    Raises:
        RadiometryUnknownError: Neither the file nor the person says.
    """
    unit = sensor_record(options.sensor).unit
    if unit == "dB":
        return _backscatter(raster, options)
    if unit == "unitless":
        return _eight_bit(raster)
    return _reflectance(raster, options)


def _backscatter(raster: RasterFile, options: Options) -> tuple[Units, LinearConversion]:
    if raster.integer and not raster.rescaled:
        raise RadiometryUnknownError(
            f"{raster.path} holds integers ({raster.dtypes[0]}) without a scale: amplitudes or labels, "
            "no calibrated backscatter. Take the radiometrically terrain-corrected product (RTC) instead."
        )
    stated = quantity_in_name(raster)
    if stated == "amplitude":
        raise RadiometryUnknownError(
            f"{raster.path} holds amplitudes by its name, expected power or decibels. Order the product in power, or "
            "square the numbers and rename the file."
        )
    if stated and options.units not in (None, stated):
        raise RadiometryUnknownError(
            f"{raster.path}: --units says {options.units}, its name says {stated}. Leave --units out, or rename the "
            "file or band that is wrong."
        )
    if stated and options.units is None:
        options = replace(options, units=stated)
    if options.units is None:
        dated = "" if options.time else " Where a file does not say when it was taken, add --date YYYY-MM-DD."
        raise RadiometryUnknownError(
            f"{raster.path}: backscatter in dB and as linear power look alike. Say which with --units db "
            f"or --units linear.{dated}"
        )
    return options.units, _own_scale(raster, "dB" if options.units == "db" else "linear")


def _eight_bit(raster: RasterFile) -> tuple[Units, LinearConversion]:
    if set(raster.dtypes) != {"uint8"}:
        raise RadiometryUnknownError(
            f"{raster.path} holds {raster.dtypes[0]}, and --sensor aerial is 8-bit imagery. Convert it "
            "with `gdal_translate -ot Byte -scale LOW HIGH 0 255`, with the same LOW and HIGH for every "
            "file."
        )
    return "uint8", LinearConversion(1 / 255, 0.0, "unitless")


def _reflectance(raster: RasterFile, options: Options) -> tuple[Units, LinearConversion]:
    if set(raster.dtypes) == {"uint8"}:
        raise RadiometryUnknownError(
            f"{raster.path} is an 8-bit picture, not reflectance. Take the analytic product, or add it "
            "with --sensor aerial."
        )
    quantum = layout(options.sensor).quantum or 1.0
    if options.units == "reflectance":
        stored = raster.integer and not raster.rescaled
        return "reflectance", LinearConversion(quantum, 0.0, "reflectance") if stored else _own_scale(
            raster, "reflectance"
        )
    if options.s2_offset is not None:
        return "dn", sentinel2_conversion(options.s2_offset, quantum)
    if sensor_record(options.sensor).baseline_offset is not None:
        raise RadiometryUnknownError(
            f"{raster.path} does not say its processing baseline, and from 04.00 on 1000 is added to the "
            "numbers. Say --s2-offset -1000 (baseline 04.00 or later), --s2-offset 0 (earlier), or "
            "--units reflectance (offset removed)."
        )
    raise RadiometryUnknownError(
        f"{raster.path}: nothing beside it (AnalyticMS_SR in its name, metadata XML) says whether its "
        "numbers are reflectance or radiance. If they are surface reflectance times 10000, say --units "
        "reflectance."
    )


def sentinel2_conversion(offset: int, quantum: float) -> LinearConversion:
    """Sentinel-2 reflectance = (DN + offset) * quantum (ESA, product specification document, level 2A)."""
    return LinearConversion(quantum, round(offset * quantum, 12), "reflectance")


def _own_scale(raster: RasterFile, unit: str) -> LinearConversion:
    """What the file itself declares; one scale and offset for all its bands.

    Raises:
        RadiometryUnknownError: Its bands declare different ones.
    """
    if len(set(raster.scales)) > 1 or len(set(raster.offsets)) > 1:
        raise RadiometryUnknownError(
            f"{raster.path} declares other scales and offsets for other bands ({raster.scales[:4]}...). "
            "Write it with `gdal_translate -unscale` first."
        )
    return LinearConversion(raster.scales[0], raster.offsets[0], unit)


def check_pixels(
    raster: RasterFile,
    pixels: NDArray[np.float64],
    sensor: str,
    units: Units,
    conversions: tuple[LinearConversion | None, ...],
) -> None:
    """Refuse a file whose pixels contradict what was declared.

    Args:
        raster: Named in the message.
        pixels: float64 (band, pixel), digital numbers, NaN where not observed.
        sensor: Whose valid range counts.
        units: What was declared.
        conversions: One a band; None: not checked (alpha, mask).

    Raises:
        RadiometryUnknownError: They do.
    """
    if sensor_record(sensor).unit != "unitless":  # exactly 0 in all bands is fill, as the readers take it
        pixels = pixels[:, (pixels != 0).any(axis=0)]
    values = np.concatenate(
        [row * each.scale + each.offset for row, each in zip(pixels, conversions, strict=True) if each is not None]
    )
    values = values[np.isfinite(values)]
    if values.size == 0:
        return
    if units == "linear":
        _check_linear(raster, values)
        values = 10 * np.log10(values[values > 0])
    if units == "db" and (values >= 0).mean() > 1 - MOSTLY / 5:
        raise RadiometryUnknownError(
            f"{raster.path} was declared dB, and {_pct(values >= 0)} of its pixels are not negative "
            f"(median {np.median(values):.3g}): backscatter in dB mostly is. Is it --units linear?"
        )
    low, high = sensor_record(sensor).valid_range
    outside = (values < low) | (values > high)
    if values.size and outside.mean() > MOSTLY:
        raise RadiometryUnknownError(
            f"{raster.path}: as {units}, {_pct(outside)} of its pixels lie outside {low:g}..{high:g} "
            f"{sensor_record(sensor).unit} (median {np.median(values):.4g}). Say what its numbers are "
            "with --units."
        )


def _check_linear(raster: RasterFile, values: NDArray[np.float64]) -> None:
    negative = values < 0
    if negative.mean() > MOSTLY:
        raise RadiometryUnknownError(
            f"{raster.path} was declared linear power, and {_pct(negative)} of its pixels are negative "
            f"(median {np.median(values):.3g}): power never is. Is it --units db?"
        )
    if np.median(values) > LARGEST_LINEAR_MEDIAN:
        raise RadiometryUnknownError(
            f"{raster.path} was declared linear power, and its median is {np.median(values):.4g}, above "
            "that of any terrain: these look like uncalibrated amplitudes. Take the RTC product instead."
        )


def _pct(share: NDArray[np.bool_]) -> str:
    return f"{100 * share.mean():.0f} %"
