"""A north-up grid in metres, and reading a coarse field on a finer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from affine import Affine

    from geoseg.core.area import BBox

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MetricGrid:
    """A grid of square pixels.

    Attributes:
        crs: Projected CRS in metres.
        left: Easting of the left edge.
        top: Northing of the top edge.
        pixel_m: Side of a pixel.
        rows: Pixels from top to bottom.
        cols: Pixels from left to right.
    """

    crs: str
    left: float
    top: float
    pixel_m: float
    rows: int
    cols: int

    @classmethod
    def around(cls, crs: str, lonlat: tuple[float, float], shape: tuple[int, int], pixel_m: float = 10.0) -> MetricGrid:
        """The grid of that shape centred on a place, its corner on a multiple of 60 m as Sentinel-2's tiles are."""
        from pyproj import Transformer

        east, north = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*lonlat)
        rows, cols = shape
        left = round((east - cols * pixel_m / 2) / 60) * 60.0
        top = round((north + rows * pixel_m / 2) / 60) * 60.0
        return cls(crs, left, top, pixel_m, rows, cols)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def width_m(self) -> float:
        """Extent from left to right."""
        return self.cols * self.pixel_m

    @property
    def height_m(self) -> float:
        """Extent from top to bottom."""
        return self.rows * self.pixel_m

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in metres."""
        return self.left, self.top - self.height_m, self.left + self.width_m, self.top

    @property
    def transform(self) -> Affine:
        """Pixel to metres, as rasterio wants it."""
        from affine import Affine

        return Affine(self.pixel_m, 0.0, self.left, 0.0, -self.pixel_m, self.top)

    def xy(self) -> tuple[Floats, Floats]:
        """Metres east of the left edge (1, cols) and south of the top edge (rows, 1) of the pixel centres, float32."""
        x = (np.arange(self.cols, dtype=np.float32) + 0.5) * self.pixel_m
        y = (np.arange(self.rows, dtype=np.float32) + 0.5) * self.pixel_m
        return x[None, :], y[:, None]

    def at(self, pixel_m: float) -> MetricGrid:
        """The same extent in pixels of another size; the extent must be a whole number of them."""
        return MetricGrid(
            self.crs, self.left, self.top, pixel_m, round(self.height_m / pixel_m), round(self.width_m / pixel_m)
        )

    def window(self, row: int, col: int, shape: tuple[int, int], pixel_m: float) -> MetricGrid:
        """A grid of finer pixels whose corner is the corner of pixel (row, col) of this one."""
        left, top = self.left + col * self.pixel_m, self.top - row * self.pixel_m
        return MetricGrid(self.crs, left, top, pixel_m, *shape)

    def bbox(self) -> BBox:
        """West, south, east, north in degrees: the box that holds the outline."""
        from pyproj import Transformer

        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        west, south, east, north = to_degrees.transform_bounds(*self.bounds, densify_pts=21)
        return float(west), float(south), float(east), float(north)

    def outline(self) -> list[list[float]]:
        """The closed ring of the corners in degrees, anticlockwise."""
        from pyproj import Transformer

        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        left, bottom, right, top = self.bounds
        corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
        return [[round(number, 7) for number in to_degrees.transform(*corner)] for corner in corners]


def resample(field: NDArray[np.floating], source: MetricGrid, target: MetricGrid) -> Floats:
    """Read a field bilinearly at the pixel centres of another grid, the edge's value beyond the edge.

    Args:
        field: float (rows, cols) on ``source``.
        source: Grid of ``field``.
        target: Grid in the same CRS.

    Returns:
        float32 (target.rows, target.cols).
    """
    if target == source:
        return field.astype(np.float32, copy=False)
    rows, row_share = _places((source.top - target.top), source, target, target.rows, source.rows)
    cols, col_share = _places((target.left - source.left), source, target, target.cols, source.cols)
    field = field.astype(np.float32, copy=False)
    # down the columns first on the coarse width, then across: two passes of linear interpolation are bilinear
    tall = field[rows] * (1 - row_share)[:, None] + field[np.minimum(rows + 1, source.rows - 1)] * row_share[:, None]
    beyond = np.minimum(cols + 1, source.cols - 1)
    return (tall[:, cols] * (1 - col_share) + tall[:, beyond] * col_share).astype(np.float32)


def resample_mask(mask: Mask, source: MetricGrid, target: MetricGrid) -> Mask:
    """Read a mask at the nearest pixel centre of another grid."""
    if target == source:
        return mask
    rows, row_share = _places((source.top - target.top), source, target, target.rows, source.rows)
    cols, col_share = _places((target.left - source.left), source, target, target.cols, source.cols)
    rows = np.minimum(rows + (row_share >= 0.5), source.rows - 1)
    cols = np.minimum(cols + (col_share >= 0.5), source.cols - 1)
    return mask[rows[:, None], cols[None, :]]


def _places(
    offset_m: float, source: MetricGrid, target: MetricGrid, count: int, limit: int
) -> tuple[NDArray[np.intp], Floats]:
    """For each target pixel along one axis: the source pixel before it, and how far it lies towards the next."""
    place = (offset_m + (np.arange(count) + 0.5) * target.pixel_m) / source.pixel_m - 0.5
    place = np.clip(place, 0, limit - 1)
    before = np.floor(place).astype(np.intp)
    return before, (place - before).astype(np.float32)


def block_mean(fine: Floats, factor: int) -> Floats:
    """Mean over blocks of ``factor`` x ``factor`` pixels; both sides must be multiples of it. float32."""
    rows, cols = fine.shape
    mean: Floats = fine.reshape(rows // factor, factor, cols // factor, factor).mean(axis=(1, 3), dtype=np.float32)
    return mean
