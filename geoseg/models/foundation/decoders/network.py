"""An encoder and a decoder as one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.models.foundation.acquisition import LatLon, Times
from geoseg.models.foundation.decoders.protocol import Decoder
from geoseg.models.foundation.layers import trained_under
from geoseg.models.foundation.padding import crop, pad_to_cells
from geoseg.models.foundation.protocol import Features, PatchEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """Options of a network on a foundation encoder.

    Attributes:
        wavelengths_um: Centre of each band in micrometres, used where a call gives none; Clay and DOFA require them.
        gsd_m: Ground sampling in metres, used where a call gives none; Clay requires it.
        taps: Blocks whose output the decoder reads. None: the encoder's choice, the deepest ones first.
        frozen: Part of the encoder that is not trained: ``none``, ``encoder``, ``first:N`` (the embedding and N blocks)
            or ``all-but-norm``; True is ``encoder``, False is ``none``. A frozen encoder stays in evaluation mode.
    """

    wavelengths_um: Sequence[float] | None = None
    gsd_m: float | None = None
    taps: Sequence[int] | None = None
    frozen: bool | str = False


class SegmentationNetwork(nn.Module):
    """An encoder and a decoder: normalised chips of any size to logits of that size.

    Args:
        encoder: Any foundation encoder.
        decoder: Fits the encoder's width and patch.
        options: Defaults of acquisition metadata, taps, frozen part.
    """

    reads_acquisition: Literal[True] = True
    """Its call takes ``gsd_m``, ``time`` and ``latlon``."""

    def __init__(self, encoder: PatchEncoder, decoder: Decoder, options: NetworkOptions) -> None:
        super().__init__()
        wavelengths_um, taps, frozen = options.wavelengths_um, options.taps, options.frozen
        self.encoder = encoder
        self.decoder = decoder
        self.wavelengths_um = None if wavelengths_um is None else tuple(wavelengths_um)
        self.gsd_m = options.gsd_m
        self.taps = tuple(encoder.default_taps[-decoder.levels :] if taps is None else taps)
        if len(self.taps) != decoder.levels:
            raise ValueError(f"taps: expected {decoder.levels} blocks, as many as the decoder reads, got {self.taps}.")
        self.freeze(frozen if isinstance(frozen, str) else ("encoder" if frozen else "none"))

    def freeze(self, part: str) -> None:
        """Freeze a part of the encoder, and train the rest; see :class:`NetworkOptions`.

        Raises:
            BadOptionError: No such part.
        """
        learning = trained_under(self.encoder, part)
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(name in learning)
        self.frozen = not learning
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(
        self,
        x: Tensor,
        *,
        wavelengths_um: Sequence[float] | None = None,
        gsd_m: float | None = None,
        time: Times | None = None,
        latlon: LatLon | None = None,
    ) -> Tensor:
        """Compute logits.

        Args:
            x: float32 (batch, band, y, x), normalised and finite.
            wavelengths_um: Centre of each band, micrometres.
            gsd_m: Ground sampling, metres.
            time: Acquisition; see :class:`geoseg.models.foundation.protocol.Encoder`.
            latlon: Latitude and longitude, degrees.

        Returns:
            float32 (batch, class, y, x) at the size of ``x``.
        """
        image = pad_to_cells(x, self.encoder.patch, self.decoder.min_grid)
        features = self.features(image, wavelengths_um=wavelengths_um, gsd_m=gsd_m, time=time, latlon=latlon)
        logits = self.decoder(features, image)
        if logits.shape[-2:] != image.shape[-2:]:
            logits = F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return crop(logits, (x.shape[-2], x.shape[-1]))

    def features(
        self,
        image: Tensor,
        *,
        wavelengths_um: Sequence[float] | None = None,
        gsd_m: float | None = None,
        time: Times | None = None,
        latlon: LatLon | None = None,
    ) -> Features:
        """Encode an image of whole cells without NaN for the decoder; arguments as in :meth:`forward`."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.encoder.encode(
                image,
                wavelengths_um=self.wavelengths_um if wavelengths_um is None else wavelengths_um,
                gsd_m=self.gsd_m if gsd_m is None else gsd_m,
                time=time,
                latlon=latlon,
                taps=self.taps,
            )
