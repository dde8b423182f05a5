"""Images of any size through networks that halve them: mirrored out to a multiple, cropped afterwards."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def padded(x: Tensor, multiple: int) -> Tensor:
    """(batch, band, y, x) with rows and columns added at the end until both are multiples.

    Mirrored where the image is large enough for it, else the last row and column are repeated.
    """
    below, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    if not below and not right:
        return x
    mirrors = below < x.shape[-2] and right < x.shape[-1]
    return F.pad(x, (0, right, 0, below), mode="reflect" if mirrors else "replicate")


def cropped(x: Tensor, like: Tensor) -> Tensor:
    """The part of ``x`` that was there before :func:`padded`."""
    return x[..., : like.shape[-2], : like.shape[-1]]
