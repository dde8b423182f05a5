"""Where a raster lies on Earth: a polygon in degrees that holds every one of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS as PyprojCRS  # noqa: N811
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from shapely import affinity, make_valid
from shapely.geometry import Point, Polygon, box, mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from geoseg.core.area import BBox
from geoseg.errors import NotIngestibleError

FEWEST_PIECES = 4
"""An edge is cut into at least this many pieces: the edge of a whole-world raster then steps 90 degrees of longitude
at a time, and unwrapping cannot take 360 degrees for none."""

MOST_PIECES = 256
"""...and at most this many; what is still bent is covered by growing the polygon."""

EARTH_RADIUS_M = (6.2e6, 6.5e6)
"""Semi-major axes of Earth's ellipsoids lie within; the Moon's and Mars's do not."""

_NOWHERE = (
    "its CRS ({name}) has no place on Earth. Take the file in a CRS of the Earth, or give it the right one with "
    "`gdal_edit.py -a_srs EPSG:N`."
)
WORLD = box(-180, -90, 180, 90)


@dataclass(frozen=True, slots=True)
class Footprint:
    """A place.

    Attributes:
        geometry: GeoJSON polygon in degrees, WGS 84; a multipolygon where it crosses the antimeridian.
        bbox: West, south, east, north in degrees; -180..180 where it crosses the antimeridian.
    """

    geometry: dict[str, Any]
    bbox: BBox


def footprint(crs: CRS, transform: Affine, shape: tuple[int, int]) -> Footprint:
    """The polygon of a raster's outer edge.

    A straight edge on the map is a curve in degrees. It is cut into pieces, twice as many each time, until the curve
    leaves its chords by less than a quarter of a pixel; the polygon is then grown by what is left.

    Args:
        crs: Of the raster.
        transform: Pixel corner (column, row) to CRS units.
        shape: Rows, columns.

    Raises:
        NotIngestibleError: An edge lies where the projection has no place on Earth.
    """
    check_on_earth(crs)
    try:
        to_degrees = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
    except ProjError:
        raise NotIngestibleError(_NOWHERE.format(name=_name_of(crs))) from None
    geometry = _around_pole(crs, transform, shape, to_degrees) or _outline(transform, shape, to_degrees)
    west, south, east, north = (float(number) for number in geometry.bounds)
    return Footprint(_plain(mapping(geometry)), (west, south, east, north))


def check_on_earth(crs: CRS) -> None:
    """Refuse a CRS that has no place on Earth: an engineering CRS, or one of another planet.

    Raises:
        NotIngestibleError: See above.
    """
    try:
        plain = PyprojCRS.from_wkt(crs.to_wkt())
        ellipsoid = plain.ellipsoid or next((each.ellipsoid for each in plain.sub_crs_list if each.ellipsoid), None)
    except ProjError:
        ellipsoid = None
    if ellipsoid is None or not EARTH_RADIUS_M[0] < ellipsoid.semi_major_metre < EARTH_RADIUS_M[1]:
        raise NotIngestibleError(_NOWHERE.format(name=_name_of(crs)))


def _name_of(crs: CRS) -> str:
    """A CRS as a message names it."""
    try:
        return PyprojCRS.from_wkt(crs.to_wkt()).name[:60] or "unnamed"
    except ProjError:
        return "unknown"


def _outline(transform: Affine, shape: tuple[int, int], to_degrees: Transformer) -> BaseGeometry:
    pieces = FEWEST_PIECES
    while True:
        finer = _ring(transform, shape, 2 * pieces, to_degrees)
        polygon = make_valid(Polygon(finer[::2]))
        pixel = (polygon.area / (shape[0] * shape[1])) ** 0.5
        bulge = max(polygon.boundary.distance(Point(xy)) for xy in finer[1::2])
        if bulge <= pixel / 4 or pieces >= MOST_PIECES:
            break
        pieces *= 2
    if bulge > pixel * 1e-6:  # a middle of a piece need not be its farthest point: hence half as much again
        polygon = polygon.buffer(1.5 * bulge, join_style="mitre")
    return _on_the_globe(polygon.simplify(0))


def _ring(transform: Affine, shape: tuple[int, int], pieces: int, to_degrees: Transformer) -> NDArray[np.float64]:
    """Points along the outer edge: float64 (point, lon-lat), longitudes without a jump at the antimeridian."""
    rows, columns = shape
    along = np.arange(pieces) / pieces
    still, full = np.zeros(pieces), np.ones(pieces)
    column = columns * np.concatenate([along, full, 1 - along, still])
    row = rows * np.concatenate([still, along, full, 1 - along])
    x = transform.a * column + transform.b * row + transform.c
    y = transform.d * column + transform.e * row + transform.f
    lon, lat = _degrees(to_degrees, x, y)
    ring = np.stack([np.unwrap(lon, period=360), lat], axis=1)
    return np.concatenate([ring, ring[:1]])


def _degrees(
    to_degrees: Transformer, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        lon, lat = to_degrees.transform(x, y, errcheck=True)
    except ProjError:
        lon = lat = np.array([np.inf])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and np.abs(lat).max() <= 90 + 1e-6):
        raise NotIngestibleError("Its edges lie outside what its CRS can place on Earth: the CRS or the grid is wrong.")
    return lon, np.clip(lat, -90, 90)


def _on_the_globe(polygon: BaseGeometry) -> BaseGeometry:
    """Cut at the antimeridian, and bring every part into -180..180."""
    west, _, east, _ = polygon.bounds
    first, last = int((west + 180) // 360), int((east + 180) // 360)
    parts = []
    for turn in range(first, last + 1):
        part = affinity.translate(polygon, -360 * turn).intersection(WORLD)
        if part.area > 0:
            parts.append(part)
    return unary_union(parts)


def _around_pole(crs: CRS, transform: Affine, shape: tuple[int, int], to_degrees: Transformer) -> BaseGeometry | None:
    """A cap, where a pole lies inside the raster: its edge circles the pole and encloses no polygon in degrees."""
    if crs.is_geographic:
        return None
    rows, columns = shape
    for latitude in (90.0, -90.0):
        x, y = to_degrees.transform(0.0, latitude, direction="INVERSE")
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        lon, back = to_degrees.transform(x, y)
        inverse = ~transform
        column = inverse.a * x + inverse.b * y + inverse.c
        row = inverse.d * x + inverse.e * y + inverse.f
        if abs(back - latitude) < 1e-6 and np.isfinite(lon) and 0 <= column <= columns and 0 <= row <= rows:
            edge = _ring(transform, shape, MOST_PIECES, to_degrees)[:, 1]
            return box(-180, edge.min(), 180, 90) if latitude > 0 else box(-180, -90, 180, edge.max())
    return None


def _plain(value: Any) -> Any:
    """GeoJSON as json.loads would give it: lists, no tuples."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
