"""DOFA v1 and v2: one transformer for any sensor, its patch embedding written from wavelengths (Xiong et al. 2024).

v1 is torchgeo's module, used part by part so that inner blocks can be tapped and images of any size read. v2 (patch 14,
a timm vision transformer with LayerScale and learned positions) exists in no library. Both leave the last block's
output as it is: the norm of the released files belongs to the autoencoder's pooling, and the authors' segmentation
heads skip it.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.errors import BandMismatchError
from geoseg.models.foundation.acquisition import Acquisition
from geoseg.models.foundation.family import TASK_PARTS, EncoderSpec, Family, Leftovers
from geoseg.models.foundation.kernels import WAVE_WIDTH, TwoLayerResidual, WaveTransformer, xavier
from geoseg.models.foundation.memo import Memo, state_of
from geoseg.models.foundation.positions import Policy, sincos, stretched, table_2d
from geoseg.models.foundation.protocol import SAME_POSITIONS, PatchEncoder

PRETRAINING_PX = 224
KERNEL_SCALE = 0.01
NANOMETRES = 1000
LAYER_SCALE_AT_START = 1e-5


@dataclass(frozen=True, slots=True)
class DofaSize:
    """Dimensions of one size of DOFA, and the blocks that the authors' segmentation heads read."""

    width: int
    depth: int
    heads: int
    taps: tuple[int, ...]


SIZES = {"base": DofaSize(768, 12, 12, (2, 5, 8, 11)), "large": DofaSize(1024, 24, 16, (5, 11, 17, 23))}
V2_SIZES = {"base": DofaSize(768, 12, 12, (4, 6, 10, 11)), "large": DofaSize(1024, 24, 16, (5, 11, 17, 23))}


class DofaEmbedding(nn.Module):
    """The parameters that write kernels, named as in the checkpoints."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.weight_generator = WaveTransformer(patch**2 * width, width, encoder_name="transformer_encoder")
        self.fclayer = TwoLayerResidual("w1", "w2", F.relu)
        xavier(self, bias=0.01)


class _Dofa(PatchEncoder):
    """What both generations share: kernels from wavelengths, and a convolution that starts one pixel early."""

    patch_embed: Any
    cls_token: nn.Parameter

    def __init__(self, size: DofaSize, *, patch: int, positions: Policy, depth: int | None) -> None:
        super().__init__(width=size.width, depth=depth or size.depth, patch=patch, channels=None)
        self.positions: Policy = positions
        self._taps = size.taps if depth is None else None
        self._memo = Memo()

    @property
    def default_taps(self) -> tuple[int, ...]:
        """The blocks that the authors' segmentation heads read."""
        return self._taps or super().default_taps

    @abstractmethod
    def _table(self, grid: tuple[int, int]) -> Tensor:
        """Positions, float32 (1 + y*x, width)."""

    def _embed(self, x: Tensor, seen: Acquisition, grid: tuple[int, int]) -> Tensor:
        if x.ndim != 4:
            raise BandMismatchError("DOFA reads one moment: give chips of shape (batch, band, y, x).")
        if seen.wavelengths_um is None:
            raise BandMismatchError("DOFA needs the wavelength of every band, in micrometres: give wavelengths_um.")
        kernel, bias = self._kernel(seen.wavelengths_um, x.device)
        # The padding of one pixel is the authors': the grid of patches starts one pixel above and left of the image.
        patches = F.conv2d(x, kernel, bias, stride=self.patch, padding=1).flatten(2).transpose(1, 2)
        table = self._table(grid)
        first = (self.cls_token + table[:1]).expand(x.shape[0], -1, -1)
        return torch.cat([first, patches + table[1:]], dim=1)

    def _finish(self, tokens: Tensor) -> Tensor:
        return tokens

    def _kernel(self, wavelengths_um: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
        def generate() -> tuple[Tensor, Tensor]:
            with torch.autocast(device.type, enabled=False):
                codes = sincos(torch.tensor(wavelengths_um, device=device) * NANOMETRES, WAVE_WIDTH)
                kernels, bias = self.patch_embed.weight_generator(self.patch_embed.fclayer(codes))
            shape = (len(wavelengths_um), self.patch, self.patch, self.width)
            kernel = kernels.reshape(shape).permute(3, 0, 1, 2) * KERNEL_SCALE
            return kernel.contiguous(), bias.reshape(self.width) * KERNEL_SCALE

        if not self.reuse_kernels or torch.is_grad_enabled():
            return generate()
        return self._memo.get((wavelengths_um, state_of(self.patch_embed.parameters())), generate)


class Dofa(_Dofa):
    """DOFA v1, patch 16.

    Args:
        size: Dimensions.
        positions: Off 224 px, ``interpolate`` the checkpoint's table or ``recompute`` its formula for the new grid.
        depth: Fewer blocks than the size has, for trials.
    """

    pos_embed: Tensor

    def __init__(self, size: DofaSize, *, positions: Policy = "interpolate", depth: int | None = None) -> None:
        from torchgeo.models.dofa import DOFA  # seconds of imports, paid only by whoever asks for DOFA v1

        super().__init__(size, patch=16, positions=positions, depth=depth)
        theirs = DOFA(
            img_size=PRETRAINING_PX,
            patch_size=self.patch,
            embed_dim=size.width,
            depth=self.depth,
            num_heads=size.heads,
            num_classes=0,
        )
        self.patch_embed = theirs.patch_embed
        self.cls_token = theirs.cls_token
        nn.init.normal_(self.cls_token, std=0.02)
        self.blocks = theirs.blocks
        side = PRETRAINING_PX // self.patch
        # torchgeo starts from zeros, which only a checkpoint replaces; the formula is what the checkpoint holds.
        self.register_buffer("pos_embed", table_2d(side, side, size.width).to(theirs.pos_embed.device)[None])

    def blocks_in_order(self) -> Sequence[nn.Module]:
        """See :class:`PatchEncoder`."""
        return list(self.blocks)

    def _table(self, grid: tuple[int, int]) -> Tensor:
        side = PRETRAINING_PX // self.patch
        if grid == (side, side):
            return self.pos_embed[0]

        def make() -> Tensor:
            if self.positions == "recompute":
                return table_2d(*grid, self.width).to(self.pos_embed.device)
            return stretched(self.pos_embed[0], (side, side), grid, align_corners=False, antialias=False)

        return self._memo.get((grid, self.positions, state_of([self.pos_embed])), make)

    def positions_fault(self, table: Tensor | None) -> str | None:
        """See :class:`PatchEncoder`: positions that are to be recomputed must follow the formula."""
        if table is None or self.positions != "recompute":
            return None
        side = round((table.shape[1] - 1) ** 0.5)
        if torch.allclose(table[0].float(), table_2d(side, side, table.shape[-1]), atol=SAME_POSITIONS):
            return None
        return "do not follow the formula, so they cannot be recomputed for another size. Choose positions: interpolate"


class DofaV2Transformer(nn.Module):
    """What is a timm vision transformer in the checkpoints: tokens, learned positions, blocks with LayerScale."""

    def __init__(self, size: DofaSize, depth: int, cells: int) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.cls_token = nn.Parameter(torch.randn(1, 1, size.width) * 1e-6)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + cells, size.width) * 0.02)
        self.blocks = nn.ModuleList(
            Block(size.width, size.heads, qkv_bias=True, init_values=LAYER_SCALE_AT_START, norm_layer=norm)
            for _ in range(depth)
        )


