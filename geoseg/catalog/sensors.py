"""Sensors: their bands, and the physical quantity a pixel of theirs holds once it is read."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field

from geoseg.catalog.records import Record, load_folder, pick

Unit = Literal["reflectance", "dB", "unitless"]
"""``reflectance`` 0..1, ``dB`` of gamma0 or sigma0 power, ``unitless`` 0..1 of uncalibrated 8-bit imagery."""


class Band(Record):
    """One band.

    Attributes:
        wavelength_um: Centre in micrometres; None for radar.
        gsd_m: Native ground sampling in metres.
        title: What a person calls it.
    """

    wavelength_um: float | None = Field(default=None, gt=0.3, lt=20)
    gsd_m: float = Field(gt=0)
    title: str = ""


class Sensor(Record):
    """One sensor.

    Attributes:
        title: What a person calls it.
        unit: Physical unit of every band.
        valid_range: Lowest and highest plausible value in ``unit``; a scene mostly outside is in another unit.
        gsd_m: Resolution a map has where none was asked for, metres.
        bands: Bands by name, in spectral (or polarisation) order.
        display: Three bands shown as red, green, blue (or one, shown grey).
        default_catalog: Catalogue used where none was asked for.
        default_model: Model used where none was asked for.
        toa_models: Models used instead where a scene's reflectance is at the top of the atmosphere: the first whose
            bands all scenes have.
    """

    title: str
    unit: Unit
    valid_range: tuple[float, float]
    gsd_m: float = Field(gt=0)
    bands: dict[str, Band] = Field(min_length=1)
    display: tuple[str, ...] = Field(min_length=1, max_length=3)
    default_catalog: str
    default_model: str
    toa_models: tuple[str, ...] = ()


@cache
def sensors() -> dict[str, Sensor]:
    """Every sensor record by name."""
    return load_folder("sensors", Sensor)


def sensor(name: str) -> Sensor:
    """The sensor of that name.

    Raises:
        UnknownNameError: No such sensor.
    """
    return pick("sensor", name, sensors())
