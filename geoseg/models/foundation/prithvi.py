"""Prithvi-EO 1.0 and 2.0: vision transformers over Harmonized Landsat Sentinel-2.

Jakubik et al. 2023 and Szwarcman et al. 2024. The positions are a fixed table over x, y and frame. The ``-tl`` variants
add the time and the place, each times one learned scalar; what is unknown is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from geoseg.models.foundation.acquisition import Acquisition
from geoseg.models.foundation.family import TASK_PARTS, EncoderSpec, Family, Leftovers
from geoseg.models.foundation.memo import Memo
from geoseg.models.foundation.positions import Policy, sincos, stretched, table_3d
from geoseg.models.foundation.protocol import SAME_POSITIONS, PatchEncoder

PRETRAINING_PX = 224
HUB_EPSILON = 1e-6
"""LayerNorm's epsilon in the published model file; weights fine-tuned with terratorch want 1e-5."""

SCALE_AT_START = 0.1


@dataclass(frozen=True, slots=True)
class PrithviSize:
    """Dimensions of one variant; ``frames`` is what it was pretrained with."""

    width: int
    depth: int
    heads: int
    patch: int
    time_and_place: bool
    frames: int = 4


SIZES = {
    "v1-100m": PrithviSize(768, 12, 12, 16, False, frames=3),
    "v2-tiny-tl": PrithviSize(192, 12, 3, 16, True, frames=1),
    "v2-100m-tl": PrithviSize(768, 12, 12, 16, True),
    "v2-300m": PrithviSize(1024, 24, 16, 16, False),
    "v2-300m-tl": PrithviSize(1024, 24, 16, 16, True),
    "v2-600m": PrithviSize(1280, 32, 16, 14, False),
    "v2-600m-tl": PrithviSize(1280, 32, 16, 14, True),
}


class PatchEmbed(nn.Module):
    """One convolution over (frame, y, x) with a stride of its own size."""

    def __init__(self, bands: int, width: int, patch: int) -> None:
        super().__init__()
        kernel = (1, patch, patch)
        self.proj = nn.Conv3d(bands, width, kernel_size=kernel, stride=kernel)
        nn.init.xavier_uniform_(self.proj.weight.view(width, -1))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, band, frame, y, x) -> (batch, frame*y*x, width)."""
        return self.proj(x).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Scale(nn.Module):
    """The learned scalar of the time's, or the place's, embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), SCALE_AT_START))

    def forward(self, codes: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return self.scale * codes


class Prithvi(PatchEncoder):
    """A Prithvi encoder.

    Args:
        size: Dimensions.
        bands: Number of bands.
        positions: Off 224 px, ``recompute`` the table as the published model does, or ``interpolate`` it as terratorch
            does. Weights want the policy that they were trained with: the features differ by 11 to 33 %.
        norm_epsilon: LayerNorm's epsilon.
        depth: Fewer blocks than the size has, for trials.
    """

    def __init__(
        self,
        size: PrithviSize,
        *,
        bands: int = 6,
        positions: Policy = "recompute",
        norm_epsilon: float = HUB_EPSILON,
        depth: int | None = None,
    ) -> None:
        super().__init__(width=size.width, depth=depth or size.depth, patch=size.patch, channels=bands)
        norm = partial(nn.LayerNorm, eps=norm_epsilon)
        self.positions: Policy = positions
        self.pretrained_frames = size.frames
        self.patch_embed = PatchEmbed(bands, size.width, size.patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, size.width) * 0.02)
        self.temporal_embed_enc = Scale() if size.time_and_place else None
        self.location_embed_enc = Scale() if size.time_and_place else None
        self.blocks = nn.ModuleList(
            Block(size.width, size.heads, mlp_ratio=4.0, qkv_bias=True, norm_layer=norm) for _ in range(self.depth)
        )
        self.norm = norm(size.width)
        self._memo = Memo()

    def _embed(self, x: Tensor, seen: Acquisition, grid: tuple[int, int]) -> Tensor:
        moments = x if x.ndim == 5 else x.unsqueeze(2)
        frames = moments.shape[2]
        table = self._memo.get((frames, grid, x.device), lambda: self._table(frames, grid).to(x.device))
        tokens = self.patch_embed(moments) + table[1:]
        if self.temporal_embed_enc is not None and seen.times is not None:
            days = [[[float(t.year), float(t.timetuple().tm_yday)] for t in row] for row in seen.times]
            tokens = tokens + self._codes(days, self.temporal_embed_enc, x).repeat_interleave(grid[0] * grid[1], dim=1)
        if self.location_embed_enc is not None and seen.latlon is not None:
            places = [[[latitude, longitude]] for latitude, longitude in seen.latlon]
            tokens = tokens + self._codes(places, self.location_embed_enc, x)
        first = (self.cls_token + table[:1]).expand(x.shape[0], -1, -1)
        return torch.cat([first, tokens], dim=1)

    def positions_fault(self, table: Tensor | None) -> str | None:
        """See :class:`PatchEncoder`: the fixed positions that a file carries must be the ones that we compute."""
        if table is None:
            return None
        side = PRETRAINING_PX // self.patch
        frames, rest = divmod(table.shape[1] - 1, side**2)
        if rest == 0 and table.shape[-1] == self.width:
            ours = table_3d(frames, side, side, self.width)
            if torch.allclose(table[0].float(), ours, atol=SAME_POSITIONS):
                return None
        return (
            "are not the fixed table of this encoder: they were trained, or made for another size. Its features would "
            "be wrong"
        )

    def blocks_in_order(self) -> Sequence[nn.Module]:
        """See :class:`PatchEncoder`."""
        return list(self.blocks)

    def _finish(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens)  # type: ignore[no-any-return]

    def _table(self, frames: int, grid: tuple[int, int]) -> Tensor:
        """float32 (1 + frame*y*x, width)."""
        if self.positions == "recompute":
            return table_3d(frames, *grid, self.width)
        side = PRETRAINING_PX // self.patch
        table = table_3d(frames, side, side, self.width)
        return stretched(table, (side, side), grid, align_corners=True, antialias=False)

    def _codes(self, pairs: list[list[list[float]]], scale: Scale, like: Tensor) -> Tensor:
        """float32 (batch, n, width) of (batch, n, 2): half the width for each of the two numbers, times the scalar."""
        # kept: sending them anew would hold up a GPU in every forward
        numbers = self._memo.get((repr(pairs), like.device), lambda: torch.tensor(pairs, device=like.device))
        half = self.width // 2
        first, second = (sincos(numbers[..., i].flatten(), half) for i in (0, 1))
        codes = torch.cat([first, second], dim=1).reshape(*numbers.shape[:2], self.width)
        return scale(codes)  # type: ignore[no-any-return]


def _build(spec: EncoderSpec) -> Prithvi:
    return Prithvi(
        SIZES[spec.size],
        bands=spec.bands,
        positions=spec.positions or spec.default_positions,
        norm_epsilon=spec.norm_epsilon or spec.default_epsilon or HUB_EPSILON,
        depth=spec.depth,
    )


FAMILY = Family(
    _build,
    Leftovers(re.compile(r"pos_embed$|decoder(_|\.)|mask_token$"), re.compile(rf"{TASK_PARTS}|mask_token")),
)
