"""Normalise pixels as a card says: one function for training, inference and export."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.catalog.cards import BandStatistics, ModelCard


def affine_of(card: ModelCard) -> tuple[Tensor, Tensor]:
    """Compute shift and factor of each band: normalised = shift + pixel * factor.

    Returns:
        Two float32 tensors (1, band, 1, 1).
    """
    plain = BandStatistics()
    statistics = [card.normalisation.bands.get(band, plain) for band in card.bands]
    shift = torch.tensor([-each.mean / each.std for each in statistics])
    factor = torch.tensor([card.normalisation.scale / each.std for each in statistics])
    return shift[None, :, None, None], factor[None, :, None, None]


def normalize(pixels: Tensor, affine: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Normalise pixels, and fill what is not a finite number with 0, the mean of its band.

    NaN (not observed), infinity, and what is beyond float32 once normalised are one thing: the pixel is not valid. Its
    label is not learned from, and no probability is given for it.

    Args:
        pixels: float32 (batch, band, y, x), physical units, NaN where not observed. Not changed.
        affine: Of :func:`affine_of`, on the same device.

    Returns:
        float32 (batch, band, y, x), finite; and bool (batch, y, x), True where every band is valid.
    """
    normalised = torch.addcmul(affine[0], pixels, affine[1])
    finite = normalised.isfinite()
    return normalised.masked_fill(~finite, 0.0), finite.all(dim=1)
