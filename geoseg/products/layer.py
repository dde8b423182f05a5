"""A layer of bytes on disk that is filled block by block, whatever the scene's size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.storage import writing

Window = tuple[slice, slice]
"""Rows and columns, as numpy and GeoBox are indexed; whole, with a start and a stop, step 1."""

EMPTY = 255
_FILL = 1 << 22


@dataclass(frozen=True, slots=True)
class ByteLayer:
    """A raw uint8 raster (y, x), row by row, 255 where nothing has been written yet. Small and picklable.

    The file is mapped for each read and write and let go at once: pages that stay mapped would count as this
    process's memory until the whole scene is in it.

    Attributes:
        path: The raw file.
        shape: Rows and columns.
    """

    path: Path
    shape: tuple[int, int]

    @classmethod
    def create(cls, path: Path, shape: tuple[int, int]) -> Self:
        """A layer of 255, replacing what is there.

        Raises:
            OutputNotWritableError: The disk is full or cannot be written.
        """
        empty = bytes([EMPTY]) * _FILL
        left = shape[0] * shape[1]
        with writing(path), path.open("wb") as file:
            while left > 0:
                left -= file.write(empty[: min(left, _FILL)])
        return cls(path, shape)

    @property
    def is_whole(self) -> bool:
        """The file is there and has the size that its shape says."""
        return self.path.is_file() and self.path.stat().st_size == self.shape[0] * self.shape[1]

    def write(self, first: int, block: NDArray[np.uint8]) -> None:
        """Put full-width rows in their place.

        Args:
            first: The row that the block begins at.
            block: uint8 (y, x), as wide as the layer.
        """
        if block.dtype != np.uint8 or block.ndim != 2 or block.shape[1] != self.shape[1]:
            raise ValueError(f"a {block.dtype} block {block.shape} does not fit a layer {self.shape}")
        if len(block):
            self._map(slice(first, first + len(block)), "r+")[:] = block

    def read(self, window: Window) -> NDArray[np.uint8]:
        """A copy of a block, uint8 (y, x)."""
        rows, columns = window
        return np.array(self._map(rows, "r")[:, columns])

    def blocks(self, rows: int = 256) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """The layer in full-width blocks of at most ``rows`` rows, from the top."""
        for start in range(0, self.shape[0], rows):
            window = (slice(start, min(start + rows, self.shape[0])), slice(0, self.shape[1]))
            yield window, self.read(window)

    def thinned(self, step: int) -> NDArray[np.uint8]:
        """Every ``step``-th pixel from the middle of the first step: the nearest-neighbour picture, small."""
        offset = min(step // 2, self.shape[0] - 1)
        across = min(step // 2, self.shape[1] - 1)
        rows = [self._map(slice(y, y + 1), "r")[0, across::step].copy() for y in range(offset, self.shape[0], step)]
        return np.stack(rows)

    def flush(self) -> None:
        """Return when what was written is on the disk, so that a journal may say so."""
        with writing(self.path), self.path.open("rb") as file:
            os.fsync(file.fileno())

    def _map(self, rows: slice, mode: str) -> np.memmap[tuple[int, int], np.dtype[np.uint8]]:
        if not 0 <= rows.start < rows.stop <= self.shape[0]:
            raise ValueError(f"rows {rows.start}..{rows.stop} are not in a layer of {self.shape[0]} rows")
        size = (rows.stop - rows.start, self.shape[1])
        return np.memmap(self.path, np.uint8, mode, offset=rows.start * self.shape[1], shape=size)  # type: ignore[call-overload, no-any-return]
