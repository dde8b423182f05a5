"""True areas: a pixel of a projected grid is not its nominal square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.inference.layers import Window
from geoseg.water.codes import DRY, FLOOD, PERMANENT, Legend

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from odc.geo.geom import Geometry

CODES = (DRY, FLOOD, PERMANENT, NOT_OBSERVED)
CELL_M = 1000.0
CELL_MAX_PX = 128
SEGMENT_DEG = 0.02
"""A straight line of an AOI is straight in degrees; cut to about 2 km, its curve in UTM is followed within 0.1 m."""


class AreaCounter:
    """Counts a mask, block by block, in any order, and knows what it comes to on the ground.

    Pixels are counted as integers in cells of about 1 km, anchored to the grid, so that neither the blocks nor their
    order change the result by a bit; areas follow at the end from each cell's count and its true pixel area. Within
    a cell that area changes by less than 1e-5 of itself in any UTM zone.
    """

    def __init__(self, geobox: GeoBox) -> None:
        rows, columns = geobox.shape
        finest_m = min(abs(geobox.resolution.x), abs(geobox.resolution.y))
        self._geobox = geobox
        self._side = int(np.clip(CELL_M // finest_m, 1, CELL_MAX_PX))
        self._counts = np.zeros((len(CODES), -(-rows // self._side), -(-columns // self._side)), np.int64)
        self._reference = np.zeros(2, np.int64)

    def add(
        self,
        window: Window,
        codes: NDArray[np.uint8],
        inside: NDArray[np.bool_] | None = None,
        permanent: NDArray[np.bool_] | None = None,
    ) -> None:
        """Count a block, once.

        Args:
            window: Rows and columns of the grid.
            codes: uint8 (y, x) of the window's size: 0, 1, 2, 255.
            inside: bool (y, x), pixels of the area of interest; None: all.
            permanent: bool (y, x), reference water, to see how much of it the mask sees.
        """
        for index, code in enumerate(CODES):
            hits = codes == code if inside is None else (codes == code) & inside
            self._add_cells(index, window, hits)
        if permanent is not None:
            watched = (
                permanent & (codes != NOT_OBSERVED) if inside is None else permanent & inside & (codes != NOT_OBSERVED)
            )
            self._reference += np.array([np.count_nonzero(watched), np.count_nonzero(watched & (codes == PERMANENT))])

    def _add_cells(self, index: int, window: Window, hits: NDArray[np.bool_]) -> None:
        rows, columns = window
        for top, bottom in _cuts(rows, self._side):
            down = hits[top - rows.start : bottom - rows.start].sum(axis=0, dtype=np.int64)
            starts = [left - columns.start for left, _ in _cuts(columns, self._side)]
            first = columns.start // self._side
            self._counts[index, top // self._side, first : first + len(starts)] += np.add.reduceat(down, starts)

    def total(self) -> ClassAreas:
        """Pixels and square kilometres of each code."""
        rows, columns = (np.append(np.arange(0, size, self._side), size) for size in self._geobox.shape)
        cell_px = np.outer(np.diff(rows), np.diff(columns))
        pixel_km2 = cells_km2(self._geobox, rows, columns) / cell_px
        pixels = {code: int(self._counts[i].sum()) for i, code in enumerate(CODES)}
        km2 = {code: float((self._counts[i] * pixel_km2).sum()) for i, code in enumerate(CODES)}
        return ClassAreas(pixels, km2, (int(self._reference[0]), int(self._reference[1])))


@dataclass(frozen=True, slots=True)
class ClassAreas:
    """What a mask comes to within the area of interest.

    Attributes:
        pixels: Pixels of each code.
        km2: Square kilometres of each code, on the ellipsoid.
        reference_px: Observed pixels of reference water, and those of them that are water in the mask.
    """

    pixels: Mapping[int, int]
    km2: Mapping[int, float]
    reference_px: tuple[int, int] = (0, 0)

    @property
    def total_px(self) -> int:
        """Pixels of the area of interest."""
        return sum(self.pixels.values())

    @property
    def total_km2(self) -> float:
        """Square kilometres of the area of interest."""
        return sum(self.km2.values())

    def pct(self, code: int) -> float:
        """Share of the area of interest, per cent of its true area; 0 for an empty area."""
        return 100 * self.km2[code] / self.total_km2 if self.total_km2 else 0.0

    @property
    def reference_seen_pct(self) -> float | None:
        """Observed reference water that the mask shows as water, per cent; None where none was observed.

        Far below 100 means a low water level, a reference that is out of date, or a model that misses water.
        """
        observed, seen = self.reference_px
        return 100 * seen / observed if observed else None

    def record(self, legend: Legend) -> dict[str, Any]:
        """Shares (per cent) and areas (km2) by the legend's keys, as plain JSON values."""
        keys = {each.key: each.code for each in legend}
        seen = self.reference_seen_pct
        return {
            "pixels": {key: self.pixels[code] for key, code in keys.items()},
            "pct": {key: round(self.pct(code), 4) for key, code in keys.items()},
            "km2": {key: round(self.km2[code], 6) for key, code in keys.items()},
            "total_km2": round(self.total_km2, 6),
            "reference_water_seen_pct": None if seen is None else round(seen, 2),
        }


