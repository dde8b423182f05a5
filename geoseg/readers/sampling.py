"""Where the pixels of the output grid lie in a file, and their values there: pure geometry on arrays.

A pixel's value depends on its place in the whole output grid and on the file, never on the rectangle it is read with:
coordinates are computed from grid indices, the lattice of a reprojection is anchored to the grid, and every operation
is done pixel by pixel in one order. This is what makes tiles of any size agree to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from affine import Affine
    from odc.geo.geobox import GeoBox
    from pyproj import Transformer

Floats = NDArray[np.float32]
Span = tuple[int, int]
"""First index and the one past the last."""

LATTICE = 16
"""Grid pixels between exactly transformed points. A UTM grid bends by less than 0.001 pixels in between."""

SNAP = 2.0**20
"""Source coordinates are rounded to a millionth of a pixel, so that the noise of a georeference is no shift."""

STRIP_PX = 2**17
"""Output pixels that are blended at a time."""

OUTSIDE = 2
"""How far beyond the file a coordinate is kept; all that lies further out is as unobserved."""


@dataclass(frozen=True, slots=True)
class SourceCoords:
    """Output pixels in the (reduced) pixel coordinates of a file: the centre of its pixel ``i`` lies at ``i``.

    Attributes:
        ys: float64, (y,) where the axes of both grids are parallel, else (y, x).
        xs: float64, (x,) or (y, x).
        reduce_yx: Whole number of file pixels that are averaged into one before sampling.
        shape: Rows and columns of the reduced file.
        exact: Every pixel of the whole grid is one file pixel: nothing is mixed.
    """

    ys: NDArray[np.float64]
    xs: NDArray[np.float64]
    reduce_yx: tuple[int, int]
    shape: tuple[int, int]
    pixel_exact: bool = False

    @property
    def axis_aligned(self) -> bool:
        """The axes of both grids are parallel."""
        return self.ys.ndim == 1

    @property
    def no_overlap(self) -> bool:
        """No output pixel lies on the file."""
        return any(
            bool((where < -0.5).all() or (where >= size - 0.5).all())
            for where, size in zip((self.ys, self.xs), self.shape, strict=True)
        )

    def spans(self) -> tuple[Span, Span]:
        """Rows and columns of the reduced file that sampling looks at; they may stick out of it."""
        rows, cols = ((math.floor(float(w.min())), math.floor(float(w.max())) + 2) for w in (self.ys, self.xs))
        return rows, cols


def place(grid: GeoBox, rows: Span, cols: Span, file_grid: GeoBox) -> SourceCoords:
    """Find the pixels ``rows`` x ``cols`` of ``grid`` in a file.

    Args:
        grid: The whole output grid.
        rows: Rows of it.
        cols: Columns of it.
        file_grid: The file's own grid.
    """
    if _axis_aligned(grid, file_grid):
        ys, xs, steps = _aligned_coordinates(grid, rows, cols, file_grid.transform)
    else:
        ys, xs, steps = _projected_coordinates(grid, rows, cols, file_grid)
    # Slightly fewer file pixels than a whole multiple (rounding of a georeference) still are that multiple.
    reduce_yx = (max(1, int(steps[0] + 1e-6)), max(1, int(steps[1] + 1e-6)))
    shape = (-(-file_grid.shape[0] // reduce_yx[0]), -(-file_grid.shape[1] // reduce_yx[1]))
    ys, xs = (_snap(where, factor, size) for where, factor, size in zip((ys, xs), reduce_yx, shape, strict=True))
    # Where the steps are one file pixel, either all pixels of the grid fall on pixel centres or none does.
    pixel_exact = ys.ndim == 1 and all(abs(step - 1) * SNAP < 1e-3 for step in steps)
    pixel_exact = pixel_exact and bool((ys == np.floor(ys)).all() and (xs == np.floor(xs)).all())
    return SourceCoords(ys, xs, reduce_yx, shape, pixel_exact)


def _snap(where: NDArray[np.float64], factor: int, size: int) -> NDArray[np.float64]:
    """Edge coordinates as centre coordinates of reduced pixels, rounded and kept near the file."""
    centred = where / factor
    centred -= 0.5
    centred *= SNAP
    np.rint(centred, out=centred)
    centred *= 1 / SNAP
    if not np.isfinite(centred).all():  # where the file's CRS does not reach
        np.copyto(centred, -OUTSIDE, where=~np.isfinite(centred))
    return np.clip(centred, -OUTSIDE, size + OUTSIDE, out=centred)


def _axis_aligned(grid: GeoBox, file_grid: GeoBox) -> bool:
    north_up = all(g.transform.b == 0 and g.transform.d == 0 for g in (grid, file_grid))
    return north_up and bool(grid.crs == file_grid.crs)


def _aligned_coordinates(
    grid: GeoBox, rows: Span, cols: Span, source: Affine
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    out = grid.transform
    x = out.c + (np.arange(*cols) + 0.5) * out.a
    y = out.f + (np.arange(*rows) + 0.5) * out.e
    return (y - source.f) / source.e, (x - source.c) / source.a, (abs(out.e / source.e), abs(out.a / source.a))


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer:
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)


def _projected_coordinates(
    grid: GeoBox, rows: Span, cols: Span, file_grid: GeoBox
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Exact at every ``LATTICE``-th pixel of the grid, linear in between."""
    crs = (grid.crs.to_wkt(), file_grid.crs.to_wkt())
    to_file = ~file_grid.transform

    def to_file_exact(
        y: NDArray[np.float64], x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        east, north = _transformer(*crs).transform(*_applied(grid.transform, x, y))
        col, row = _applied(to_file, np.asarray(east), np.asarray(north))
        return row, col

    knots_y, knots_x = (np.arange(s[0] // LATTICE, s[1] // LATTICE + 2) * LATTICE + 0.5 for s in (rows, cols))
    at_y, at_x = np.meshgrid(knots_y, knots_x, indexing="ij")
    ys, xs = (_between(knots, rows, cols) for knots in to_file_exact(at_y, at_x))
    return ys, xs, _steps(to_file_exact, grid.shape)


def _applied(
    affine: Affine, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def _between(knots: NDArray[np.float64], rows: Span, cols: Span) -> NDArray[np.float64]:
    """Linear interpolation of ``knots`` at every pixel, each pixel from the four around it."""
    (ky, wy), (kx, wx) = (_knot_weights(span) for span in (rows, cols))
    along = knots[:, kx] * (1 - wx) + knots[:, kx + 1] * wx
    result: NDArray[np.float64] = along[ky]
    result *= (1 - wy)[:, None]
    below = along[ky + 1]
    below *= wy[:, None]
    result += below
    return result


def _knot_weights(span: Span) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    index = np.arange(*span)
    return index // LATTICE - span[0] // LATTICE, (index % LATTICE) / LATTICE


def _steps(to_file_exact: object, shape: tuple[int, int]) -> tuple[float, float]:
    """File pixels per output pixel along the file's axes, at the middle of the whole grid."""
    y, x = shape[0] / 2, shape[1] / 2
    rows, cols = to_file_exact(np.array([y, y + 1, y]), np.array([x, x, x + 1]))  # type: ignore[operator]
    steps = float(np.abs(np.diff(rows[[1, 0, 2]])).max()), float(np.abs(np.diff(cols[[1, 0, 2]])).max())
    return steps if np.isfinite(steps).all() else (1.0, 1.0)


# -- values -------------------------------------------------------------------------------------------------


def block_mean(values: Floats, factors: tuple[int, int]) -> Floats:
    """Mean of whole blocks over what is observed in them, NaN where less than half of a block is.

    Args:
        values: float32 (y * fy, x * fx), NaN not observed.
        factors: Block height and width.

    Returns:
        float32 (y, x).
    """
    fy, fx = factors
    wide = np.zeros((values.shape[0], values.shape[1] // fx), dtype=np.float32)
    seen = np.zeros(wide.shape, dtype=np.uint32)
    for part in (values[:, dx::fx] for dx in range(fx)):  # along, then down: fx + fy steps, where all pairs are fx * fy
        there = ~np.isnan(part)
        np.add(wide, part, out=wide, where=there)
        seen += there
    total = np.zeros((values.shape[0] // fy, wide.shape[1]), dtype=np.float32)
    count = np.zeros(total.shape, dtype=np.uint32)
    for dy in range(fy):
        total += wide[dy::fy]
        count += seen[dy::fy]
    total[count * 2 < fy * fx] = np.nan
    return np.divide(total, np.maximum(count, 1), out=total)


def nearest(values: NDArray[np.generic], spans: tuple[Span, Span], where: SourceCoords) -> NDArray[np.generic]:
    """The value of the pixel each output pixel's centre lies in; ``values`` covers ``spans``."""
    rows, cols = (
        np.floor(axis + 0.5).astype(np.intp) - span[0] for axis, span in zip((where.ys, where.xs), spans, strict=True)
    )
    if not where.axis_aligned:
        return values[rows, cols]
    if _consecutive(rows) and _consecutive(cols):
        return values[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return values[rows][:, cols]


def _consecutive(index: NDArray[np.intp]) -> bool:
    return bool((np.diff(index) == 1).all())


def bilinear(values: Floats, spans: tuple[Span, Span], where: SourceCoords) -> Floats:
    """Bilinear where observed: a pixel is observed exactly where its nearest file pixel is.

    Neighbours that were not observed have no say; the others' weights are scaled up for them. So nothing
    unobserved is mixed in, and the observed area neither grows nor shrinks.

    Args:
        values: float32 covering ``spans``, NaN not observed.
        spans: Rows and columns of the reduced file.
        where: Output pixels.

    Returns:
        float32, the shape of the output.
    """
    if where.pixel_exact:
        return nearest(values, spans, where).astype(np.float32, copy=False)
    blend = _blend_aligned if where.axis_aligned else _blend_scattered
    result = blend(values, spans, where)
    holes: NDArray[np.bool_] = np.isnan(values)
    if not holes.any():
        return result
    partly = np.isnan(result) & nearest(~holes, spans, where).astype(bool, copy=False)
    if partly.any():
        weight = blend((~holes).astype(np.float32), spans, where)
        filled = blend(np.where(holes, np.float32(0), values), spans, where)
        np.divide(filled, weight, out=result, where=partly)
    return result


def _corners(axis: NDArray[np.float64], span: Span) -> tuple[NDArray[np.intp], Floats]:
    low = np.floor(axis)
    return low.astype(np.intp) - span[0], (axis - low).astype(np.float32)


def _blend_aligned(values: Floats, spans: tuple[Span, Span], where: SourceCoords) -> Floats:
    (row, wy), (col, wx) = (_corners(a, s) for a, s in zip((where.ys, where.xs), spans, strict=True))
    result = np.empty((len(row), len(col)), np.float32)
    step = max(1, STRIP_PX // max(1, len(col)))
    for top in range(0, len(row), step):  # strip by strip, so that what is made on the way stays in the cache
        strip = slice(top, top + step)
        first, last = int(row[strip].min()), int(row[strip].max()) + 2
        part = values[first:last]
        wide = part[:, col]
        wide *= 1 - wx
        wide += part[:, col + 1] * wx
        upper = row[strip] - first
        np.multiply(wide[upper], (1 - wy[strip])[:, None], out=result[strip])
        below = wide[upper + 1]
        below *= wy[strip, None]
        result[strip] += below
    return result


def _blend_scattered(values: Floats, spans: tuple[Span, Span], where: SourceCoords) -> Floats:
    (row, wy), (col, wx) = (_corners(a, s) for a, s in zip((where.ys, where.xs), spans, strict=True))
    flat, width = np.ascontiguousarray(values).ravel(), values.shape[1]
    corner = row * width + col
    rest = 1 - wx
    result = np.zeros(corner.shape, dtype=np.float32)
    for step, weight_y in ((0, 1 - wy), (width, wy)):
        left, right = flat.take(corner + step), flat.take(corner + (step + 1))
        left *= rest
        right *= wx
        left += right
        left *= weight_y
        result += left
    return result
