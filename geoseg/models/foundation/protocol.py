"""Define the encoder: its protocol, and the base class of vision transformers over patches."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Unpack, runtime_checkable

from torch import Tensor, nn

from geoseg.errors import BandMismatchError, InputRangeError
from geoseg.models.foundation.acquisition import Acquisition, AcquisitionFacts
from geoseg.models.foundation.memo import being_traced
from geoseg.models.foundation.padding import pad_to_cells

SAME_POSITIONS = 1e-4
"""Largest difference between the positions of a file and ours."""

NORMALISED_LIMIT = 50.0
"""Largest mean magnitude of normalised input. Digital numbers (hundreds to thousands) are far above it, and a chip of
nothing but cloud or urban radar echo stays far below."""


@dataclass(frozen=True, slots=True)
class Features:
    """Feature maps of an encoder, one per tapped block.

    Attributes:
        maps: float32 (batch, channel, y, x) each; ``y`` and ``x`` count cells and are never derived from one another.
        strides: Pixels per cell of each map.
        width: Channels of each map.
        size_px: Height and width of the image that was encoded, before it was padded to whole cells.
    """

    maps: tuple[Tensor, ...]
    strides: tuple[int, ...]
    width: int
    size_px: tuple[int, int]

    @property
    def covered_px(self) -> tuple[int, int]:
        """Height and width in pixels that the cells cover: ``size_px`` and the padding."""
        rows, columns = self.maps[-1].shape[-2:]
        return rows * self.strides[-1], columns * self.strides[-1]


@runtime_checkable
class Encoder(Protocol):
    """A network from normalised chips to feature maps."""

    width: int
    patch: int
    depth: int

    def encode(self, x: Tensor, *, taps: Sequence[int] | None = None, **facts: Unpack[AcquisitionFacts]) -> Features:
        """Encode a batch.

        Args:
            x: float32 (batch, band, y, x) or (batch, band, frame, y, x), normalised, finite; any height and width.
            taps: Blocks (counted from 0) whose output is wanted, ascending. None: the encoder's own choice of four.
            facts: Acquisition metadata.

        Raises:
            BandMismatchError: Another number of bands, or of wavelengths, than the encoder reads.
            InputRangeError: Acquisition metadata out of range, or pixels that were not normalised.
        """


class PatchEncoder(nn.Module, ABC):
    """A vision transformer over square patches.

    Attributes:
        width: Channels of a token.
        depth: Number of blocks.
        patch: Side of a patch in pixels.
        channels: Number of bands it reads; None: any.
    """

    lora_targets: ClassVar[re.Pattern[str]] = re.compile(r"\.(qkv|proj|fc1|fc2)$")
    """Names of the linear layers of its blocks that take low-rank adapters; here as timm names them."""

    def __init__(self, *, width: int, depth: int, patch: int, channels: int | None) -> None:
        super().__init__()
        self.width = width
        self.depth = depth
        self.patch = patch
        self.channels = channels
        self.reuse_kernels = False
        """Keep generated kernels between calls: set by ``prepare_for_inference``, when weights no longer change."""

    @property
    def default_taps(self) -> tuple[int, ...]:
        """Last block of each quarter of the depth."""
        return tuple(dict.fromkeys(max(quarter * self.depth // 4 - 1, 0) for quarter in (1, 2, 3, 4)))

    def encode(self, x: Tensor, *, taps: Sequence[int] | None = None, **facts: Unpack[AcquisitionFacts]) -> Features:
        """Encode a batch; see :class:`Encoder`."""
        self._check(x)
        frames = x.shape[2] if x.ndim == 5 else 1
        seen = Acquisition.checked(
            bands=x.shape[1],
            batch=x.shape[0],
            frames=frames,
            **facts,
        )
        chosen = self._chosen(taps)
        padded = pad_to_cells(x, self.patch)
        rows, columns = padded.shape[-2] // self.patch, padded.shape[-1] // self.patch
        tokens = self._embed(padded, seen, (rows, columns))
        kept = self._through_blocks(tokens, chosen)
        maps = tuple(_as_map(one, frames, rows, columns) for one in kept)
        return Features(maps, (self.patch,) * len(maps), self.width * frames, (x.shape[-2], x.shape[-1]))

    forward = encode

    @abstractmethod
    def _embed(self, x: Tensor, seen: Acquisition, grid: tuple[int, int]) -> Tensor:
        """Embed patches: tokens (batch, 1 + frame*y*x, width), positions added, the class token first."""

    def positions_fault(self, table: Tensor | None) -> str | None:
        """Check the positions that a published file carries, (1, 1 + cell, width); None: it carries none.

        Returns:
            What is wrong with them, as a verb phrase; None: nothing, or they are learned.
        """
        del table
        return None

    @abstractmethod
    def blocks_in_order(self) -> Sequence[nn.Module]:
        """List the transformer's blocks in order."""

    @abstractmethod
    def _finish(self, tokens: Tensor) -> Tensor:
        """Apply the final LayerNorm to the output of the last block, where the encoder has one."""

    def _through_blocks(self, tokens: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        kept = []
        for index, block in enumerate(self.blocks_in_order()[: taps[-1] + 1]):
            tokens = block(tokens)
            if index in taps:
                kept.append(self._finish(tokens) if index == self.depth - 1 else tokens)
        return kept

    def _chosen(self, taps: Sequence[int] | None) -> tuple[int, ...]:
        chosen = self.default_taps if taps is None else tuple(taps)
        if not chosen or list(chosen) != sorted(set(chosen)) or not 0 <= chosen[0] <= chosen[-1] < self.depth:
            raise ValueError(f"taps: expected ascending blocks within 0..{self.depth - 1}, got {chosen}.")
        return chosen

    def _check(self, x: Tensor) -> None:
        if x.ndim not in {4, 5}:
            raise BandMismatchError(
                f"Chips: expected (batch, band, y, x) or (batch, band, frame, y, x), got shape {tuple(x.shape)}."
            )
        if self.channels is not None and x.shape[1] != self.channels:
            raise BandMismatchError(
                f"Chips: expected {self.channels} bands, as the encoder reads, got {x.shape[1]}. "
                "Give the bands of its card, in that order."
            )
        if x.is_meta or being_traced():
            return  # no values
        magnitude = float(x.detach().abs().mean())
        if math.isnan(magnitude):
            raise InputRangeError(
                "Chips: expected finite values, got NaN (not observed). Fill NaN with 0 before the encoder."
            )
        if magnitude > NORMALISED_LIMIT:
            raise InputRangeError(
                f"Chips: expected normalised values, got a mean magnitude of {magnitude:.0f}. "
                "Apply the card's normalisation before the encoder."
            )


def _as_map(tokens: Tensor, frames: int, rows: int, columns: int) -> Tensor:
    """Reshape tokens (batch, 1 + frame*y*x, width) to a map (batch, frame*width, y, x), without the class token."""
    batch, _, width = tokens.shape
    cells = tokens[:, 1:].reshape(batch, frames, rows, columns, width)
    return cells.permute(0, 1, 4, 2, 3).reshape(batch, frames * width, rows, columns)
