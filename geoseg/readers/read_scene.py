"""Read one scene in one rectangle of the output grid: its bands in physical units, and where it was observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.readers.access import forget_tokens, gdal_env, redact, url_signer
from geoseg.readers.footprint import check_location
from geoseg.readers.raster import GridWindow, TransferError, file_grid, opened, read_anew, read_band, read_mask
from geoseg.readers.read_spec import BandReadSpec, ClippedReadSpec, MaskReadSpec, SceneReadSpec

ATTEMPTS = 3
"""Times that a remote file is asked for when it arrives broken, or is refused with a token that has expired."""

Settings = tuple[tuple[str, str], ...]
Layer = TypeVar("Layer", BandReadSpec, MaskReadSpec | ClippedReadSpec)
Scalar = TypeVar("Scalar", bound=np.generic)


def read_bands(spec: SceneReadSpec, window: GridWindow, *, settings: Settings) -> list[NDArray[np.float32]]:
    """Read the bands of a scene in a rectangle of the output grid, in physical units.

    Returns:
        One float32 (y, x) per band of ``spec``, NaN where not observed.

    Raises:
        SceneUnreadableError: A file is missing, truncated, or lies elsewhere than its item says.
        MissingBandError: A file has fewer bands than its item says.
    """
    with gdal_env(spec, settings):
        layers = [_read(read_band, band, spec, window) for band in spec.bands]
    return [np.full(window.shape, np.nan, dtype=np.float32) if layer is None else layer for layer in layers]


def read_valid_mask(spec: SceneReadSpec, window: GridWindow, *, settings: Settings) -> NDArray[np.uint8] | None:
    """Read which pixels the scene's masks leave.

    Returns:
        uint8 (y, x), 1 valid, 0 masked or beyond a mask's file; None where the scene has no mask.

    Raises:
        SceneUnreadableError: A mask's file is missing, truncated, or lies elsewhere than its item says.
    """
    if not spec.masks:
        return None
    with gdal_env(spec, settings):
        masks = [_read(read_mask, mask, spec, window) for mask in spec.masks]
    valid = [np.zeros(window.shape, dtype=np.uint8) if mask is None else mask for mask in masks]
    return valid[0] if len(valid) == 1 else np.minimum.reduce(valid)


def _read(
    read: Callable[[str, Layer, GridWindow], NDArray[Scalar] | None],
    layer: Layer,
    spec: SceneReadSpec,
    window: GridWindow,
) -> NDArray[Scalar] | None:
    """One layer; None where its file does not reach, which must then lie where the item says."""
    for attempts_left in reversed(range(ATTEMPTS)):
        path = url_signer(spec)(layer.href)
        try:
            pixels = read(path, layer, window)
            break
        except TransferError:
            if not attempts_left:
                raise
            read_anew(path)
            forget_tokens(spec)
    if pixels is None:
        name = redact(layer.href).rsplit("/", 1)[-1]
        check_location(spec.footprint, file_grid(opened(path)), name)
    return pixels
