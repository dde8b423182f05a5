"""Sensors: their bands, and the physical quantity a pixel of theirs holds once it is read."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from geoseg.catalog.baseline import ProcessingBaseline
from geoseg.catalog.records import Record, load_folder, pick

Unit = Literal["reflectance", "dB", "unitless"]
"""``reflectance`` 0..1, ``dB`` of gamma0 or sigma0 power, ``unitless`` 0..1 of uncalibrated 8-bit imagery."""


class Band(Record):
    """One band.

    Attributes:
        wavelength_um: Centre in micrometres; None for radar.
        gsd_m: Native ground sampling in metres.
        title: Name for messages and lists.
    """

    wavelength_um: float | None = Field(default=None, gt=0.3, lt=20)
    gsd_m: float = Field(gt=0)
    title: str = ""


def _is_baseline(text: str) -> str:
    if ProcessingBaseline.parse(text) is None:
        raise ValueError(f"expected a processing baseline such as 04.00, got {text!r}")
    return text


class BaselineOffset(Record):
    """An offset that newer products carry.

    Attributes:
        since: Processing baseline of the first products that carry it (``04.00``).
        offset: Added to the scaled numbers, in the sensor's unit.
    """

    since: Annotated[str, AfterValidator(_is_baseline)]
    offset: float

    def of(self, baseline: ProcessingBaseline) -> float:
        """Offset of products of ``baseline``; 0 before ``since``."""
        since = ProcessingBaseline.parse(self.since)
        return self.offset if since is not None and baseline >= since else 0.0


class Sensor(Record):
    """One sensor.

    Attributes:
        title: Name for messages and lists.
        unit: Physical unit of every band.
        valid_range: Lowest and highest plausible value in ``unit``; a scene mostly outside is in another unit.
        gsd_m: Resolution of a map where none was asked for, metres.
        bands: Bands by name, in spectral (or polarisation) order.
        display: Three bands shown as red, green, blue (or one, shown grey).
        polarised: Bands are polarisations of a radar: power, which is averaged as such and shown in dB.
        zero_is_fill: The provider documents the digital number 0 as nodata, in every product of this sensor.
        baseline_offset: Offset that depends on the processing baseline; None: products have no baselines.
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
    polarised: bool = False
    zero_is_fill: bool = False
    baseline_offset: BaselineOffset | None = None
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
