"""Cutting chips out of a block's pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.plan import Block, Plan

Window = tuple[int, int]
"""Number of a window down and across the grid."""


def cut(plan: Plan, block: Block, pixels: NDArray[np.float32]) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """The chips of a block, row by row, mirrored at the grid's frame.

    Args:
        plan: Where the windows lie.
        block: Which of them.
        pixels: float32 (band, y, x) of ``block.read_y`` and ``block.read_x``.

    Yields:
        The window's number, and its pixels (band, chip, chip); a view of ``pixels`` where nothing is mirrored.
    """
    columns = {kx: _place(plan.x.pixels(kx), block.read_x[0]) for kx in block.kx}
    for ky in block.ky:
        rows = _place(plan.y.pixels(ky), block.read_y[0])
        strip = pixels[:, rows, :]
        for kx in block.kx:
            yield (ky, kx), strip[:, :, columns[kx]]


def _place(shown: NDArray[np.intp], origin: int) -> slice | NDArray[np.intp]:
    """Indices into the block; a slice where they run on, which costs no copy."""
    first, last = int(shown[0]), int(shown[-1])
    if last - first == len(shown) - 1 and bool((np.diff(shown) == 1).all()):
        return slice(first - origin, last + 1 - origin)
    return shown - origin
