"""What a person asks for: one frozen record, which prints as the command that asks for it again."""

from __future__ import annotations

import calendar
import re
import shlex
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from geoseg.core.area import Area
from geoseg.errors import BadAreaError, BadDateError, BadOptionError


@dataclass(frozen=True, slots=True)
class Dates:
    """One day, or a range of days, in UTC, both ends included."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str, flag: str = "--date") -> Self:
        """Take ``YYYY-MM-DD`` or ``YYYY-MM-DD/YYYY-MM-DD``; ``flag`` is what a refusal calls it.

        Raises:
            BadDateError: Malformed, backwards, or in the future.
        """
        parts = text.strip().split("/")
        if len(parts) > 2:
            raise BadDateError(f"{flag} takes one day or FIRST/LAST, not {text!r}.")
        try:
            days = [datetime.strptime(part, "%Y-%m-%d").replace(tzinfo=UTC).date() for part in parts]
        except ValueError:
            for part in parts:
                _check_day_exists(part, flag)
            raise BadDateError(f"{flag} takes YYYY-MM-DD or YYYY-MM-DD/YYYY-MM-DD, not {text!r}.") from None
        first, last = days[0], days[-1]
        if first > last:
            raise BadDateError(f"The range {text} runs backwards.")
        if last > datetime.now(UTC).date():
            raise BadDateError(f"{last} is in the future: nothing has been observed there yet.")
        return cls(first, last)

    def widened(self, days: int) -> Dates:
        """The same dates with ``days`` more on either side, as far as the calendar reaches."""
        before, after = (self.first - date.min).days, (date.max - self.last).days
        return Dates(self.first - timedelta(days=min(days, before)), self.last + timedelta(days=min(days, after)))

    @property
    def middle(self) -> datetime:
        """The instant that "nearest in time" is measured from: noon UTC of the day, or the middle of the range."""
        start = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        return start + ((self.last - self.first) + timedelta(days=1)) / 2

    @property
    def interval(self) -> tuple[datetime, datetime]:
        """First instant and last instant, UTC, both included."""
        start = datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC)
        stop = datetime(self.last.year, self.last.month, self.last.day, tzinfo=UTC)
        return start, stop + timedelta(days=1) - timedelta(microseconds=1)

    def __str__(self) -> str:
        """As a person types it."""
        return f"{self.first}" if self.first == self.last else f"{self.first}/{self.last}"


def _check_day_exists(text: str, flag: str) -> None:
    """Say of a date in the right form why it is none.

    Raises:
        BadDateError: The month or the day does not exist.
    """
    form = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text)
    if form is None:
        return
    year, month, day = (int(number) for number in form.groups())
    if not 1 <= month <= 12:
        raise BadDateError(f"{flag} {text}: there is no month {month}. The order is year-month-day.")
    days = calendar.monthrange(year, month)[1] if year else 0
    if not 1 <= day <= days:
        raise BadDateError(f"{flag} {text}: this day does not exist. Month {month} of {year} has {days} days.")


ReferenceKind = Literal["mask", "occurrence"]
"""What the values of a reference raster are: 0 and 1, or water occurrence in per cent."""


def option(flag: str, default: Any = None) -> Any:
    """A field of Request that is typed as ``flag`` on the command line."""
    return field(default=default, metadata={"flag": flag})


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that decides what a map shows. How it is computed (workers, device, batch) is not in here.

    Attributes:
        area: Where.
        dates: When.
        sensor: Name of a sensor record: ``s1``, ``s2``, ``planetscope``, ``aerial``.
        catalog: Catalogue name, STAC API address, ``catalog.json`` or stac-geoparquet file; None: the sensor's own.
        model: Model name or bundle folder; None: the sensor's default.
        resolution_m: Pixel size in metres; None: the sensor's.
        crs: Output CRS; None: the UTM zone of the area's middle.
        window_days: Days searched on either side of ``dates``.
        max_cloud_pct: Scenes that state more cloud than this (0..100) are left out.
        composite: How the passes become one picture: ``nearest`` clear observation in time, or per-pixel ``median``.
        reference_water: Name of a reference-water collection, a raster or vector file, or None.
        reference_kind: What the values of a reference raster are; None: 0 and 1, or what the file declares.
        before: Dates before the flood: water seen then is permanent water, and change models read them.
        prune: Level 1..4 that a U-Net++ answers with, running nothing deeper; None: as its card says.
        precision: ``32``, or ``bf16``: a network computed in bfloat16, faster on GPUs and on CPUs that know it, and
            off by a little.
        allow_large: The person has said yes to a map over the size limit.
    """

    area: Area = field(metadata={"flag": "--bbox"})
    dates: Dates = field(metadata={"flag": "--date"})
    sensor: str = field(metadata={"flag": "--sensor"})
    catalog: str | None = option("--catalog")
    model: str | None = option("--model")
    resolution_m: float | None = option("--resolution")
    crs: str | None = option("--crs")
    window_days: int = option("--window-days", 0)
    max_cloud_pct: float | None = option("--max-cloud")
    composite: str = option("--composite", "nearest")
    reference_water: str | None = option("--reference-water")
    reference_kind: ReferenceKind | None = option("--reference-kind")
    before: Dates | None = option("--before")
    prune: int | None = option("--prune")
    precision: Literal["32", "bf16"] = option("--precision", "32")
    allow_large: bool = option("--yes", False)

    def __post_init__(self) -> None:
        """Refuse what no map can have.

        Raises:
            BadOptionError: A number or name out of its range.
        """
        for each in fields(self):
            if getattr(self, each.name) == "":  # an unset variable of a shell, most likely: no default is meant
                raise BadOptionError(f"{each.metadata['flag']} is empty. Name something, or leave it out.")
        if self.reference_water == "none":
            object.__setattr__(self, "reference_water", None)
        if self.reference_kind not in (None, "mask", "occurrence"):
            raise BadOptionError(f"--reference-kind is mask or occurrence, not {self.reference_kind!r}.")
        if self.reference_kind and self.reference_water is None:
            raise BadOptionError("--reference-kind applies to the raster of --reference-water, which is not given.")
        if self.resolution_m is not None and not 0 < self.resolution_m < 1e5:
            raise BadOptionError(f"--resolution is metres above 0 and below 100000, not {self.resolution_m}.")
        if not 0 <= self.window_days <= 3660:
            raise BadOptionError(f"--window-days is 0..3660, not {self.window_days}.")
        if self.max_cloud_pct is not None and not 0 <= self.max_cloud_pct <= 100:
            raise BadOptionError(f"--max-cloud is a percentage 0..100, not {self.max_cloud_pct}.")
        if self.prune is not None and not 1 <= self.prune <= 4:
            raise BadOptionError(f"--prune is a level 1..4 of a U-Net++, not {self.prune}.")
        if self.precision not in ("32", "bf16"):
            raise BadOptionError(f"--precision is 32 or bf16, not {self.precision!r}.")
        if self.before is not None and self.before.last >= self.dates.first:
            raise BadOptionError(f"--before {self.before} must end before --date {self.dates} begins.")

    @classmethod
    def of(
        cls,
        *,
        date: str | None,
        sensor: str | None,
        bbox: str | tuple[float, ...] | None = None,
        aoi: Path | str | None = None,
        before: str | None = None,
        **options: Any,
    ) -> Self:
        """Build a request from what people write: a box or an AOI file, and dates as text.

        Args:
            date: ``YYYY-MM-DD`` or ``YYYY-MM-DD/YYYY-MM-DD``.
            sensor: Name of a sensor.
            bbox: ``"W,S,E,N"`` or four numbers, degrees.
            aoi: GeoJSON, GeoPackage or Shapefile of polygons, any CRS.
            before: Dates before the flood.
            options: Any other attribute of the class, by its name.

        Raises:
            UsageError: What was written cannot be.
        """
        if not date or not sensor:
            missing = [flag for flag, value in (("--date", date), ("--sensor", sensor)) if not value]
            missing = ["an area (--bbox W,S,E,N or --aoi FILE)"] * (bbox is None and aoi is None) + missing
            raise BadOptionError(f"Missing: {', '.join(missing)}. See --help for examples.")
        if (bbox is None) == (aoi is None):
            raise BadAreaError("Give an area: either --bbox W,S,E,N or --aoi FILE, not both.")
        area = Area.from_bbox(bbox) if bbox is not None else Area.from_file(str(aoi))
        return cls(
            area, Dates.parse(date), sensor, before=Dates.parse(before, "--before") if before else None, **options
        )

    def with_(self, **changes: Any) -> Self:
        """The same request with some attributes changed."""
        return replace(self, **changes)

    def command(self, verb: str = "map", out: Path | None = None) -> str:
        """The command line that asks for this again, quoted for a shell."""
        words = ["geoseg", verb]
        for each in fields(self):
            value, flag = getattr(self, each.name), each.metadata["flag"]
            if isinstance(value, Area):
                flag, value = ("--aoi" if value.polygon else "--bbox"), value.source
            elif value == each.default:
                continue
            words.append(f"{flag}={value}" if str(value).startswith("-") else flag)
            if value is not True and not str(value).startswith("-"):
                words.append(f"{value:g}" if isinstance(value, float) else str(value))
        if out is not None:
            words += ["--out", str(out)]
        return shlex.join(words)

    def record(self) -> dict[str, Any]:
        """The request as plain JSON values."""
        plain: dict[str, Any] = {"bbox": list(self.area.bbox), "area": self.area.source}
        for each in fields(self):
            if each.name != "area":
                value = getattr(self, each.name)
                plain[each.name] = str(value) if isinstance(value, Dates) else value
        return plain
