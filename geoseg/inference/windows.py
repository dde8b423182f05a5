"""Place the windows of a model over a grid, group them into blocks, and cut the chips of a block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]
"""First pixel, and the pixel after the last one."""
WindowIndex = tuple[int, int]
"""Number of a window down and across the grid."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The windows along one side of a grid.

    Window ``k`` starts at ``k * stride - pad_before``. Neighbours share ``overlap`` pixels. The outermost windows
    extend beyond the frame by at least half an overlap, so that a pixel at the frame is as far from a chip's edge as
    any other.

    Attributes:
        length: Pixels of the grid along this side.
        chip: Pixels of a window.
        overlap: Pixels that neighbouring windows share, at most half a chip.
        tile_offset: Shift of all windows towards the start, 0..stride-1; does not change a pixelwise model's result.
        reflect_padding: Windows keep their size at the frame, padded by reflection; False: they are clipped.
    """

    length: int
    chip: int
    overlap: int = 0
    tile_offset: int = 0
    reflect_padding: bool = True

    def __post_init__(self) -> None:
        """Refuse a plan that cannot cover its axis."""
        if self.length < 1 or self.chip < 1 or not 0 <= self.overlap <= self.chip // 2:
            raise ValueError(f"windows of {self.chip} px with {self.overlap} px overlap cannot cover {self.length} px")
        if not 0 <= self.tile_offset < self.stride:
            raise ValueError(f"tile offset {self.tile_offset} is not within 0..{self.stride - 1}")

    @property
    def stride(self) -> int:
        """Pixels between the starts of neighbouring windows."""
        return self.chip - self.overlap

    @property
    def pad_before(self) -> int:
        """Pixels by which window 0 starts before the frame."""
        return self.overlap // 2 + self.tile_offset

    @property
    def count(self) -> int:
        """Windows needed so that the last one reaches half an overlap beyond the frame."""
        beyond = self.length + self.pad_before + self.overlap // 2 - self.chip
        return 1 + max(0, -(-beyond // self.stride))

    def start(self, k: int) -> int:
        """First pixel of window ``k``; negative where the window begins before the frame."""
        return k * self.stride - self.pad_before

    def inside(self, k: int) -> Span:
        """The part of window ``k`` that lies within the frame."""
        return max(self.start(k), 0), min(self.start(k) + self.chip, self.length)

    def trim(self, k: int) -> slice:
        """The part of a chip of window ``k`` that shows the frame's inside."""
        first, last = self.inside(k)
        origin = self.start(k) if self.reflect_padding else first
        return slice(first - origin, last - origin)

    def pixels(self, k: int) -> NDArray[np.intp]:
        """Grid pixel of each pixel of window ``k``; reflected at the frame where the window extends beyond it."""
        first, last = (self.start(k), self.start(k) + self.chip) if self.reflect_padding else self.inside(k)
        return mirror(np.arange(first, last), self.length)

    def weights(self, k: int) -> NDArray[np.int64]:
        """Blend weight of each pixel of ``inside(k)``: rises by one a pixel over the overlap, never zero.

        Two neighbours' weights sum to ``overlap + 1`` wherever both reach.
        """
        first, last = self.inside(k)
        offset = np.arange(first, last) - self.start(k)
        ramp = np.minimum(offset + 1, self.chip - offset)
        weights: NDArray[np.int64] = np.minimum(ramp, self.overlap + 1).astype(np.int64)
        return weights

    def weight_sum(self) -> NDArray[np.int64]:
        """Sum of all windows' weights at each pixel, ``length`` long, positive everywhere."""
        total = np.zeros(self.length, np.int64)
        for k in range(self.count):
            first, last = self.inside(k)
            total[first:last] += self.weights(k)
        return total


