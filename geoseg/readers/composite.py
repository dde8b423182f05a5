"""Many scenes, one picture: the nearest clear observation in time, or the per-pixel median of the passes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]

NOT_OBSERVED = 255
"""Source code of a pixel that no scene observed."""


class Mosaic:
    """A rectangle that scenes fill, the nearest first; a pixel's bands all come from one scene.

    Attributes:
        values: float32 (band, y, x), NaN where nothing was observed yet.
        source: uint8 (y, x), code of the scene of each pixel, 255 where nothing was observed yet.
    """

    def __init__(self, bands: int, shape: tuple[int, int]) -> None:
        self.values: Floats = np.full((bands, *shape), np.nan, dtype=np.float32)
        self.source: Codes = np.full(shape, NOT_OBSERVED, dtype=np.uint8)

    def missing_window(self) -> tuple[slice, slice] | None:
        """The smallest rectangle that holds all that is still missing; None when the canvas is full."""
        missing = self.source == NOT_OBSERVED
        rows, cols = np.flatnonzero(missing.any(axis=1)), np.flatnonzero(missing.any(axis=0))
        if not rows.size:
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)

    def fill(self, part: tuple[slice, slice], bands: Iterable[Floats], seen: NDArray[np.bool_], code: int) -> None:
        """Take what is missing in ``part`` from a scene.

        Args:
            part: Rows and columns of the canvas that the scene was read in.
            bands: float32 (y, x) each.
            seen: bool (y, x): every band is observed there and nothing hides it.
            code: The scene's code.
        """
        taken = seen & (self.source[part] == NOT_OBSERVED)
        for number, band in enumerate(bands):
            np.copyto(self.values[number][part], band, where=taken)
        self.source[part][taken] = code


def observed(bands: Iterable[Floats], seen: NDArray[np.generic] | None) -> NDArray[np.bool_]:
    """Where every band holds a number and the mask, if there is one, lets it be seen."""
    result = None if seen is None else np.array(seen, dtype=bool)
    for band in bands:
        finite = np.isfinite(band)
        result = finite if result is None else np.logical_and(result, finite, out=result)
    if result is None:
        raise ValueError("observed() needs a band")
    return result


def median(passes: list[tuple[Floats, Codes]]) -> tuple[Floats, Codes]:
    """Per-pixel median over passes, in float32.

    Args:
        passes: Values float32 (band, y, x) and source uint8 (y, x) of each pass, the nearest in time first.

    Returns:
        The median of what was observed (the mean of the middle two where their number is even), and the nearest scene
        that observed each pixel.
    """
    stack = np.stack([values for values, _ in passes])
    stack.sort(axis=0)  # NaN sorts last
    count = sum((source != NOT_OBSERVED).astype(np.intp) for _, source in passes)
    low, high = (np.maximum(np.asarray(count) - 1, 0) // 2, np.asarray(count) // 2)
    high = np.minimum(high, len(passes) - 1)
    middle = np.take_along_axis(stack, low[None, None], axis=0)[0]
    other = np.take_along_axis(stack, high[None, None], axis=0)[0]
    middle += (other - middle) * np.float32(0.5)
    nearest = passes[-1][1].copy()
    for _, source in reversed(passes[:-1]):
        np.copyto(nearest, source, where=source != NOT_OBSERVED)
    return middle, nearest
