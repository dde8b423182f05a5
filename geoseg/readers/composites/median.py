"""The per-pixel median of the passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.readers.composites.mosaic import Codes, Floats, Mosaic, Part, Validity


class MedianComposite:
    """Mosaic each pass by itself, so that it counts once however many scenes it has, and take the median of passes."""

    keeps_passes = True
    is_done = False

    def __init__(self, bands: Sequence[str], shape: tuple[int, int]) -> None:
        self._bands, self._shape = len(bands), shape
        self._passes: list[Mosaic] = []

    def begin_pass(self) -> None:
        """Begin another mosaic."""
        self._passes.append(Mosaic(self._bands, self._shape))

    def missing_window(self) -> Part | None:
        """What no scene of this pass has observed yet."""
        return self._passes[-1].missing_window()

    def feed(self, part: Part, bands: Sequence[Floats], valid: Validity, code: int) -> None:
        """Take what is missing in this pass from a scene."""
        self._passes[-1].fill(part, bands, valid, code)

    def result(self) -> tuple[Floats, Codes]:
        """The median of what was observed, and the nearest scene that observed each pixel."""
        if not self._passes:
            nothing = Mosaic(self._bands, self._shape)
            return nothing.values, nothing.source
        return median([(mosaic.values, mosaic.source) for mosaic in self._passes])


def median(passes: list[tuple[Floats, Codes]]) -> tuple[Floats, Codes]:
    """Take the per-pixel median over passes, in float32.

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
