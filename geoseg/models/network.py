"""A network with its card: normalises what it is given, fills what was not observed, and asks the module."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from geoseg.catalog.cards import BandStatistics, ModelCard
from geoseg.errors import BadOptionError
from geoseg.models.input_checks import check_chips
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
        self._shift, self._factor = (each.to(self.device) for each in affine_of(card))

    def logits(self, chips: Chips) -> Tensor:
        """See :class:`geoseg.models.protocol.SegmentationModel`; on the CPU, wherever the network computes."""
        check_chips(chips, self.card)
        return self.logits_there(chips).cpu()

    def logits_there(self, chips: Chips) -> Tensor:
        """The same, where the network computes, of chips that were checked."""
        return self._asked(chips, self.normalised(chips.pixels.to(self.device))).float()

    @property
    def affine(self) -> tuple[Tensor, Tensor]:
        """Shift and factor, float32 (1, band, 1, 1): normalised = shift + pixel * factor."""
        return self._shift, self._factor

    def normalised(self, pixels: Tensor) -> Tensor:
        """(pixel * scale - mean) / std per band, and 0, which is the band's mean, where not observed.

        What is beyond float32 though it was observed is no mean either: it stays NaN, and the network gives no number
        there; or infinite for a foundation encoder, which refuses it. A card's shift and factor are finite, so that a
        NaN before this comes of a pixel that was not observed, and of nothing else.
        """
        beyond = torch.inf if isinstance(self.module, ReadsAcquisition) else torch.nan
        return torch.addcmul(self._shift, pixels, self._factor).nan_to_num_(nan=0.0, posinf=beyond, neginf=beyond)

    def _asked(self, chips: Chips, normalised: Tensor) -> Tensor:
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


def affine_of(card: ModelCard) -> tuple[Tensor, Tensor]:
    """Shift and factor, float32 (1, band, 1, 1): normalised = shift + pixel * factor."""
    plain = BandStatistics()
    statistics = [card.normalisation.bands.get(band, plain) for band in card.bands]
    shift = torch.tensor([-each.mean / each.std for each in statistics])
    factor = torch.tensor([card.normalisation.scale / each.std for each in statistics])
    return shift[None, :, None, None], factor[None, :, None, None]
