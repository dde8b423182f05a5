"""Options of ``catalog add`` as a person types them, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, get_args

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import BadOptionError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.naming import bands_given, time_given
from geoseg.sources.local.product import Options, Units

TYPED_LEVELS = ("surface", "toa", "L2A", "L1C")
TYPED_UNITS = tuple(unit for unit in get_args(Units) if unit != "uint8")


@dataclass(frozen=True, slots=True)
class TypedOptions:
    """The options of an addition as a person types them.

    Attributes:
        sensor: Name of a sensor record.
        date: ``YYYY-MM-DD`` (noon UTC then) or an instant.
        units: ``db``, ``linear``, ``reflectance`` or ``dn``.
        bands: Names in file order, separated by commas.
        s2_offset: -1000, 0 or what else is added to Sentinel-2 numbers.
        level: ``surface`` (or ``L2A``), ``toa`` (or ``L1C``), or None.
    """

    sensor: str
    date: str | None = None
    units: str | None = None
    bands: str | None = None
    s2_offset: int | None = None
    level: str | None = None

    def checked(self) -> Options:
        """Check and parse the options.

        Raises:
            UsageError: One of them is not valid for the sensor.
        """
        sensor, units, level, s2_offset = self.sensor, self.units, self.level, self.s2_offset
        sensor_record(sensor)
        if units is not None and units not in TYPED_UNITS:
            raise BadOptionError(f"--units is {', '.join(TYPED_UNITS[:-1])} or {TYPED_UNITS[-1]}, not {units!r}.")
        if level is not None and level not in TYPED_LEVELS:
            raise BadOptionError(f"--level is {', '.join(TYPED_LEVELS[:-1])} or {TYPED_LEVELS[-1]}, not {level!r}.")
        levels: Mapping[str, str] = layout(sensor).levels
        if level is not None and level not in levels and level not in levels.values():
            raise BadOptionError(f"--level {level} is a level of Sentinel-2: use surface or toa for {sensor}.")
        if level is not None and sensor_record(sensor).unit != "reflectance":
            raise BadOptionError(f"--level is about reflectance, which {sensor} does not hold: leave it out.")
        if s2_offset is not None and not -10000 <= s2_offset <= 10000:
            raise BadOptionError(f"--s2-offset is -1000 or 0, not {s2_offset}.")
        level = levels.get(level, level) if level else None
        return Options(
            sensor,
            time_given(self.date),
            cast("Units | None", units),
            bands_given(self.bands, sensor),
            s2_offset,
            level,
        )
