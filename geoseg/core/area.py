"""Where: a bounding box or the polygons of an AOI file, in degrees (WGS 84)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from geoseg.core.vectors import VectorRole, polygons_of, read_polygon_file, reproject
from geoseg.errors import BadAreaError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

WGS84 = "EPSG:4326"
AOI = VectorRole("an AOI", "An AOI is one or more polygons.", BadAreaError, missing=BadAreaError)

BBox = tuple[float, float, float, float]
"""West, south, east, north in degrees (WGS 84)."""

MIN_SIDE_DEG = 1e-6
"""About 0.1 m: nothing narrower is an area."""


@dataclass(frozen=True, slots=True)
class Area:
    """Where: a box, or the polygons of an AOI file.

    Attributes:
        bbox: West, south, east, north in degrees, WGS 84.
        source: What the person typed: the box as text, or the path of the AOI file.
        polygon: GeoJSON geometry (WGS 84) as text where an AOI file was given; the box otherwise counts whole.
        notes: What of the AOI file is used, and what is not.
    """

    bbox: BBox
    source: str
    polygon: str | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

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

        Args:
            path: The file, or ``FILE|layername=NAME``; else every layer with polygons counts.

        Raises:
            BadAreaError: No such file, not a vector file, without a CRS, without a polygon, outside the world, or
                across the antimeridian.
            BadOptionError: No layer of that name.
        """
        from shapely import to_geojson, union_all

        file = read_polygon_file(path, AOI)
        parts = tuple(
            each for layer in file.layers if layer.crs for each in reproject(layer.polygons, layer.crs, WGS84)
        )
        placeless = any(not math.isfinite(bound) for part in parts for bound in part.bounds)
        file.check(AOI, ["its coordinates do not fit its CRS"] * placeless)
        _check_antimeridian(parts, file.source)
        # each part is valid before the union, but reprojection may have crossed its edges
        union = union_all([polygons_of(part) for part in parts])
        west, south, east, north = (float(number) for number in union.bounds)
        check_bbox((west, south, east, north), file.source)
        return cls((west, south, east, north), str(path), to_geojson(union), file.notes())

    @property
    def middle_latlon(self) -> tuple[float, float]:
        """Latitude and longitude of the middle, degrees."""
        west, south, east, north = self.bbox
        return (south + north) / 2, (west + east) / 2

    @property
    def geojson(self) -> dict[str, Any]:
        """The area as a GeoJSON geometry, WGS 84."""
        if self.polygon is not None:
            return dict(json.loads(self.polygon))
        west, south, east, north = self.bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": [ring]}


def check_bbox(bbox: BBox, source: str = "--bbox") -> None:
    """Refuse a box that is not an area on Earth, naming the likely mistake.

    Args:
        bbox: West, south, east, north in degrees.
        source: The option or file that it comes from, for the message.

    Raises:
        BadAreaError: A number that is not finite, outside the world, west beyond east, or without extent.
    """
    west, south, east, north = bbox
    if not all(math.isfinite(number) for number in bbox):
        raise BadAreaError(f"{source}: the box {bbox} holds a number that is not finite.")
    if max(abs(south), abs(north)) > 90:
        swapped = max(abs(west), abs(east)) <= 90
        order = "W,S,E,N" if source == "--bbox" else "longitude, latitude"
        hint = "Latitude and longitude look swapped: the" if swapped else "The"
        raise BadAreaError(f"{source}: latitude {south:g}..{north:g} is outside the world. {hint} order is {order}.")
    if max(abs(west), abs(east)) > 180:
        raise BadAreaError(
            f"{source}: longitude {west:g}..{east:g} is outside the world (-180..180). "
            f"Beyond the antimeridian write {_beyond_antimeridian(bbox)}."
        )
    if west > east:
        crossing = _two_boxes(west, south, east, north)
        raise BadAreaError(
            f"{source}: west {west:g} is beyond east {east:g}. The order is W,S,E,N. "
            f"Across the antimeridian, map two areas: {crossing}."
        )
    if south > north:
        raise BadAreaError(f"{source}: south {south:g} is beyond north {north:g}. The order is W,S,E,N.")
    if east - west < MIN_SIDE_DEG or north - south < MIN_SIDE_DEG:
        raise BadAreaError(f"{source}: the box {west},{south},{east},{north} has no extent.")


def _check_antimeridian(parts: Sequence[BaseGeometry], source: str) -> None:
    """Refuse polygons that lie on both sides of longitude 180, in whichever of the usual spellings.

    A ring that crosses jumps from one end of the longitudes to the other; one that was cut in two, as GeoJSON wants
    it, leaves more than half of the Earth empty between its parts.

    Args:
        parts: Polygons in degrees, WGS 84.
        source: The file, for the message.

    Raises:
        BadAreaError: They do.
    """
    import numpy as np
    import shapely

    polygons = shapely.get_parts(list(parts))
    rings = [shapely.get_coordinates(ring)[:, 0] for ring in shapely.get_rings(polygons)]
    jumps = any(bool((np.abs(np.diff(ring)) > 180).any()) for ring in rings)
    spans = sorted((each.bounds[0], each.bounds[2]) for each in polygons)
    reached, apart = -math.inf, False
    for first, last in spans:
        apart |= math.isfinite(reached) and first - reached > 180
        reached = max(reached, last)
    if not (jumps or apart):
        return
    longitudes = np.concatenate(rings)
    around = longitudes % 360  # 0..360: the antimeridian lies in the middle
    south, north = min(each.bounds[1] for each in parts), max(each.bounds[3] for each in parts)
    boxes = _two_boxes(float(around.min()), south, float(around.max()) - 360, north)
    raise BadAreaError(
        f"{source} crosses the antimeridian (longitude 180), or holds a pole. Map the two sides one by one: {boxes}."
    )


def _two_boxes(west: float, south: float, east: float, north: float) -> str:
    """Spell the two boxes of an area across the antimeridian, ``west`` east of its middle and ``east`` west of it."""
    return f"--bbox={west:.6g},{south:.6g},180,{north:.6g} and --bbox=-180,{south:.6g},{east:.6g},{north:.6g}"


def _beyond_antimeridian(bbox: BBox) -> str:
    """Spell a box with longitudes beyond 180 or -180 within them."""
    west, south, east, north = bbox
    first, last = ((number + 180) % 360 - 180 for number in (west, east))
    if first < last:
        return f"--bbox={first:.6g},{south:.6g},{last:.6g},{north:.6g}"
    return _two_boxes(first, south, last, north)
