"""Whether a scene can reach a rectangle at all, from its outline alone."""

from __future__ import annotations

import json
from functools import lru_cache

from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry
from shapely.prepared import PreparedGeometry, prep

from geoseg.errors import SceneUnreadableError
from geoseg.readers.raster import GridWindow

MARGIN_DEG = 0.02
"""Outlines are drawn with few corners and round numbers; about 2 km of doubt is cheap, a lost rim is not."""


def touches(footprint: str, window: GridWindow) -> bool:
    """The scene's outline comes near the rectangle.

    Args:
        footprint: GeoJSON geometry (WGS 84) as text.
        window: The rectangle.
    """
    return _near(footprint, extent_deg(window.grid, window.rows, window.cols))


def check_location(footprint: str, file_grid: GeoBox, name: str) -> None:
    """Refuse a file that lies elsewhere on Earth than its item says.

    Args:
        footprint: The item's outline, GeoJSON (WGS 84) as text.
        file_grid: The file's own grid.
        name: The file, for the message.

    Raises:
        SceneUnreadableError: File and outline are apart.
    """
    whole = extent_deg(file_grid, (0, file_grid.shape[0]), (0, file_grid.shape[1]))
    if not _near(footprint, whole):
        corner = f"{whole[0]:.3f},{whole[1]:.3f}"
        raise SceneUnreadableError(f"{name} lies elsewhere on Earth (at {corner}) than its item says.")


def _near(footprint: str, extent: tuple[float, float, float, float]) -> bool:
    west, south, east, north = extent
    if not 0 <= east - west <= 180:  # across the antimeridian, or at a pole, a box in degrees says nothing
        return True
    return bool(_prepared(footprint).intersects(box(west, south, east, north)))


@lru_cache(maxsize=1024)
def _prepared(footprint: str) -> PreparedGeometry[BaseGeometry]:
    outline = shape(json.loads(footprint)).buffer(MARGIN_DEG)
    west, _, east, _ = outline.bounds
    return prep(box(-181, -91, 181, 91) if east - west > 180 else outline)


@lru_cache(maxsize=4096)
def extent_deg(grid: GeoBox, rows: tuple[int, int], cols: tuple[int, int]) -> tuple[float, float, float, float]:
    """West, south, east, north of a rectangle of a grid; east is below west across the antimeridian."""
    bounds = grid[slice(*rows), slice(*cols)].boundingbox.bbox
    to_degrees = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(*bounds, densify_pts=21)
    return float(west), float(south), float(east), float(north)
