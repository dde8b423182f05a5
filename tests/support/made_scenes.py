"""Made Sentinel-1 scenes whose water is known, and what tests ask of a raster, by way of rasterio alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

ORIGIN = (500_000.0, 5_300_000.0)
SHAPE = (240, 220)
UTM = "EPSG:32632"
INSIDE = "9.002,47.834,9.026,47.849"
"""A box well inside of the scene at ``ORIGIN``."""
WATER_DB, LAND_DB = -20.0, -9.0
SHORE_M = 40.0
"""Within so much of a shore, what a speckle filter leaves of the shore is not this room's business."""

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def lagoon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Water in an ellipse in the middle of the scene at ``ORIGIN``; metres in UTM 32."""
    return ((x - ORIGIN[0] - 1000) / 700) ** 2 + ((y - ORIGIN[1] + 1100) / 500) ** 2 < 1


def write_scene(
    path: Path,
    *,
    water: Field = lagoon,
    origin: tuple[float, float] = ORIGIN,
    shape: tuple[int, int] = SHAPE,
    crs: str = UTM,
    hole: tuple[slice, slice] | None = None,
    bands: tuple[str, ...] = ("VV", "VH"),
    nodata: bool = False,
) -> Path:
    """Write a scene in dB at 10 m: water and land with little speckle, NaN in the hole, or everywhere.

    ``water`` is asked about metres in UTM 32, whatever the scene's own CRS is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(origin[0] + 10 * np.arange(shape[1]) + 5, origin[1] - 10 * np.arange(shape[0]) - 5)
    if crs != UTM:
        x, y = Transformer.from_crs(crs, UTM, always_xy=True).transform(x, y)
    mean = np.where(water(x, y), WATER_DB, LAND_DB)
    values = (mean + np.random.default_rng(11).normal(0, 0.8, (len(bands), *shape))).astype(np.float32)
    if hole is not None:
        values[:, *hole] = np.nan
    if nodata:
        values[:] = np.nan
    profile = {"driver": "GTiff", "dtype": "float32", "nodata": np.nan, "tiled": True, "blockxsize": 128}
    size = {"count": len(bands), "height": shape[0], "width": shape[1], "blockysize": 128}
    with rasterio.open(path, "w", crs=crs, transform=from_origin(*origin, 10, 10), **profile, **size) as file:
        file.write(values)
        file.descriptions = bands
    return path


def codes(path: Path | str) -> np.ndarray:
    """The only band of a product."""
    with rasterio.open(path) as file:
        return np.asarray(file.read(1))


def centres(path: Path | str, crs: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a product's pixel middles, in a CRS."""
    with rasterio.open(path) as file:
        rows, columns = np.meshgrid(np.arange(file.height) + 0.5, np.arange(file.width) + 0.5, indexing="ij")
        x, y = file.transform * (columns, rows)
        moved = Transformer.from_crs(file.crs, crs, always_xy=True).transform(x, y)
    return moved[0], moved[1]


def looked_up(source: Path | str, product: Path | str, *, outside: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a file that the middles of a product's pixels lie in: nearest neighbour by arithmetic alone.

    Returns:
        The values (band, y, x), ``outside`` where the file does not reach, and where the answer is beyond doubt:
        further than a hundredth of a pixel from an edge between two of the file's pixels.
    """
    with rasterio.open(source) as file:
        values, inverse, crs, shape = file.read(), ~file.transform, file.crs.to_wkt(), file.shape
    columns, rows = inverse * centres(product, crs)
    row, column = np.floor(rows).astype(int), np.floor(columns).astype(int)
    within = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    found = np.full((len(values), *row.shape), outside, dtype=np.result_type(values, np.float32))
    found[:, within] = values[:, row[within], column[within]]
    sure = (np.abs(rows - np.rint(rows)) > 0.01) & (np.abs(columns - np.rint(columns)) > 0.01)
    return found, sure
