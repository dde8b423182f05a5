"""How a batch was acquired, in physical units and checked, before any encoder makes numbers of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from geoseg.errors import BandMismatchError, InputRangeError

Times = datetime | Sequence[datetime] | Sequence[Sequence[datetime]]
"""One acquisition for all, one per item, or one row of frames per item. A time without a zone is UTC."""

LatLon = tuple[float, float] | Sequence[tuple[float, float]]
"""Latitude and longitude in degrees: one pair for all items, or one pair per item."""

LONGEST_UM = 20.0
"""Thermal infrared ends below it; every band in nanometres lies above it. The placeholders that encoders use for radar
(3.5, 4.0, 5.405) pass."""

SHORTEST_UM = 0.3
FIRST_YEAR, LAST_YEAR = 1972, 2100
"""The first Landsat image, and a year that no archive reaches."""

COARSEST_M = 10_000.0


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What is known about a batch.

    Attributes:
        wavelengths_um: Centre of each band, micrometres.
        gsd_m: Ground sampling, metres.
        times: Of each item, of each frame; UTC.
        latlon: Degrees, of each item.
    """

    wavelengths_um: tuple[float, ...] | None
    gsd_m: float | None
    times: tuple[tuple[datetime, ...], ...] | None
    latlon: tuple[tuple[float, float], ...] | None

    @classmethod
    def checked(
        cls,
        *,
        bands: int,
        batch: int,
        frames: int = 1,
        wavelengths_um: Sequence[float] | None = None,
        gsd_m: float | None = None,
        time: Times | None = None,
        latlon: LatLon | None = None,
    ) -> Acquisition:
        """Check what a caller says against the shape of its chips.

        Raises:
            BandMismatchError: Not one wavelength per band.
            InputRangeError: A value that cannot be, or not one per item and frame.
        """
        return cls(
            None if wavelengths_um is None else _wavelengths(wavelengths_um, bands),
            None if gsd_m is None else _gsd(gsd_m),
            None if time is None else _times(time, batch, frames),
            None if latlon is None else _places(latlon, batch),
        )


def _wavelengths(given: Sequence[float], bands: int) -> tuple[float, ...]:
    values = tuple(float(value) for value in given)
    if len(values) != bands:
        raise BandMismatchError(f"{len(values)} wavelengths were given for {bands} bands. Give one per band, in order.")
    for value in values:
        if value > LONGEST_UM:
            raise InputRangeError(
                f"A wavelength of {value:g} micrometres is no light: it looks like nanometres. Divide by 1000."
            )
        if not value >= SHORTEST_UM:
            raise InputRangeError(
                f"A wavelength of {value:g} micrometres is none that a sensor sees. Give micrometres."
            )
    return values


def _gsd(value: float) -> float:
    if not 0 < value <= COARSEST_M:
        raise InputRangeError(f"A ground sampling of {value:g} m cannot be. Give the size of a pixel in metres.")
    return float(value)


def _times(given: Times, batch: int, frames: int) -> tuple[tuple[datetime, ...], ...]:
    rows: list[tuple[datetime, ...]]
    if isinstance(given, datetime):
        rows = [(given,)] * batch
    else:
        rows = [(item,) if isinstance(item, datetime) else tuple(item) for item in given]
    if len(rows) != batch or any(len(row) != frames for row in rows):
        shape = f"{len(rows)} x {len(rows[0]) if rows else 0}"
        raise InputRangeError(
            f"Acquisition times for {shape} items and frames were given, the chips hold {batch} x {frames}."
        )
    return tuple(tuple(_utc(moment) for moment in row) for row in rows)


def _utc(moment: datetime) -> datetime:
    if not isinstance(moment, datetime):
        raise InputRangeError(f"An acquisition time must be a datetime, not {moment!r}.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InputRangeError(
            f"An acquisition in the year {moment.year} cannot be: images are from {FIRST_YEAR} to {LAST_YEAR}."
        )
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _places(given: LatLon, batch: int) -> tuple[tuple[float, float], ...]:
    first = given[0] if len(given) else None
    pairs: Sequence[Sequence[float]] = [given] * batch if isinstance(first, int | float) else given  # type: ignore[list-item,assignment]
    if len(pairs) != batch or any(len(pair) != 2 for pair in pairs):
        raise InputRangeError(f"{len(pairs)} places were given for {batch} chips. Give (latitude, longitude) of each.")
    for latitude, longitude in pairs:
        if not (math.isfinite(latitude) and abs(latitude) <= 90 and math.isfinite(longitude) and abs(longitude) <= 180):
            raise InputRangeError(
                f"Latitude {latitude:g}, longitude {longitude:g} is no place on Earth. Give degrees, latitude first."
            )
    return tuple((float(latitude), float(longitude)) for latitude, longitude in pairs)
