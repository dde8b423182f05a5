"""How long the pixels of a scene's own files are on the ground, as far as its item tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from geoseg.catalog.collections import collection
from geoseg.core.scene import Scene
from geoseg.errors import MissingBandError
from geoseg.readers.bands import assets_of, band_source

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

COARSER = 3.0
"""Pixels so many times as long as the grid's are worth a word: bands of one sensor differ by twice that are read at
once (Sentinel-2's of 10 and 20 m). geoseg's own choice."""


def coarser_note(scenes: Sequence[Scene], bands: Sequence[str], geobox: GeoBox) -> str | None:
    """A sentence where a grid is much finer than everything that is read onto it; None: it is not, or nobody knows.

    Args:
        scenes: What is read.
        bands: Of them; the finest one counts.
        geobox: The grid; one in degrees is not judged.
    """
    if geobox.crs is None or not geobox.crs.projected:
        return None
    grid_m = abs(float(geobox.resolution.x))
    finest = coarser_pixel_m(scenes, bands, grid_m)
    if finest is None:
        return None
    return (
        f"The imagery's own pixels are {finest:g} m long, {finest / grid_m:.2g} times as long as the {grid_m:g} m they "
        f"are read at, which shows nothing more: consider --resolution {finest:g}."
    )


def coarser_pixel_m(scenes: Sequence[Scene], bands: Sequence[str], grid_m: float) -> float | None:
    """Compute the pixel size of imagery that is ``COARSER`` times a grid's, or more.

    Args:
        scenes: What is read.
        bands: Of them; the finest one counts.
        grid_m: Pixel size of the grid, metres.

    Returns:
        Metres, rounded to one decimal (two below a metre); None where the imagery is finer, or a scene does not state
        its pixel size.
    """
    sizes = [own_pixel_m(scene, bands) for scene in scenes]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes) or min(known) < COARSER * grid_m:
        return None
    return round(min(known), 1 if min(known) >= 1 else 2)


def own_pixel_m(scene: Scene, bands: Sequence[str]) -> float | None:
    """Length of a pixel of the finest file among those of ``bands``, metres.

    What an item's ``proj:transform`` says, else the ``spatial_resolution`` or ``gsd`` of the asset, else the item's
    ``gsd`` (STAC extensions projection and raster, and common metadata). No file is opened.

    Returns:
        None where nothing of that is stated for one of the bands.
    """
    sizes = []
    for band in bands:
        size = _of_band(scene, band)
        if size is None:
            return None
        sizes.append(size)
    return min(sizes, default=None)


def _of_band(scene: Scene, band: str) -> float | None:
    try:
        source = band_source(scene, collection(scene.collection), band)
    except MissingBandError:
        return None
    asset, properties = assets_of(scene)[source.asset], scene.item.get("properties", {})
    if (stated := _transformed({**properties, **asset}, scene.bbox)) is not None:
        return stated
    return next(_stated(asset, properties, source.index - 1), None)


def _stated(asset: Mapping[str, Any], properties: Mapping[str, Any], index: int) -> Iterator[float]:
    """What is said in metres, the nearest to the file first."""
    for key, word in (("raster:bands", "spatial_resolution"), ("bands", "gsd"), ("eo:bands", "gsd")):
        listed = asset.get(key)
        if isinstance(listed, list) and index < len(listed) and isinstance(listed[index], Mapping):
            yield from _length(listed[index].get(word))
    for holder in (asset, properties):
        yield from _length(holder.get("gsd"))


def _length(value: Any) -> Iterator[float]:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        yield float(value)


def _transformed(known: Mapping[str, Any], bbox: tuple[float, float, float, float]) -> float | None:
    """Length of a pixel from the file's grid, at the scene's middle: a web map's metres are not true ones."""
    transform = known.get("proj:transform")
    code = known.get("proj:code") or (f"EPSG:{known['proj:epsg']}" if known.get("proj:epsg") else None)
    system = code or known.get("proj:wkt2")
    if not isinstance(transform, list) or len(transform) < 6 or not isinstance(system, str):
        return None
    west, south, east, north = bbox
    try:
        a, b, _, d, e, _ = (float(number) for number in transform[:6])
        there, back = _transformers(system)
        x, y = there.transform((west + east) / 2, (south + north) / 2)
        lon, lat = back.transform([x, x + a, x + b], [y, y + d, y + e])
    except (ProjError, TypeError, ValueError):
        return None
    _, _, sides = Geod(ellps="WGS84").inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])
    length = math.sqrt(sides[0] * sides[1])
    return length if math.isfinite(length) and length > 0 else None


@lru_cache(maxsize=64)
def _transformers(system: str) -> tuple[Transformer, Transformer]:
    crs = CRS.from_user_input(system)
    return Transformer.from_crs(4326, crs, always_xy=True), Transformer.from_crs(crs, 4326, always_xy=True)
