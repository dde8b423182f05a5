"""Where a scene's files are cut into blocks, on the output grid, as far as its metadata tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geoseg.core.scene import Scene

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


def block_offset(scene: Scene, geobox: GeoBox, tile_px: int) -> tuple[int, int]:
    """Shift of the tiles (y, x) that lays their edges on the edges of the files' blocks.

    A COG's blocks start at its corner, 256, 512 or 1024 pixels a side. Tiles of a multiple of that, laid on them,
    decode every block once; laid across them, up to four times. Speed is all that hangs on it.

    Args:
        scene: The scene that most pixels will come from.
        geobox: The output grid.
        tile_px: Side of a tile.

    Returns:
        0..tile_px-1 each; (0, 0) where the files' grid is unknown or another than the output's.
    """
    properties = scene.item.get("properties", {})
    for asset in scene.item.get("assets", {}).values():
        known = {**properties, **asset}
        if not _same_crs(known, geobox):
            continue
        transform = known.get("proj:transform")
        if not isinstance(transform, list) or len(transform) < 6:
            continue
        try:
            dx, _, left, _, dy, top = (float(number) for number in transform[:6])
        except (TypeError, ValueError):
            continue
        if dx == geobox.affine.a and dy == geobox.affine.e:
            return _shift(geobox.affine.f, top, dy, tile_px), _shift(geobox.affine.c, left, dx, tile_px)
    return 0, 0


def _same_crs(known: Mapping[str, Any], geobox: GeoBox) -> bool:
    code = known.get("proj:code") or (f"EPSG:{known['proj:epsg']}" if known.get("proj:epsg") else None)
    return code is not None and code == f"EPSG:{geobox.crs.to_epsg()}"


def _shift(grid_edge: float, file_edge: float, step: float, tile_px: int) -> int:
    """Pixels from a tile's edge to the grid's first pixel."""
    return round((grid_edge - file_edge) / step) % tile_px