class DofaV2(_Dofa):
    """DOFA v2, patch 14. Its positions are learned, so off 224 px they can only be interpolated.

    Args:
        size: Dimensions.
        depth: Fewer blocks than the size has, for trials.
    """

    def __init__(self, size: DofaSize, *, depth: int | None = None) -> None:
        super().__init__(size, patch=14, positions="interpolate", depth=depth)
        self.side = PRETRAINING_PX // self.patch
        self.patch_embed = DofaEmbedding(self.patch, size.width)
        self.model = DofaV2Transformer(size, self.depth, self.side**2)

    @property
    def cls_token(self) -> nn.Parameter:  # type: ignore[override]
        """The class token, (1, 1, width)."""
        return self.model.cls_token

    def blocks_in_order(self) -> Sequence[nn.Module]:
        """See :class:`PatchEncoder`."""
        return list(self.model.blocks)

    def _table(self, grid: tuple[int, int]) -> Tensor:
        def make() -> Tensor:
            return stretched(self.model.pos_embed[0], (self.side,) * 2, grid, align_corners=False, antialias=True)

        if not self.reuse_kernels or torch.is_grad_enabled():
            return make()
        return self._memo.get((grid, state_of([self.model.pos_embed])), make)


def _build(spec: EncoderSpec) -> Dofa:
    spec.refuse_epsilon()
    return Dofa(SIZES[spec.size], positions=spec.positions or spec.default_positions, depth=spec.depth)


def _build_v2(spec: EncoderSpec) -> DofaV2:
    spec.refuse_epsilon()
    spec.refuse_positions("are learned and follow no formula")
    return DofaV2(V2_SIZES[spec.size], depth=spec.depth)


TASK = re.compile(TASK_PARTS)

FAMILY = Family(
    _build,
    Leftovers(re.compile(r"(norm|fc_norm|head|projector|decoder\w*)\.|mask_token$|decoder_pos_embed$"), TASK),
)
FAMILY_V2 = Family(_build_v2, Leftovers(re.compile(r"(model\.norm|norm|projector|decoder\w*)\.|mask_token$"), TASK))
