"""What hides the ground: scene classes and unusable data masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.readers.recipe import MaskRecipe

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

UDM2_BANDS = 8
"""clear, snow, cloud shadow, light haze, heavy haze, cloud, confidence, unusable (the bits of the old UDM)."""


def hidden_pixels(
    dataset: DatasetReader, mask: MaskRecipe, window: Window, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Pixels of the mask that were not observed.

    The codes are taken as they are: a mask's own nodata tag (Planet tags 1, "blackfill") changes nothing.

    Returns:
        bool (y, x).
    """
    codes = dataset.read(1, window=window, out_shape=shape)
    if mask.kind == "scl":
        return hidden_by_class(codes, mask.hidden)
    if dataset.count < UDM2_BANDS:
        return hidden_by_udm(codes)
    unusable = dataset.read(UDM2_BANDS, window=window, out_shape=shape)
    return hidden_by_udm2(codes, unusable)


def hidden_by_class(codes: NDArray[np.generic], hidden: tuple[int, ...]) -> NDArray[np.bool_]:
    """Sentinel-2 scene classes: hidden where the class is one of ``hidden``."""
    table = np.zeros(256, dtype=bool)
    table[list(hidden)] = True
    return table[codes.astype(np.uint8, copy=False)]


def hidden_by_udm(bits: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Planet's first mask: bit 0 blackfill, 1 cloud, 2 to 6 missing or suspect data in a band. Any hides."""
    return np.asarray(bits != 0)


def hidden_by_udm2(clear: NDArray[np.generic], unusable: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Planet's second mask: seen where band 1 says clear and band 8 has no bit of the first mask set."""
    return np.asarray((clear != 1) | (unusable != 0))
