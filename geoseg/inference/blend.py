"""Blend overlapping chips with integer arithmetic, so that the sum does not depend on the order of the chips."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.inference.windows import Block, WindowIndex, WindowPlan

STEPS = 10_000
"""Steps of a probability of 1: a hundredth of the resolution of the output, which is one per cent."""
_PER_CENT = ((np.arange(STEPS + 1) + STEPS // 200) // (STEPS // 100)).astype(np.uint8)


def weight_dtype(plan: WindowPlan) -> type[np.int32] | type[np.int64]:
    """Choose the smallest integer type for sums of weighted steps; weights sum to (overlap + 1)^2 at most."""
    most = (plan.y.overlap + 1) * (plan.x.overlap + 1) * STEPS
    return np.int32 if most < 2**31 else np.int64


@dataclass(slots=True)
class BlockSums:
    """Weighted sums of one block.

    Attributes:
        block: The block.
        sums: int32 or int64 (y, x) over ``block.y``, ``block.x``: probability steps times blend weights.
        source: uint8 (y, x), scene each pixel came from, 255 where not observed.
    """

    block: Block
    sums: NDArray[np.signedinteger]
    source: NDArray[np.uint8]

    @classmethod
    def empty(cls, plan: WindowPlan, block: Block, source: NDArray[np.uint8]) -> BlockSums:
        """Return sums of no chip yet; ``source`` covers ``block.y``, ``block.x``."""
        shape = (block.y[1] - block.y[0], block.x[1] - block.x[0])
        return cls(block, np.zeros(shape, weight_dtype(plan)), source.copy())

    def add(self, plan: WindowPlan, window: WindowIndex, probability: NDArray[np.float32]) -> None:
        """Add one chip.

        Args:
            plan: The windows of the grid.
            window: Number of the chip's window.
            probability: float32 (y, x) of the whole window, 0..1; a pixel that is NaN in any chip becomes not observed,
                whatever its source.
        """
        ky, kx = window
        (y0, y1), (x0, x1) = plan.y.inside(ky), plan.x.inside(kx)
        inside = slice(y0 - self.block.y[0], y1 - self.block.y[0]), slice(x0 - self.block.x[0], x1 - self.block.x[0])
        steps = probability[plan.y.trim(ky), plan.x.trim(kx)] * np.float32(STEPS)
        missing = np.isnan(steps)
        if missing.any():
            steps[missing] = 0
            self.source[inside][missing] = NOT_OBSERVED
        np.rint(steps, out=steps)
        weighted = steps.astype(self.sums.dtype)
        if plan.y.overlap or plan.x.overlap:
            weighted *= plan.y.weights(ky).astype(self.sums.dtype)[:, None]
            weighted *= plan.x.weights(kx).astype(self.sums.dtype)[None, :]
        self.sums[inside] += weighted


@dataclass(slots=True)
class Blend:
    """Merge the blocks of a plan, one row of blocks after the other, and return the rows that are final.

    Holds one row of blocks in memory: (rows of a block row) x width integers, whatever the height of the scene.

    Attributes:
        plan: The windows of the grid.
        top: First grid row in memory.
    """

    plan: WindowPlan
    top: int = 0
    _sums: NDArray[np.signedinteger] = field(init=False)
    _source: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        """Start with no rows."""
        self._sums = np.zeros((0, self.plan.shape[1]), weight_dtype(self.plan))
        self._source = np.zeros((0, self.plan.shape[1]), np.uint8)

    @property
    def carry(self) -> dict[str, NDArray[np.generic]]:
        """Sums and sources of the rows from ``top`` on, from which a later run resumes."""
        return {"sums": self._sums, "source": self._source}

    @classmethod
    def resumed(cls, plan: WindowPlan, top: int, carry: dict[str, NDArray[np.generic]]) -> Blend:
        """Return the blend in the state in which ``carry`` was saved."""
        blend = cls(plan, top)
        blend._sums = carry["sums"].astype(weight_dtype(plan))
        blend._source = carry["source"].astype(np.uint8)
        return blend

    def merge(self, partial: BlockSums) -> None:
        """Add the sums of one block."""
        (y0, y1), (x0, x1) = partial.block.y, partial.block.x
        self._grow(y1 - self.top)
        rows = slice(y0 - self.top, y1 - self.top)
        self._sums[rows, x0:x1] += partial.sums
        # blocks agree on the scene of a pixel, but for one that has no result there: 255 wins, in any order
        held = self._source[rows, x0:x1]
        np.maximum(held, partial.source, out=held)

    def flush(self, row: int) -> tuple[int, NDArray[np.uint8], NDArray[np.uint8]]:
        """Return and remove the rows that are final once block row ``row`` has been merged.

        Returns:
            First grid row; probability in per cent, uint8 (y, x), 0..100, 255 not observed; source, uint8 (y, x).
        """
        last = self.plan.final_rows(row)
        done, first = last - self.top, self.top
        weights = self.plan.y.weight_sum()[first:last, None], self.plan.x.weight_sum()[None, :]
        percent = _percent(self._sums[:done], *weights)
        source = self._source[:done].copy()
        percent[source == NOT_OBSERVED] = NOT_OBSERVED
        self._sums, self._source, self.top = self._sums[done:].copy(), self._source[done:].copy(), last
        return first, percent, source

    def _grow(self, rows: int) -> None:
        missing = rows - len(self._sums)
        if missing > 0:
            width = self.plan.shape[1]
            self._sums = np.concatenate([self._sums, np.zeros((missing, width), self._sums.dtype)])
            self._source = np.concatenate([self._source, np.zeros((missing, width), np.uint8)])


def _percent(
    sums: NDArray[np.signedinteger], weight_y: NDArray[np.int64], weight_x: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Convert weighted steps to whole per cent, rounding halves up, in integer arithmetic."""
    step = STEPS // 100
    if weight_y.max(initial=1) == 1 and weight_x.max(initial=1) == 1:
        table: NDArray[np.uint8] = _PER_CENT[sums]
        return table
    unit = (weight_y * weight_x) * step
    percent: NDArray[np.uint8] = ((sums.astype(np.int64) * 2 + unit) // (2 * unit)).astype(np.uint8)
    return percent
