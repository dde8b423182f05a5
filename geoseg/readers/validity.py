"""What hides the ground: scene classes, unusable data masks, and numbers that are no measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import binary_dilation

from geoseg.readers.read_spec import MaskReadSpec

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

UDM2_BANDS = 8
"""clear, snow, cloud shadow, light haze, heavy haze, cloud, confidence, unusable (the bits of the old UDM)."""


def hidden_pixels(
    dataset: DatasetReader, mask: MaskReadSpec, window: Window, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Pixels of the mask that were not observed.

    The codes are taken as they are: a mask's own nodata tag (Planet tags 1, "blackfill") changes nothing.

    Returns:
        bool (y, x).
    """
    if mask.kind == "clipped":
        return _clipped_around(dataset, mask, window, shape)
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


def hidden_by_clipping(numbers: NDArray[np.number], lowest: Sequence[float]) -> NDArray[np.bool_]:
    """Where every band is above 0, which is fill, and not above its own lowest number.

    Args:
        numbers: (band, y, x) as the file holds them.
        lowest: One a band.
    """
    limits = np.asarray(lowest)[:, None, None]
    return np.asarray(((numbers > 0) & (numbers <= limits)).all(axis=0))


def _clipped_around(
    dataset: DatasetReader, mask: MaskReadSpec, window: Window, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Clipped pixels and those within ``reach_px``, also where the clipped one lies beyond the window.

    A window that is read coarser than the file keeps to its own pixels: there the reach is less than one.
    """
    bands, lowest = [place for place, _ in mask.lowest], [number for _, number in mask.lowest]
    if shape != (window.height, window.width):
        return hidden_by_clipping(dataset.read(bands, window=window, out_shape=(len(bands), *shape)), lowest)
    above, left = (min(mask.reach_px, int(start)) for start in (window.row_off, window.col_off))
    wide = Window(
        window.col_off - left,
        window.row_off - above,
        min(left + window.width + mask.reach_px, dataset.width - window.col_off + left),
        min(above + window.height + mask.reach_px, dataset.height - window.row_off + above),
    )
    clipped = hidden_by_clipping(dataset.read(bands, window=wide), lowest)
    if mask.reach_px and clipped.any():
        side = 2 * mask.reach_px + 1
        clipped = binary_dilation(clipped, np.ones((side, side), dtype=bool))
    return np.asarray(clipped[above : above + shape[0], left : left + shape[1]])
