"""What a person asks for: one frozen record, which prints as the command that asks for it again."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from geoseg.errors import BadAreaError, BadDateError, BadOptionError

BBox = tuple[float, float, float, float]
"""West, south, east, north in degrees (WGS 84)."""

Composite = Literal["nearest", "median"]
MIN_SIDE_DEG = 1e-6
"""About 0.1 m: nothing narrower is an area."""


@dataclass(frozen=True, slots=True)
class Area:
    """Where: a box, or the polygons of an AOI file.

    Attributes:
        bbox: West, south, east, north in degrees, WGS 84.
        source: What the person typed: the box as text, or the path of the AOI file.
        polygon: GeoJSON geometry (WGS 84) as text where an AOI file was given; the box otherwise counts whole.
    """

    bbox: BBox
    source: str
    polygon: str | None = None

    @classmethod
    def from_bbox(cls, some_bbox: str | tuple[float, ...] | list[float]) -> Self:
        """Take ``"W,S,E,N"`` or four numbers, in degrees.

        Raises:
            BadAreaError: Not four numbers, outside the world, west beyond east, or without extent.
        """
        parts = some_bbox.replace(" ", ",").split(",") if isinstance(some_bbox, str) else list(some_bbox)
        try:
            numbers = [float(part) for part in parts if part != ""]
        except ValueError:
            raise BadAreaError(f"--bbox takes four numbers W,S,E,N in degrees, not {some_bbox!r}.") from None
        if len(numbers) != 4:
            raise BadAreaError(f"--bbox takes four numbers W,S,E,N in degrees; {some_bbox!r} has {len(numbers)}.")
        west, south, east, north = numbers
        bbox = (west, south, east, north)
        check_bbox(bbox)
        return cls(bbox, ",".join(repr(number).removesuffix(".0") for number in bbox))

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """Read the polygons of a GeoJSON, GeoPackage or Shapefile in any CRS.

        Raises:
            BadAreaError: No such file, not a vector file, without a CRS, without a polygon, or outside the world.
        """
        import geopandas
        from shapely import make_valid, to_geojson, union_all
        from shapely.geometry.base import BaseGeometry

        path = Path(path)
        if not path.exists():
            raise BadAreaError(f"There is no AOI file {path}.")
        try:
            names = geopandas.list_layers(path)["name"]
            frames = [geopandas.read_file(path, layer=name) for name in names]
        except Exception as error:  # noqa: BLE001 - pyogrio raises many kinds; all mean "not a vector file"
            raise BadAreaError(f"{path} is not a vector file that GDAL can read ({type(error).__name__}).") from None
        layers = [frame.geometry for frame in frames if isinstance(frame, geopandas.GeoDataFrame)]
        # collections are taken apart, so that a polygon among points counts
        parts = [part[part.notna() & ~part.is_empty].explode() for part in layers]
        polygons = [part[part.geom_type == "Polygon"] for part in parts]
        polygons = [part for part in polygons if not part.empty]
        if not polygons:
            raise BadAreaError(f"{path} holds no polygon. An AOI is one or more polygons.")
        if any(part.crs is None for part in polygons):
            raise BadAreaError(f"{path} has no CRS, so its place on Earth is unknown. Save it with one.")
        union: BaseGeometry = make_valid(union_all([part.to_crs(4326).union_all() for part in polygons]))
        west, south, east, north = (float(number) for number in union.bounds)
        check_bbox((west, south, east, north))
        return cls((west, south, east, north), str(path), to_geojson(union))

    @property
    def geojson(self) -> dict[str, Any]:
        """The area as a GeoJSON geometry, WGS 84."""
        if self.polygon is not None:
            return dict(json.loads(self.polygon))
        west, south, east, north = self.bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": [ring]}


def check_bbox(bbox: BBox) -> None:
    """Refuse a box that is no area on Earth, naming the likely slip.

    Raises:
        BadAreaError: See the messages.
    """
    west, south, east, north = bbox
    if not all(abs(number) < float("inf") for number in bbox):
        raise BadAreaError(f"The box {bbox} holds a number that is not finite.")
    if max(abs(south), abs(north)) > 90:
        swapped = max(abs(west), abs(east)) <= 90
        hint = "Latitude and longitude look swapped: the order is W,S,E,N." if swapped else "The order is W,S,E,N."
        raise BadAreaError(f"Latitude {south}..{north} is outside the world. {hint}")
    if max(abs(west), abs(east)) > 180:
        raise BadAreaError(f"Longitude {west}..{east} is outside the world (-180..180).")
    if west > east:
        raise BadAreaError(
            f"West {west} is beyond east {east}. The order is W,S,E,N; across the antimeridian, map two boxes."
        )
    if south > north:
        raise BadAreaError(f"South {south} is beyond north {north}. The order is W,S,E,N.")
    if east - west < MIN_SIDE_DEG or north - south < MIN_SIDE_DEG:
        raise BadAreaError(f"The box {west},{south},{east},{north} has no extent.")


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
        composite: ``nearest`` clear observation in time, or per-pixel ``median``.
        reference_water: Name of a reference-water collection, a raster or vector file, or None.
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
    composite: Composite = option("--composite", "nearest")
    reference_water: str | None = option("--reference-water")
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
        if self.composite not in ("nearest", "median"):
            raise BadOptionError(f"--composite is nearest or median, not {self.composite!r}.")
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
