"""Clay v1.5: a masked autoencoder's encoder whose patch embedding is written from wavelengths (Clay Foundation, 2024).

Kernels come from the wavelengths, positions are scaled by the ground sampling, and the last eight channels of the
positions hold the time of year, the time of day and the place; zeros there mean unknown, as they did for a fifth of the
pretraining.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.errors import BandMismatchError, InputRangeError
from geoseg.models.foundation.acquisition import Acquisition
from geoseg.models.foundation.family import EncoderSpec, Family, Leftovers
from geoseg.models.foundation.kernels import WAVE_WIDTH, TwoLayerResidual, WaveTransformer, xavier
from geoseg.models.foundation.memo import Memo, state_of
from geoseg.models.foundation.positions import BASE, table_gsd
from geoseg.models.foundation.protocol import PatchEncoder

PATCH = 8
METADATA_CHANNELS = 8
KERNEL_SCALE = 0.02
WEEKS, HOURS = 52, 24


@dataclass(frozen=True, slots=True)
class ClaySize:
    """Dimensions of one size of Clay."""

    width: int
    depth: int
    heads: int
    head_width: int
    mlp_ratio: int


SIZES = {
    "tiny": ClaySize(192, 6, 4, 48, 2),
    "small": ClaySize(384, 6, 6, 64, 2),
    "base": ClaySize(768, 12, 12, 64, 4),
    "large": ClaySize(1024, 24, 16, 64, 4),
}
"""Only ``large`` was ever released with weights; it is what "Clay v1.5" means."""


class Attention(nn.Module):
    """Pre-norm self-attention without biases."""

    def __init__(self, size: ClaySize) -> None:
        super().__init__()
        inner = size.heads * size.head_width
        self.heads = size.heads
        self.norm = nn.LayerNorm(size.width)
        self.to_qkv = nn.Linear(size.width, inner * 3, bias=False)
        self.to_out = nn.Linear(inner, size.width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, token, width) -> the same shape."""
        batch, count, _ = tokens.shape
        qkv = self.to_qkv(self.norm(tokens)).reshape(batch, count, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.to_out(mixed.transpose(1, 2).reshape(batch, count, -1))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Pre-norm two-layer perceptron."""

    def __init__(self, size: ClaySize) -> None:
        super().__init__()
        inner = size.width * size.mlp_ratio
        self.net = nn.Sequential(
            nn.LayerNorm(size.width), nn.Linear(size.width, inner), nn.GELU(), nn.Linear(inner, size.width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, token, width) -> the same shape."""
        return self.net(tokens)  # type: ignore[no-any-return]


class ClayBlock(nn.ModuleList):
    """Attention and perceptron, each added to what went in. A list, because the checkpoints number the two."""

    def __init__(self, size: ClaySize) -> None:
        super().__init__([Attention(size), FeedForward(size)])

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, token, width) -> the same shape."""
        for part in self:
            tokens = part(tokens) + tokens
        return tokens


class ClayTransformer(nn.Module):
    """The blocks and the norm after the last one."""

    def __init__(self, size: ClaySize) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size.width)
        self.layers = nn.ModuleList(ClayBlock(size) for _ in range(size.depth))


class ClayPatchEmbedding(nn.Module):
    """Kernel and bias of the patch embedding, for any wavelengths."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight_generator = WaveTransformer(PATCH**2 * width, width, encoder_name="encoder")
        self.fclayer = TwoLayerResidual("l1", "l2", F.gelu)
        xavier(self, bias=0.0)

    def forward(self, wavelengths_um: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (band,) micrometres -> kernel (width, band, 8, 8) and bias (width,)."""
        kernels, bias = self.weight_generator(self.fclayer(wavelength_codes(wavelengths_um)))
        kernels = kernels.reshape(-1, self.width, PATCH, PATCH).transpose(0, 1)
        return kernels * KERNEL_SCALE, bias


class Clay(PatchEncoder):
    """Clay v1.5 in one of four sizes. Reads any bands whose wavelengths are known.

    Args:
        size: Dimensions.
        depth: Fewer blocks than the size has, for trials.
    """

    lora_targets = re.compile(r"\.(to_qkv|to_out|net\.1|net\.3)$")

    def __init__(self, size: ClaySize, *, depth: int | None = None) -> None:
        if depth is not None:
            size = ClaySize(size.width, depth, size.heads, size.head_width, size.mlp_ratio)
        super().__init__(width=size.width, depth=size.depth, patch=PATCH, channels=None)
        self.cls_token = nn.Parameter(torch.randn(1, 1, size.width) * 0.02)
        self.patch_embedding = ClayPatchEmbedding(size.width)
        self.transformer = ClayTransformer(size)
        self._memo = Memo()

    def _embed(self, x: Tensor, seen: Acquisition, grid: tuple[int, int]) -> Tensor:
        if x.ndim != 4:
            raise BandMismatchError("Clay reads one moment: give chips of shape (batch, band, y, x).")
        if seen.wavelengths_um is None:
            raise BandMismatchError("Clay needs the wavelength of every band, in micrometres: give wavelengths_um.")
        if seen.gsd_m is None:
            raise InputRangeError("Clay needs the ground sampling: give gsd_m, the size of a pixel in metres.")
        kernel, bias = self._kernel(seen.wavelengths_um, x.device)
        patches = F.conv2d(x, kernel, bias, stride=PATCH).flatten(2).transpose(1, 2)
        tokens = patches + self._positions(seen, grid, x.device)
        return torch.cat([self.cls_token.expand(x.shape[0], -1, -1), tokens], dim=1)

    def blocks_in_order(self) -> Sequence[nn.Module]:
        """See :class:`PatchEncoder`."""
        return list(self.transformer.layers)

    def _finish(self, tokens: Tensor) -> Tensor:
        return self.transformer.norm(tokens)  # type: ignore[no-any-return]

    def _kernel(self, wavelengths_um: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
        def generate() -> tuple[Tensor, Tensor]:
            with torch.autocast(device.type, enabled=False):
                kernel, bias = self.patch_embedding(torch.tensor(wavelengths_um, device=device))
            return kernel.contiguous(), bias

        if not self.reuse_kernels or torch.is_grad_enabled():
            return generate()
        return self._memo.get((wavelengths_um, state_of(self.patch_embedding.parameters())), generate)

    def _positions(self, seen: Acquisition, grid: tuple[int, int], device: torch.device) -> Tensor:
        """float32 (batch, y*x, width), or a batch of one where nothing is known of the items."""
        gsd_m = seen.gsd_m or 1.0
        where = self._memo.get(
            (grid, gsd_m, device), lambda: table_gsd(*grid, self.width - METADATA_CHANNELS, gsd_m).to(device)
        )
        batch = max(len(seen.times or ()), len(seen.latlon or ()), 1)
        codes = metadata_codes(seen, batch)
        what = self._memo.get((repr(codes), device), lambda: torch.tensor(codes, device=device))
        return torch.cat([where.expand(batch, -1, -1), what[:, None].expand(-1, len(where), -1)], dim=-1)


def wavelength_codes(wavelengths_um: Tensor) -> Tensor:
    """float32 (band, 128): sines and cosines of the wavelength itself, in micrometres."""
    half = WAVE_WIDTH // 2
    ladder = torch.arange(half, device=wavelengths_um.device) / (half - 1)
    angles = torch.outer(wavelengths_um, 1.0 / BASE**ladder)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def metadata_codes(seen: Acquisition, batch: int) -> list[list[float]]:
    """Eight numbers per item: sin and cos of ISO week, hour, latitude and longitude; zeros for what is unknown."""
    times = [_circle(row[0].isocalendar().week, WEEKS) + _circle(row[0].hour, HOURS) for row in seen.times or ()]
    places = [_circle(lat, 360) + _circle(lon, 360) for lat, lon in seen.latlon or ()]
    unknown = [[0.0] * 4] * batch
    return [time + place for time, place in zip(times or unknown, places or unknown, strict=True)]


def _circle(value: float, period: float) -> list[float]:
    angle = 2 * math.pi * value / period
    return [math.sin(angle), math.cos(angle)]


def _build(spec: EncoderSpec) -> Clay:
    spec.refuse_epsilon()
    spec.refuse_positions("are computed for every size")
    return Clay(SIZES[spec.size], depth=spec.depth)


AUTOENCODER = re.compile(r"(model\.)?(decoder|proj|projector|teacher|mask_token|criterion)\b")
"""What the Lightning checkpoint of the pretraining holds beside the encoder."""

FAMILY = Family(_build, Leftovers(re.compile(r"$^"), AUTOENCODER))
