"""A Cube as dask arrays."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import dask
import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.xr import xr_coords

if TYPE_CHECKING:
    from geoseg.readers.cube import Cube, Pixels

log = logging.getLogger(__name__)


def dataset_of(cube: Cube) -> xr.Dataset:
    """``pixels`` float32 (band, y, x) and ``source`` uint8 (y, x), one task per tile.

    Args:
        cube: What to read.

    Returns:
        With the coordinates and the CRS of the grid, and the ids of the scenes in the attributes of ``source``.
    """
    shared = dask.delayed(cube, pure=True)
    rows, cols = cube.tiles
    tiles = [[dask.delayed(_read)(shared, iy, ix) for ix in range(cols)] for iy in range(rows)]
    heights, widths = (
        [stop - start for start, stop in (cube.span(axis, number) for number in range(count))]
        for axis, count in enumerate((rows, cols))
    )
    count = len(cube.bands)

    def block(part: str, iy: int, ix: int) -> da.Array:
        shape = (heights[iy], widths[ix])
        if part == "values":
            return da.from_delayed(tiles[iy][ix].values, (count, *shape), np.float32)
        return da.from_delayed(tiles[iy][ix].source, shape, np.uint8)

    pixels, source = (
        da.block([[block(part, iy, ix) for ix in range(cols)] for iy in range(rows)]) for part in ("values", "source")
    )
    coordinates = xr_coords(cube.geobox)
    return xr.Dataset(
        {
            "pixels": (("band", *cube.geobox.dims), pixels),
            "source": (cube.geobox.dims, source, {"scenes": [scene.id for scene in cube.scenes]}),
        },
        {**coordinates, "band": list(cube.bands)},
    )


def _read(cube: Cube, iy: int, ix: int) -> Pixels:
    pixels = cube.tile(iy, ix)
    for failure in pixels.failures:
        log.warning("scene %s was left out: %s", failure.scene_id, failure.reason)
    return pixels
