"""Windows of a Cube as dask arrays, named after the scenes and the grid that they are read from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from geoseg.core.scene import Scene
from geoseg.errors import ReadError
from geoseg.readers import Cube, refusal
from geoseg.readers.read_spec import SceneReadSpec

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

log = logging.getLogger(__name__)


def image_of(cube: Cube, geobox: GeoBox) -> da.Array:
    """The pixels of a window: float32 (band, y, x) as one chunk, NaN where not observed, in the scenes' unit.

    Scenes that fail while it computes are missing from it and named in the log.

    Args:
        cube: Scenes and bands.
        geobox: A part of the cube's grid.
    """
    size = shape_of(geobox)
    window = replace(cube, geobox=geobox, tile_px=max(size), tile_offset=(0, 0))
    name = f"scenes-{tokenize(cube.bands, place_words(geobox), *(_identity(spec) for spec in cube.specs))}"
    return lazy(partial(_pixels, window), name, (len(cube.bands), *size), np.float32)


def lazy(read: Callable[[], NDArray[Any]], name: str, shape: tuple[int, ...], dtype: type) -> da.Array:
    """What ``read`` gives, as one chunk; ``name`` must change when that does."""
    value = dask.delayed(read, pure=False, traverse=False)()
    return da.from_delayed(value, shape, dtype, name=name)


def shape_of(geobox: GeoBox) -> tuple[int, int]:
    """Rows and columns."""
    return int(geobox.shape[0]), int(geobox.shape[1])


def middle_of(geobox: GeoBox) -> tuple[float, float]:
    """Latitude and longitude of the middle, degrees."""
    lon, lat = geobox.geographic_extent.centroid.coords[0]
    return float(lat), float(lon)


def place_words(geobox: GeoBox) -> tuple[object, ...]:
    """What tells one grid from others."""
    return str(geobox.crs), tuple(geobox.affine)[:6], shape_of(geobox)


def common_bands(scenes: Sequence[Scene], known: Sequence[str]) -> tuple[str, ...]:
    """Those of the ``known`` bands that every scene has, in their order.

    Raises:
        ReadError: None is.
    """
    chosen = tuple(band for band in known if all(refusal(scene, [band]) is None for scene in scenes))
    if not chosen:
        why = next(reason for scene in scenes for band in known if (reason := refusal(scene, [band])))
        raise ReadError(f"The {len(scenes)} scenes share no band: choose with --bands. {why}")
    return chosen


def _pixels(cube: Cube) -> NDArray[np.float32]:
    """The only tile of a cube."""
    pixels = cube.tile(0, 0)
    for failure in pixels.failures:
        log.warning("scene %s was left out: %s", failure.scene_id, failure.reason)
    return pixels.values


def _identity(spec: SceneReadSpec) -> tuple[object, ...]:
    """What decides a scene's pixels: how it is read, and the state of the files that lie on this machine."""
    hrefs = [band.href for band in spec.bands] + [mask.href for mask in spec.masks]
    stats = [Path(href).stat() for href in hrefs if Path(href).is_file()]
    return repr((spec.id, spec.footprint, spec.bands, spec.masks)), [(s.st_size, s.st_mtime_ns) for s in stats]
