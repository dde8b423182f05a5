"""How the pixels of one file lie on those of another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geoseg.datasets.pair import Georeference

if TYPE_CHECKING:
    Floats = NDArray[np.float64]

SAME_PX = 0.05
"""Pixel corners closer than this share of a pixel are the same corner: what rounding in a file's header leaves."""

METRES_A_DEGREE = 111_320.0
"""Of latitude, on the sphere of the equator's radius: near enough for a ground sampling distance."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Size, and place where it is known.

    Attributes:
        shape: Rows, columns.
        place: None: nobody knows.
    """

    shape: tuple[int, int]
    place: Georeference | None


@dataclass(frozen=True, slots=True)
class Shift:
    """Pixel (row, column) of the one is pixel (row + rows, column + columns) of the other."""

    rows: int
    columns: int


def shift(grid: Grid, other: Grid) -> Shift | None:
    """Where ``grid`` lies on the pixels of ``other``; None where they are other pixels, or nobody can know."""
    if grid.place is None or other.place is None:
        return Shift(0, 0) if grid.shape == other.shape else None
    if crs(grid.place.crs) != crs(other.place.crs):
        return None
    across = ~other.place.transform @ grid.place.transform
    rows, columns = grid.shape
    found = Shift(round(across.f), round(across.c))
    corners = [(0, 0), (columns, 0), (0, rows), (columns, rows)]
    apart = [
        abs(got - wanted)
        for column, row in corners
        for got, wanted in zip(across @ (column, row), (column + found.columns, row + found.rows), strict=True)
    ]
    return found if max(apart) < SAME_PX else None


def onto(grid: Georeference, other: Georeference, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Row and column in ``other`` of positions in ``grid``; pixel centres are at halves. Infinite: nowhere."""
    x, y = _applied(grid.transform, columns, rows)
    if crs(grid.crs) != crs(other.crs):
        x, y = transformer(grid.crs, other.crs).transform(x, y)
    there_columns, there_rows = _applied(~other.transform, np.asarray(x), np.asarray(y))
    return there_rows, there_columns


def coarseness(grid: Grid, other: Grid) -> float:
    """Longest side of a pixel of ``other`` in pixels of ``grid``, at the middle of ``grid``; both have a place."""
    assert grid.place is not None
    assert other.place is not None
    row, column = grid.shape[0] / 2, grid.shape[1] / 2
    rows, columns = onto(grid.place, other.place, np.array([row, row, row + 1]), np.array([column, column + 1, column]))
    shortest = float(np.hypot(rows[1:] - rows[0], columns[1:] - columns[0]).min())
    return 1 / shortest if np.isfinite(shortest) and shortest > 0 else float("inf")


def overlaps(grid: Grid, other: Grid) -> bool:
    """Some of 65 x 65 points of either lie inside the other; both have a place."""
    return _reaches(grid, other) or _reaches(other, grid)


def _reaches(grid: Grid, other: Grid) -> bool:
    assert grid.place is not None
    assert other.place is not None
    rows, columns = np.meshgrid(*(np.linspace(0, side, 65) for side in grid.shape), indexing="ij")
    there_rows, there_columns = onto(grid.place, other.place, rows, columns)
    return bool(np.any(inside(there_rows, there_columns, other.shape)))


def inside(rows: Floats, columns: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Positions that lie inside; infinite ones do not."""
    return (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])


def middle(grid: Grid) -> tuple[float, float] | None:
    """Latitude and longitude of the middle, degrees."""
    if grid.place is None:
        return None
    x, y = grid.place.transform @ (grid.shape[1] / 2, grid.shape[0] / 2)
    try:
        longitude, latitude = transformer(grid.place.crs, "EPSG:4326").transform(x, y)
    except ProjError:  # a local system, or another planet's: the image is used, its place is unknown
        return None
    return (float(latitude), float(longitude)) if np.isfinite([latitude, longitude]).all() else None


def ground_sampling(grid: Grid) -> float | None:
    """Side of a pixel on the ground in metres, from the middle and the pixels beside it: a web map's are not true."""
    if grid.place is None:
        return None
    column, row = grid.shape[1] / 2, grid.shape[0] / 2
    x, y = _applied(grid.place.transform, np.array([column, column + 1, column]), np.array([row, row, row + 1]))
    try:
        longitude, latitude = transformer(grid.place.crs, "EPSG:4326").transform(x, y)
    except ProjError:
        return None
    east = (longitude[1:] - longitude[0]) * np.cos(np.radians(latitude[0]))
    north = latitude[1:] - latitude[0]
    sides = np.hypot(east, north) * METRES_A_DEGREE
    side = float(np.sqrt(sides[0] * sides[1]))
    return side if np.isfinite(side) and side > 0 else None


def _applied(transform: Affine, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    return (
        transform.a * columns + transform.b * rows + transform.c,
        transform.d * columns + transform.e * rows + transform.f,
    )


@lru_cache(maxsize=64)
def crs(text: str) -> CRS:
    """A coordinate system; parsing one takes longer than reading a small window."""
    return CRS.from_user_input(text)


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> Transformer:
    """From one to the other, x before y."""
    return Transformer.from_crs(crs(source), crs(target), always_xy=True)
