"""Find what was not observed: classes and bits of mask files, and numbers that are not a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy.ndimage import binary_dilation

from geoseg.catalog.collections import BitMask, ClassMask, MaskRule, NonzeroMask
from geoseg.errors import SceneUnreadableError
from geoseg.readers.read_spec import ClippedReadSpec, MaskReadSpec

if TYPE_CHECKING:
    from rasterio.io import DatasetReader


def masked_pixels(
    dataset: DatasetReader, mask: MaskReadSpec | ClippedReadSpec, window: Window, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Find the pixels of a mask's file that were not observed.

    The codes are taken as they are: a mask's own nodata tag (Planet tags 1, "blackfill") changes nothing.

    Returns:
        bool (y, x).

    Raises:
        SceneUnreadableError: No rule is for a file of so many bands.
    """
    if isinstance(mask, ClippedReadSpec):
        return _clipped_around(dataset, mask, window, shape)
    count = dataset.count
    rules = [rule for rule in mask.rules if rule.min_bands <= count <= (rule.max_bands or count) and rule.band <= count]
    if not rules:
        raise SceneUnreadableError(
            f"{mask.href.rsplit('/', 1)[-1]} cannot be read as a mask: its collection does not describe files of "
            f"{count} bands."
        )
    layers = (masked_by(rule, dataset.read(rule.band, window=window, out_shape=shape)) for rule in rules)
    masked: NDArray[np.bool_] = np.logical_or.reduce(list(layers))
    return masked


def masked_by(rule: MaskRule, codes: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Apply one rule to one layer.

    Args:
        rule: What its numbers mean.
        codes: (y, x), as the file holds them.

    Returns:
        bool (y, x), True where the pixel was not observed.
    """
    match rule:
        case ClassMask():
            return _among(codes, rule.hidden) if rule.hidden else ~_among(codes, rule.shown)
        case BitMask():
            numbers = codes.astype(np.int64)
            masked = np.asarray(numbers & sum(1 << bit for bit in rule.hidden)).astype(bool)
            return masked if rule.fill is None else np.asarray(masked | (numbers == rule.fill))
        case NonzeroMask():
            return np.asarray(codes != 0)


def _among(codes: NDArray[np.generic], wanted: tuple[int, ...]) -> NDArray[np.bool_]:
    if codes.dtype != np.uint8:
        return np.isin(codes, wanted)
    table = np.zeros(256, dtype=bool)
    table[[code for code in wanted if 0 <= code < 256]] = True
    return np.asarray(table[codes])


def masked_by_clipping(numbers: NDArray[np.number], lowest: Sequence[float]) -> NDArray[np.bool_]:
    """Where every band is above 0, which is fill, and not above its own lowest number.

    Args:
        numbers: (band, y, x) as the file holds them.
        lowest: One a band.
    """
    limits = np.asarray(lowest)[:, None, None]
    return np.asarray(((numbers > 0) & (numbers <= limits)).all(axis=0))


def _clipped_around(
    dataset: DatasetReader, mask: ClippedReadSpec, window: Window, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Clipped pixels and those within ``reach_px``, also where the clipped one lies beyond the window.

    A window that is read coarser than the file keeps to its own pixels: there the reach is less than one.
    """
    bands, lowest = [place for place, _ in mask.lowest], [number for _, number in mask.lowest]
    if shape != (window.height, window.width):
        return masked_by_clipping(dataset.read(bands, window=window, out_shape=(len(bands), *shape)), lowest)
    above, left = (min(mask.reach_px, int(start)) for start in (window.row_off, window.col_off))
    wide = Window(
        window.col_off - left,
        window.row_off - above,
        min(left + window.width + mask.reach_px, dataset.width - window.col_off + left),
        min(above + window.height + mask.reach_px, dataset.height - window.row_off + above),
    )
    clipped = masked_by_clipping(dataset.read(bands, window=wide), lowest)
    if mask.reach_px and clipped.any():
        side = 2 * mask.reach_px + 1
        clipped = binary_dilation(clipped, np.ones((side, side), dtype=bool))
    return np.asarray(clipped[above : above + shape[0], left : left + shape[1]])
