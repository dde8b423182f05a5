"""Read rectangles of an image from its tiles: each tile is read once, and kept in a bounded cache."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np

from geoseg.inference.image_source import ImageSource
from geoseg.inference.windows import Span
from geoseg.readers import Pixels

TileNumber = tuple[int, int]


class TileReader:
    """Read any rectangle of an image from its tiles, and cache the tiles that neighbouring rectangles share.

    Rectangles are read row by row, so the cache evicts the topmost row of tiles first, and of that row the oldest: the
    next row of rectangles shares the lowest row of tiles, not the tiles that were read last. Tiles are anchored to the
    grid, so the value of a pixel does not depend on the rectangle it is read in.

    Args:
        image: The image to read.
        keep_bytes: Capacity of the cache in bytes; 0 keeps nothing.
        threads: Tiles read at the same time.
    """

    def __init__(self, image: ImageSource, *, keep_bytes: int = 0, threads: int = 2) -> None:
        self.image = image
        self._keep_bytes = keep_bytes
        self._threads = threads
        self._kept: OrderedDict[TileNumber, Pixels] = OrderedDict()
        self._lock = Lock()

    def read(self, y: Span, x: Span) -> Pixels:
        """The pixels of grid rows ``y`` and columns ``x``; a view of one tile where it lies within one.

        Raises:
            ReadError: As the cube's tiles do.
        """
        wanted = [(iy, ix) for iy in self._numbers(0, y) for ix in self._numbers(1, x)]
        tiles = self._tiles(wanted)
        if len(wanted) == 1:
            return _part(tiles[wanted[0]], self._origin(wanted[0]), y, x)
        values = np.empty((len(self.image.bands), y[1] - y[0], x[1] - x[0]), np.float32)
        source = np.empty(values.shape[1:], np.uint8)
        failures = {}
        for number, tile in tiles.items():
            (top, left), (rows, columns) = self._origin(number), tile.source.shape
            ys = max(y[0], top), min(y[1], top + rows)
            xs = max(x[0], left), min(x[1], left + columns)
            part = _part(tile, (top, left), ys, xs)
            place = slice(ys[0] - y[0], ys[1] - y[0]), slice(xs[0] - x[0], xs[1] - x[0])
            values[:, *place], source[place] = part.values, part.source
            failures.update(dict.fromkeys(tile.failures))
        return Pixels(values, source, tuple(failures))

    def _numbers(self, axis: int, span: Span) -> range:
        size, tile_offset = self.image.tile_px, self.image.tile_offset[axis]
        return range((span[0] + tile_offset) // size, -(-(span[1] + tile_offset) // size))

    def _origin(self, number: TileNumber) -> tuple[int, int]:
        return self.image.span(0, number[0])[0], self.image.span(1, number[1])[0]

    def _tiles(self, wanted: list[TileNumber]) -> dict[TileNumber, Pixels]:
        with self._lock:  # a worker's threads share one reader
            tiles = {number: self._kept[number] for number in wanted if number in self._kept}
        missing = [number for number in wanted if number not in tiles]
        if len(missing) == 1:
            read = [self.image.tile(*missing[0])]
        else:
            from dask.threaded import get

            graph = {number: (self.image.tile, *number) for number in missing}
            read = get(graph, missing, num_workers=self._threads)
        tiles.update(zip(missing, read, strict=True))
        with self._lock:
            self._store(tiles)
        return tiles

    def _store(self, tiles: dict[TileNumber, Pixels]) -> None:
        for number, tile in tiles.items():
            self._kept[number] = tile
            self._kept.move_to_end(number)
        held = sum(_bytes(tile) for tile in self._kept.values())
        # Topmost row first, oldest first within a row (the sort is stable), tiles of this rectangle last. cachetools
        # cannot express this order: its caches evict one item before each insertion, by recency, frequency or age, and
        # do not know which items belong to one rectangle. Eviction changes speed only: an evicted tile is read again.
        for number in sorted(self._kept, key=lambda number: (number in tiles, number[0])):
            if held <= self._keep_bytes:
                return
            held -= _bytes(self._kept.pop(number))


def _bytes(tile: Pixels) -> int:
    return tile.values.nbytes + tile.source.nbytes


def _part(tile: Pixels, origin: tuple[int, int], y: Span, x: Span) -> Pixels:
    rows, columns = slice(y[0] - origin[0], y[1] - origin[0]), slice(x[0] - origin[1], x[1] - origin[1])
    return Pixels(tile.values[:, rows, columns], tile.source[rows, columns], tile.failures)
