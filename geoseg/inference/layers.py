"""A uint8 layer on disk that is written from the top, so that memory does not grow with the scene."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoseg.core.atomic import raise_output_errors

Window = tuple[slice, slice]
"""Rows and columns, as numpy and GeoBox are indexed; whole, with a start and a stop, step 1."""


@dataclass(frozen=True, slots=True)
class ByteLayer:
    """A raw uint8 raster (y, x), written row by row from the top. Small and picklable.

    Rows that are not written yet are not in the file, and reading them is an error: no value could stand for them. The
    file is mapped for each read and unmapped at once: mapped pages would count as memory of this process.

    Attributes:
        path: The raw file.
        shape: Rows and columns.
    """

    path: Path
    shape: tuple[int, int]

    @classmethod
    def create(cls, path: Path, shape: tuple[int, int]) -> Self:
        """Create a layer without rows, replacing an existing file.

        Raises:
            OutputNotWritableError: The disk cannot be written, or has no room for the whole layer.
        """
        with raise_output_errors(path):
            path.write_bytes(b"")
            if shutil.disk_usage(path.parent).free < shape[0] * shape[1]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return cls(path, shape)

    @property
    def rows(self) -> int:
        """Number of rows in the file; 0 where there is no file."""
        return self.path.stat().st_size // self.shape[1] if self.path.is_file() else 0

    @property
    def is_whole(self) -> bool:
        """True once every row is written."""
        return self.rows == self.shape[0]

    def write(self, first: int, block: NDArray[np.uint8]) -> None:
        """Write full-width rows, over existing rows or directly below them.

        Args:
            first: First row of the block.
            block: uint8 (y, x), as wide as the layer.

        Raises:
            OutputNotWritableError: The disk is full.
        """
        if block.dtype != np.uint8 or block.ndim != 2 or block.shape[1] != self.shape[1]:
            raise ValueError(f"a {block.dtype} block {block.shape} does not fit a layer {self.shape}")
        if not 0 <= first <= self.rows or first + len(block) > self.shape[0]:
            raise ValueError(f"{len(block)} rows from {first} do not join the {self.rows} rows of a layer {self.shape}")
        with raise_output_errors(self.path), self.path.open("r+b") as file:
            file.seek(first * self.shape[1])
            file.write(np.ascontiguousarray(block).data)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read a block as a copy, uint8 (y, x)."""
        rows, columns = window
        return np.array(self._map(rows)[:, columns])

    def blocks(self, rows: int = 256) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        """Yield the layer in full-width blocks of at most ``rows`` rows, from the top."""
        for start in range(0, self.shape[0], rows):
            window = (slice(start, min(start + rows, self.shape[0])), slice(0, self.shape[1]))
            yield window, self.read(window)

    def decimated(self, step: int) -> NDArray[np.uint8]:
        """Read every ``step``-th pixel, from the middle of the first step: nearest-neighbour decimation."""
        offset = min(step // 2, self.shape[0] - 1)
        across = min(step // 2, self.shape[1] - 1)
        rows = [self._map(slice(y, y + 1))[0, across::step].copy() for y in range(offset, self.shape[0], step)]
        return np.stack(rows)

    def flush(self) -> None:
        """Flush the written rows to the disk (fsync), before a journal states them."""
        with raise_output_errors(self.path), self.path.open("rb") as file:
            os.fsync(file.fileno())

    def _map(self, rows: slice) -> np.memmap[tuple[int, int], np.dtype[np.uint8]]:
        if not 0 <= rows.start < rows.stop <= self.rows:
            raise ValueError(f"rows {rows.start}..{rows.stop} are not in a layer of {self.rows} rows")
        size = (rows.stop - rows.start, self.shape[1])
        return np.memmap(self.path, np.uint8, "r", offset=rows.start * self.shape[1], shape=size)