def cells_km2(geobox: GeoBox, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """True area of the cells that a grid is cut into.

    Their corners are taken to a Lambert azimuthal equal-area projection of the ellipsoid around the grid's middle
    (Snyder, Map Projections: A Working Manual, USGS PP 1395, ch. 24), where the shoelace formula gives what lies on
    the ground. PROJ's areal scale factor would do for UTM, and be 0.3 % off in web Mercator, which it takes for a
    map of a sphere.

    Args:
        geobox: The grid.
        rows: int64 (m + 1,), rows of the cells' edges.
        columns: int64 (n + 1,), columns likewise.

    Returns:
        float64 (m, n), km2.
    """
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(geobox.crs.to_wkt(), 4326, always_xy=True)
    lon, lat = to_degrees.transform(*_xy(geobox, geobox.shape[0] / 2, geobox.shape[1] / 2))
    equal_area = f"+proj=laea +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m"
    to_equal_area = Transformer.from_crs(geobox.crs.to_wkt(), equal_area, always_xy=True)
    x, y = to_equal_area.transform(*_xy(geobox, *np.meshgrid(rows, columns, indexing="ij")))
    # twice a quadrilateral's area is the cross product of its diagonals
    corner, right = (slice(None, -1), slice(None, -1)), (slice(None, -1), slice(1, None))
    opposite, below = (slice(1, None), slice(1, None)), (slice(1, None), slice(None, -1))
    cross = (x[opposite] - x[corner]) * (y[below] - y[right]) - (y[opposite] - y[corner]) * (x[below] - x[right])
    km2: NDArray[np.float64] = np.abs(cross) / 2e6
    return km2


def _xy(geobox: GeoBox, rows: Any, columns: Any) -> tuple[Any, Any]:
    """Map coordinates of positions in pixels from the top left."""
    affine = geobox.affine
    return affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f


def aoi_mask(polygon: str, geobox: GeoBox, window: Window) -> NDArray[np.bool_]:
    """The pixels of a window whose middle lies in the area of interest.

    Args:
        polygon: GeoJSON geometry (WGS 84) as text.
        geobox: The grid.
        window: Rows and columns of it.

    Returns:
        bool (y, x) of the window's size.
    """
    from rasterio.features import geometry_mask

    part = geobox[window]
    geometry = _projected(polygon, geobox.crs.to_wkt())
    return np.asarray(geometry_mask([geometry.json], tuple(part.shape), part.affine, invert=True), bool)


@lru_cache(maxsize=4)
def _projected(polygon: str, wkt: str) -> Geometry:
    import json

    from odc.geo.geom import Geometry

    return Geometry(json.loads(polygon), "EPSG:4326").segmented(SEGMENT_DEG).to_crs(wkt)


def _cuts(span: slice, side: int) -> Iterable[tuple[int, int]]:
    """The span cut where cells of ``side`` begin."""
    start = span.start
    while start < span.stop:
        stop = min((start // side + 1) * side, span.stop)
        yield start, stop
        start = stop
