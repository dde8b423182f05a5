"""UViT of the flood-mapping study (arXiv 2511.01990): Prithvi-100M under a UNETR pyramid, with its tokens in place.

The study's own code leaves the tokens in the random order that pretraining masks them in, so that its skips are
permuted and two evaluations differ; and it drags along a decoder of 26 million parameters that nothing reads. Neither
is here.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from geoseg.models.foundation.build import build_encoder
from geoseg.models.foundation.decoders.unetr import UnetrDecoder
from geoseg.models.foundation.padding import crop, pad_to_cells
from geoseg.models.foundation.prithvi import Prithvi

ENCODER = "prithvi-eo-v1-100m"
BASE = 64
"""Channels at full resolution."""


class BandMixer(nn.Module):
    """Squeeze and excitation over the bands (Hu et al. 2018): each is weighed by what the whole chip looks like."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        inner = max(bands, 4)
        self.weigh = nn.Sequential(nn.Conv2d(bands, inner, 1), nn.ReLU(), nn.Conv2d(inner, bands, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, band, y, x) -> the same shape."""
        # twice the sigmoid: a mixer that has learned nothing changes nothing
        return x * (2.0 * self.weigh(x.mean(dim=(-2, -1), keepdim=True)))  # type: ignore[no-any-return]


class UViT(nn.Module):
    """Prithvi-EO-1.0-100M, tapped after each quarter, and a convolutional pyramid over taps and image.

    Args:
        bands: Channels of the input. The pretrained kernels are for blue, green, red, narrow near infrared and the two
            shortwave infrared bands, in that order.
        classes: Channels of the output.
        depth: Fewer blocks than twelve, for trials; at least four.
    """

    def __init__(self, bands: int, classes: int, *, depth: int = 12) -> None:
        super().__init__()
        self.mixer = BandMixer(bands)
        encoder = build_encoder(ENCODER, bands=bands, depth=depth)
        assert isinstance(encoder, Prithvi)  # the catalogue says so
        self.encoder: Prithvi = encoder
        self.decoder = UnetrDecoder(encoder.width, classes, bands=bands, patch=encoder.patch, base=BASE)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised (batch, band, y, x) of any size -> logits (batch, class, y, x)."""
        image = self.mixer(pad_to_cells(x, self.encoder.patch))
        found = self.encoder.encode(image)  # blocks 3, 6, 9 and 12
        normed = tuple(self._normed(each) for each in found.maps[:-1])  # the last one is normalised already
        logits = self.decoder(replace(found, maps=(*normed, found.maps[-1])), image)
        return crop(logits, (x.shape[-2], x.shape[-1]))

    def _normed(self, cells: Tensor) -> Tensor:
        """The encoder's final normalisation, over the channels of (batch, channel, y, x)."""
        return torch.movedim(self.encoder.norm(torch.movedim(cells, 1, -1)), -1, 1)
