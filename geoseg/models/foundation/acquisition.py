"""Check the acquisition metadata of a batch: wavelengths, ground sampling, times and coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict, Unpack

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


class AcquisitionFacts(TypedDict, total=False):
    """Acquisition metadata as a caller gives them; None, or left out: unknown.

    Attributes:
        wavelengths_um: Centre of each band in micrometres, for encoders that are conditioned on it.
        gsd_m: Ground sampling, metres.
        time: Acquisition: one for all, one per item, or one row of frames per item.
        latlon: Latitude and longitude in degrees: one pair for all, or one per item.
    """

    wavelengths_um: Sequence[float] | None
    gsd_m: float | None
    time: Times | None
    latlon: LatLon | None


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Acquisition metadata of a batch, checked; None: unknown.

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
        **facts: Unpack[AcquisitionFacts],
    ) -> Acquisition:
        """Check acquisition metadata against the shape of the chips.

        Raises:
            BandMismatchError: Not one wavelength per band.
            InputRangeError: A value out of range, or not one per item and frame.
        """
        wavelengths_um, gsd_m = facts.get("wavelengths_um"), facts.get("gsd_m")
        time, latlon = facts.get("time"), facts.get("latlon")
        return cls(
            None if wavelengths_um is None else _wavelengths(wavelengths_um, bands),
            None if gsd_m is None else _gsd(gsd_m),
            None if time is None else _times(time, batch, frames),
            None if latlon is None else _coordinates(latlon, batch),
        )


def _wavelengths(given: Sequence[float], bands: int) -> tuple[float, ...]:
    values = tuple(float(value) for value in given)
    if len(values) != bands:
        raise BandMismatchError(
            f"Wavelengths: expected {bands}, one per band, got {len(values)}. Give one per band, in order."
        )
    for value in values:
        if value > LONGEST_UM:
            raise InputRangeError(
                f"Wavelength {value:g}: expected micrometres, at most {LONGEST_UM:g}; it looks like nanometres. "
                "Divide by 1000."
            )
        if not value >= SHORTEST_UM:
            raise InputRangeError(
                f"Wavelength {value:g}: expected micrometres, at least {SHORTEST_UM:g}. Give the centre of the band."
            )
    return values


def _gsd(value: float) -> float:
    if not 0 < value <= COARSEST_M:
        raise InputRangeError(
            f"gsd_m {value:g}: expected metres above 0, at most {COARSEST_M:g}. Give the size of a pixel in metres."
        )
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
            f"Acquisition times: expected {batch} items x {frames} frames, as the chips, got {shape}. Give one per "
            "frame."
        )
    return tuple(tuple(_utc(moment) for moment in row) for row in rows)


def _utc(moment: datetime) -> datetime:
    if not isinstance(moment, datetime):
        raise InputRangeError(f"Acquisition time: expected a datetime, got {moment!r}.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InputRangeError(f"Acquisition time: expected a year from {FIRST_YEAR} to {LAST_YEAR}, got {moment.year}.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _coordinates(given: LatLon, batch: int) -> tuple[tuple[float, float], ...]:
    first = given[0] if len(given) else None
    pairs: Sequence[Sequence[float]] = [given] * batch if isinstance(first, int | float) else given  # type: ignore[list-item,assignment]
    if len(pairs) != batch or any(len(pair) != 2 for pair in pairs):
        raise InputRangeError(
            f"latlon: expected {batch} pairs, one per chip, got {len(pairs)}. Give (latitude, longitude) of each."
        )
    for latitude, longitude in pairs:
        if not (math.isfinite(latitude) and abs(latitude) <= 90 and math.isfinite(longitude) and abs(longitude) <= 180):
            raise InputRangeError(
                f"latlon: expected latitude -90..90 and longitude -180..180, got {latitude:g}, {longitude:g}. "
                "Give degrees, latitude first."
            )
    return tuple((float(latitude), float(longitude)) for latitude, longitude in pairs)
