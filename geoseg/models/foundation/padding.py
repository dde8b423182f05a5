"""Images that are no whole number of cells, made so and undone."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pad_to_cells(x: Tensor, cell: int, at_least: int = 1) -> Tensor:
    """Repeat the last row and column until height and width are whole cells.

    Repeating rather than zeros: zero is the mean of normalised pixels, and a false edge would reach into the image
    through attention.

    Args:
        x: (batch, band, y, x) or (batch, band, frame, y, x).
        cell: Side of a cell in pixels.
        at_least: Fewest cells per side.
    """
    height, width = x.shape[-2:]
    below = max(-(-height // cell), at_least) * cell - height
    right = max(-(-width // cell), at_least) * cell - width
    if not below and not right:
        return x
    return F.pad(x, (0, right, 0, below) + (0, 0) * (x.ndim - 4), mode="replicate")


def crop(x: Tensor, size_px: tuple[int, int]) -> Tensor:
    """The part of ``x`` (..., y, x) that was there before :func:`pad_to_cells`."""
    return x[..., : size_px[0], : size_px[1]]
