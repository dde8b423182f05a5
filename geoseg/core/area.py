"""Where: a bounding box or the polygons of an AOI file, in degrees (WGS 84)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from geoseg.errors import BadAreaError

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
