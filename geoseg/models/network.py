"""A network with its card: normalise chips, run the module, and give logits."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from geoseg.catalog.cards import ModelCard
from geoseg.errors import BadOptionError
from geoseg.models.input_checks import check_chips
from geoseg.models.normalize import affine_of, normalize
from geoseg.models.protocol import Chips


@runtime_checkable
class ReadsAcquisition(Protocol):
    """A module whose call takes how the imagery was acquired (the foundation encoders)."""

    reads_acquisition: Literal[True]

    def __call__(
        self, x: Tensor, *, gsd_m: float | None, time: datetime | None, latlon: tuple[float, float] | None
    ) -> Tensor:
        """Logits of normalised chips; what is None is unknown."""


class NetworkModel:
    """A :class:`geoseg.models.protocol.SegmentationModel` around a torch module.

    Args:
        module: Normalised float32 (batch, band, y, x) -> logits (batch, class, y, x) of that size.
        card: Bands, unit and normalisation.
        device: Where it computes.
    """

    def __init__(self, module: nn.Module, card: ModelCard, *, device: str | torch.device = "cpu") -> None:
        self.card = card
        self.device = resolve_device(device)
        self.module = module.to(self.device).eval()
        shift, factor = affine_of(card)
        self.affine = shift.to(self.device), factor.to(self.device)

    def logits(self, chips: Chips) -> Tensor:
        """See :class:`geoseg.models.protocol.SegmentationModel`; on the CPU, NaN where a pixel is not valid."""
        check_chips(chips, self.card)
        normalised, valid = normalize(self._on_device(chips.pixels), self.affine)
        logits = self._forward(normalised, chips).float()
        return logits.masked_fill(~valid[:, None], torch.nan).cpu()

    def _on_device(self, pixels: Tensor) -> Tensor:
        """Move pixels to the device; from page-locked memory the copy to a GPU does not wait."""
        if self.device.type != "cuda":
            return pixels.to(self.device)
        return pixels.pin_memory().to(self.device, non_blocking=True)

    def _forward(self, normalised: Tensor, chips: Chips) -> Tensor:
        if isinstance(self.module, ReadsAcquisition):
            time, latlon = (chips.time, chips.latlon) if self.card.acquisition else (None, None)
            logits: Tensor = self.module(normalised, gsd_m=chips.gsd_m, time=time, latlon=latlon)
        else:
            logits = self.module(normalised)
        return logits


def resolve_device(device: str | torch.device) -> torch.device:
    """The device, ``auto`` being a GPU where there is one.

    Raises:
        BadOptionError: A GPU was asked for, and torch sees none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise BadOptionError(f"--device is auto, cpu or cuda, not {str(device)!r}.")
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise BadOptionError(f"--device {device} was asked for, and torch sees no GPU here. Use auto, or cpu.")
    return wanted
