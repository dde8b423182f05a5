"""A written product as a lazy array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import dask.array as da


def lazy_band(path: Path, rows: int = 1024) -> da.Array:
    """The only band of a GeoTIFF as a dask array, uint8 (y, x), read in strips of ``rows``."""
    import dask.array as da
    import rasterio

    with rasterio.open(path) as file:
        height, width = file.shape
    heights = [min(rows, height - top) for top in range(0, height, rows)]

    def strip(block_info: dict[int | None, dict[str, list[tuple[int, int]]]] | None = None) -> NDArray[np.uint8]:
        assert block_info is not None
        (top, bottom), _ = block_info[None]["array-location"]
        with rasterio.open(path) as file:
            pixels: NDArray[np.uint8] = file.read(1, window=((top, bottom), (0, width)))
            return pixels

    return da.map_blocks(strip, chunks=((*heights,), (width,)), dtype=np.uint8, meta=np.empty((0, 0), np.uint8))
