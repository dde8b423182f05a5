"""The output grid: UTM (or a CRS that was asked for), snapped to whole multiples of the resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.core.area import BBox
from geoseg.errors import AreaTooLargeError, BadAreaError, BadOptionError

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

LIMIT_MEGAPIXELS = 500.0
"""About four Sentinel-2 tiles at 10 m: more than this wants ``--yes``."""
MOST_UTM_DEG = 60.0
"""Thirty degrees from its middle a zone shows lengths a seventh too long; at ninety it shows nothing at all."""


def utm_crs(bbox: BBox) -> str:
    """EPSG code of the UTM zone (polar stereographic beyond its reach) of the box's middle.

    Raises:
        BadAreaError: The box is so wide that its far ends have no place in the zone.
    """
    lon, lat = (bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2
    if lat >= 84:
        return "EPSG:3413"
    if lat <= -80:
        return "EPSG:3031"
    if bbox[2] - bbox[0] > MOST_UTM_DEG:
        raise BadAreaError(
            f"An area {bbox[2] - bbox[0]:g} degrees wide fits no UTM zone. Name a --crs for it, or map it in parts."
        )
    zone = min(int((lon + 180) // 6) + 1, 60)
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def output_grid(
    bbox: BBox,
    resolution_m: float,
    crs: str | None = None,
    *,
    limit_megapixels: float | None = LIMIT_MEGAPIXELS,
) -> GeoBox:
    """The grid every layer of a map shares: covers the box, edges on whole multiples of the resolution.

    Args:
        bbox: West, south, east, north in degrees.
        resolution_m: Pixel size in metres.
        crs: A projected CRS in metres; None: ``utm_crs``.
        limit_megapixels: Largest grid; None: no limit.

    Raises:
        BadAreaError: The box is too wide for a UTM zone, and no other CRS was named.
        BadOptionError: The CRS is unknown, or not projected in metres.
        AreaTooLargeError: The grid is over the limit.
    """
    from odc.geo.geobox import GeoBox
    from pyproj import Transformer

    name = crs or utm_crs(bbox)
    _check_projected(name)
    # 24 points a side: a long edge in degrees is a curve in UTM, and its bulge belongs to the area
    to_grid = Transformer.from_crs("EPSG:4326", name, always_xy=True)
    left, bottom, right, top = to_grid.transform_bounds(*bbox, densify_pts=24)
    megapixels = (right - left) * (top - bottom) / resolution_m**2 / 1e6
    if limit_megapixels is not None and megapixels > limit_megapixels:
        raise AreaTooLargeError.over_limit(megapixels, limit_megapixels)
    return GeoBox.from_bbox((left, bottom, right, top), crs=name, resolution=resolution_m, anchor="edge")


def _check_projected(name: str) -> None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(name)
    except CRSError:
        raise BadOptionError(f"--crs {name!r} is not a CRS that PROJ knows. Write it as EPSG:32632.") from None
    if not crs.is_projected or {axis.unit_name for axis in crs.axis_info} != {"metre"}:
        raise BadOptionError(f"--crs {name} is not projected in metres, which a map of areas needs. Try a UTM zone.")
