"""Footprints: is a geometry one on Earth, does it meet the area, and how much of the area does it cover?"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from geoseg.core.area import Area, BBox
from geoseg.core.numbers import finite
from geoseg.core.scene import Scene

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

EDGE = 1e-6
"""Degrees (about 0.1 m) by which rounding may carry a footprint over the world's edge."""


def footprint_of(item: dict[str, Any]) -> BaseGeometry:
    """The item's outline, valid; its bbox where it gives no geometry.

    Raises:
        ValueError: It has neither, or one that is no area on Earth; the message completes "its footprint ...".
    """
    import numpy as np
    from shapely import get_coordinates, make_valid
    from shapely.errors import ShapelyError
    from shapely.geometry import box, shape

    geometry, bbox = item.get("geometry"), item.get("bbox")
    if geometry is None:
        return make_valid(box(*plain_bbox(bbox)))
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise ValueError("is no polygon")
    try:
        with np.errstate(invalid="ignore"):  # NaN is looked for below, not warned of here
            outline = shape(geometry)
        coordinates = get_coordinates(outline)
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        raise ValueError("is no geometry") from None
    if outline.is_empty:
        raise ValueError("is empty")
    if not all(math.isfinite(number) for pair in coordinates for number in pair):
        raise ValueError("is not finite")
    plain_bbox(outline.bounds)
    outline = make_valid(outline)
    if outline.area == 0:
        raise ValueError("has no extent")
    return outline


def plain_bbox(some_bbox: object) -> BBox:
    """West, south, east, north of a STAC bbox (of four or six numbers).

    Raises:
        ValueError: It is none; the message completes "its footprint ...".
    """
    if not isinstance(some_bbox, list | tuple) or len(some_bbox) not in (4, 6):
        raise ValueError("is missing")
    if any(finite(number) is None for number in some_bbox):
        raise ValueError("is not finite")
    half = len(some_bbox) // 2
    west, south, east, north = (float(some_bbox[i]) for i in (0, 1, half, half + 1))
    if west > east or south > north:
        raise ValueError("is inverted")
    if max(abs(west), abs(east)) > 180 + EDGE or max(abs(south), abs(north)) > 90 + EDGE:
        raise ValueError("lies outside the world")
    return west, south, east, north


def area_shape(area: Area) -> BaseGeometry:
    """The area asked for."""
    from shapely.geometry import shape

    return shape(area.geojson)


def coverage_pct(scene: Scene, area: Area) -> float:
    """Share of the area that the scene's footprint covers, 0..100, by true area on the ground.

    Latitude is replaced by its sine before areas are compared (Lambert's cylindrical equal-area projection).
    """
    import numpy as np
    import shapely

    def flat(geometry: BaseGeometry) -> BaseGeometry:
        return shapely.transform(geometry, lambda xy: np.column_stack([xy[:, 0], np.sin(np.radians(xy[:, 1]))]))

    outline = footprint_of({"geometry": json.loads(json.dumps(scene.item.get("geometry"))), "bbox": list(scene.bbox)})
    whole = area_shape(area)
    return 100 * float(flat(outline.intersection(whole)).area / flat(whole).area)
