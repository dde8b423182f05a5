"""Rectangles of pixels, as dask asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows and columns, each first and one past the last.

    Attributes:
        rows: Of the rectangle.
        columns: Likewise.
        rest: What is left of the question once the rectangle is read (steps); nothing for plain slices.
    """

    rows: Span
    columns: Span
    rest: tuple[Any, ...] = (Ellipsis,)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return max(0, self.rows[1] - self.rows[0]), max(0, self.columns[1] - self.columns[0])

    @property
    def empty(self) -> bool:
        """No pixel."""
        return 0 in self.shape

    def moved(self, rows: int, columns: int) -> Window:
        """The same rectangle elsewhere."""
        return Window(
            (self.rows[0] + rows, self.rows[1] + rows), (self.columns[0] + columns, self.columns[1] + columns)
        )

    def clipped(self, shape: tuple[int, int]) -> Window:
        """What of it lies inside an image of that shape."""
        rows, columns = (
            (min(max(first, 0), side), min(max(last, 0), side))
            for (first, last), side in zip((self.rows, self.columns), shape, strict=True)
        )
        return Window(rows, columns)

    def within(self, other: Window) -> tuple[slice, slice]:
        """Slices of ``other`` that give this one."""
        row, column = other.rows[0], other.columns[0]
        return (
            slice(self.rows[0] - row, self.rows[1] - row),
            slice(self.columns[0] - column, self.columns[1] - column),
        )


def window_of(key: tuple[Any, ...], shape: tuple[int, ...]) -> Window:
    """The rectangle that holds what ``key`` (a slice or a number for rows, and for columns) asks for."""
    spans, rest = [], []
    for each, side in zip(key, shape, strict=True):
        if isinstance(each, slice) and each.step in (None, 1):
            first, last, _ = each.indices(side)
            spans.append((first, max(first, last)))
            rest.append(slice(None))
        else:
            spans.append((0, side))
            rest.append(each)
    return Window(spans[0], spans[1], (Ellipsis, *rest))