def mirror(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Reflect indices into ``0..length-1`` without repeating the edge, as often as it takes."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = np.abs(index) % period
    mirrored: NDArray[np.intp] = np.minimum(folded, period - folded)
    return mirrored


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of windows that is read, predicted and returned together.

    Attributes:
        index: Number of the block, row by row.
        row: Row of blocks that it belongs to.
        ky: Numbers of its windows down the grid.
        kx: Numbers of its windows across the grid.
        y: Rows of the grid that its windows cover.
        x: Columns of the grid that its windows cover.
        input_y: Rows of the grid that its windows read; beyond ``y`` only where padding reflects.
        input_x: Columns of the grid that its windows read.
    """

    index: int
    row: int
    ky: range
    kx: range
    y: Span
    x: Span
    input_y: Span
    input_x: Span


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """All windows of a grid, and their blocks.

    Attributes:
        y: Windows down the grid.
        x: Windows across the grid.
        block: Windows of a block, down and across.
    """

    y: Axis
    x: Axis
    block: tuple[int, int] = (1, 1)

    @classmethod
    def over(
        cls,
        shape: tuple[int, int],
        chip: int,
        overlap: int = 0,
        *,
        block_px: int = 1024,
    ) -> WindowPlan:
        """Place windows of ``chip`` pixels over a grid of ``shape`` (y, x), in blocks of about ``block_px``.

        At the frame they keep their size, padded by reflection: a network sees chips of one size.
        """
        windows = max(1, block_px // (chip - overlap))
        return cls(Axis(shape[0], chip, overlap), Axis(shape[1], chip, overlap), (windows, windows))

    @classmethod
    def clipped(cls, shape: tuple[int, int], chip: int, tile_offset: tuple[int, int] = (0, 0)) -> WindowPlan:
        """Place windows of ``chip`` pixels, one a block, that are clipped at the frame and share no pixel.

        For what looks at each pixel alone: an index, a threshold, statistics.

        Args:
            shape: Pixels of the grid (y, x).
            chip: Side of a window in pixels.
            tile_offset: Shift (y, x) of all windows towards the start, 0..chip-1.
        """
        y, x = (Axis(size, chip, 0, shift, False) for size, shift in zip(shape, tile_offset, strict=True))
        return cls(y, x)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.y.length, self.x.length

    @property
    def rows(self) -> int:
        """Rows of blocks."""
        return -(-self.y.count // self.block[0])

    @property
    def windows(self) -> int:
        """Number of windows."""
        return self.y.count * self.x.count

    def blocks(self, first_row: int = 0) -> Iterator[Block]:
        """Yield the blocks row by row, from ``first_row`` on."""
        across = list(_groups(self.x.count, self.block[1]))
        for row, ky in enumerate(_groups(self.y.count, self.block[0])):
            if row < first_row:
                continue
            for column, kx in enumerate(across):
                yield Block(
                    index=row * len(across) + column,
                    row=row,
                    ky=ky,
                    kx=kx,
                    y=_reach(self.y, ky),
                    x=_reach(self.x, kx),
                    input_y=_shown(self.y, ky),
                    input_x=_shown(self.x, kx),
                )

    def final_rows(self, row: int) -> int:
        """Number of grid rows that are final once block row ``row`` is done: no later block changes them."""
        after = (row + 1) * self.block[0]
        return self.y.length if after >= self.y.count else self.y.inside(after)[0]


def _groups(count: int, size: int) -> Iterator[range]:
    for first in range(0, count, size):
        yield range(first, min(first + size, count))


def _reach(axis: Axis, ks: range) -> Span:
    return axis.inside(ks[0])[0], axis.inside(ks[-1])[1]


def _shown(axis: Axis, ks: range) -> Span:
    shown = np.concatenate([axis.pixels(ks[0]), axis.pixels(ks[-1])])
    return int(shown.min()), int(shown.max()) + 1


def cut_chips(
    plan: WindowPlan, block: Block, pixels: NDArray[np.float32]
) -> Iterator[tuple[WindowIndex, NDArray[np.float32]]]:
    """Cut the chips of a block, row by row, reflected at the grid's frame.

    Args:
        plan: The windows of the grid.
        block: The block to cut.
        pixels: float32 (band, y, x) of ``block.input_y`` and ``block.input_x``.

    Yields:
        The window's number, and its pixels (band, chip, chip); a view of ``pixels`` where nothing is reflected.
    """
    columns = {kx: _place(plan.x.pixels(kx), block.input_x[0]) for kx in block.kx}
    for ky in block.ky:
        rows = _place(plan.y.pixels(ky), block.input_y[0])
        strip = pixels[:, rows, :]
        for kx in block.kx:
            yield (ky, kx), strip[:, :, columns[kx]]


def _place(shown: NDArray[np.intp], origin: int) -> slice | NDArray[np.intp]:
    """Return the indices into the block; a slice where they are consecutive, which copies nothing."""
    first, last = int(shown[0]), int(shown[-1])
    if last - first == len(shown) - 1 and bool((np.diff(shown) == 1).all()):
        return slice(first - origin, last + 1 - origin)
    return shown - origin
