"""U-Net++ (Zhou et al. 2018, arXiv 1807.10165; 2020, arXiv 1912.05074) with its deep supervision and its pruning.

The nest is segmentation_models_pytorch's, key by key, so that a checkpoint of theirs fits. What they leave out is ours:
a head on each nested U-Net, the mean of all heads, and running only the shallower ones.
"""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from geoseg.errors import BadOptionError
from geoseg.models.cnn.blocks import allow_batch_of_one, cropped, encoder_name, features, padded

LEVELS = 4
"""U-Nets in the nest. Level 1 sees two halvings of the image, level 4 all five."""

STRIDE = 32


class UNetPlusPlus(nn.Module):
    """Four nested U-Nets over one encoder.

    Args:
        bands: Channels of the input.
        classes: Channels of the output.
        encoder: Any encoder of segmentation_models_pytorch or timm, by name.
        deep_supervision: Each level has a head, and the answer is their mean. False: the deepest alone, as
            segmentation_models_pytorch has it.
        prune: Answer with the head of this level (1..4), and run nothing deeper. None: all.

    Raises:
        BadOptionError: ``prune`` is no level, or a level without a head.
        UnknownNameError: No such encoder.
    """

    def __init__(
        self,
        bands: int,
        classes: int,
        *,
        encoder: str = "efficientnet-b0",
        deep_supervision: bool = True,
        prune: int | None = None,
    ) -> None:
        super().__init__()
        whole = smp.UnetPlusPlus(encoder_name(encoder), encoder_weights=None, in_channels=bands, classes=classes)
        self.encoder = allow_batch_of_one(whole.encoder)
        for unused in ("_conv_head", "_bn1"):  # EfficientNet's own classifier: kept for its keys, never reached
            if hasattr(self.encoder, unused):
                getattr(self.encoder, unused).requires_grad_(False)
        self.decoder = allow_batch_of_one(whole.decoder)
        self.segmentation_head = whole.segmentation_head
        self.side_heads = nn.ModuleList()
        if deep_supervision:
            # a nested level ends at half resolution, with as many channels as the encoder's first halving
            width = whole.encoder.out_channels[1]
            self.side_heads.extend(nn.Conv2d(width, classes, 3, padding=1) for _ in range(LEVELS - 1))
        self.prune = prune
        self._check(prune)

    def prune_to(self, level: int | None) -> None:
        """Answer with the head of this level from now on; None: with all.

        Raises:
            BadOptionError: No such level, or a level without a head.
        """
        self._check(level)
        self.prune = level

    def forward(self, x: Tensor) -> Tensor:
        """Normalised (batch, band, y, x) of any size -> logits (batch, class, y, x), as ``prune`` says."""
        self._check(self.prune)
        if self.prune is not None:
            return self._answer(x, wanted=[self.prune])[0]
        if not self.side_heads:
            return self._answer(x, wanted=[LEVELS])[0]
        return torch.stack(self.side_outputs(x)).mean(dim=0)

    def side_outputs(self, x: Tensor) -> list[Tensor]:
        """Logits of each level that has a head, the shallowest first: what deep supervision trains."""
        return self._answer(x, wanted=[*range(1, LEVELS), LEVELS] if self.side_heads else [LEVELS])

    def _answer(self, x: Tensor, *, wanted: list[int]) -> list[Tensor]:
        nodes = self._nest(features(self.encoder, padded(x, STRIDE), wanted[-1] + 1), wanted[-1])
        return [cropped(self._head(nodes, level), x) for level in wanted]

    def _nest(self, maps: list[Tensor], levels: int) -> dict[tuple[int, int], Tensor]:
        """Every node of the ``levels`` shallowest U-Nets, by how many halvings it lies deep and its place in the row.

        Node (depth, place) joins what stands before it in its row with the doubled node below. It is the paper's
        X^(depth-1, place), since row 0 here lies one halving deep.
        """
        nodes = {(depth, 0): maps[depth] for depth in range(1, levels + 2)}
        for place in range(1, levels + 1):
            for depth in range(1, levels + 2 - place):
                row = [nodes[depth, earlier] for earlier in range(place - 1, -1, -1)]
                block = self._block(LEVELS + 1 - depth - place, LEVELS - depth)
                nodes[depth, place] = block(nodes[depth + 1, place - 1], torch.cat(row, dim=1))
        return nodes

    def _block(self, first: int, row: int) -> nn.Module:
        """A block by the name that segmentation_models_pytorch gives it."""
        return self.decoder.get_submodule(f"blocks.x_{first}_{row}")

    def _head(self, nodes: dict[tuple[int, int], Tensor], level: int) -> Tensor:
        if level == LEVELS:
            logits: Tensor = self.segmentation_head(self._block(0, LEVELS)(nodes[1, level]))
            return logits
        side = self.side_heads[level - 1](nodes[1, level])
        return nn.functional.interpolate(side, scale_factor=2.0, mode="bilinear", align_corners=False)

    def _check(self, prune: int | None) -> None:
        if prune is None or prune == LEVELS:
            return
        if prune not in range(1, LEVELS):
            raise BadOptionError(f"U-Net++ is pruned to level 1..{LEVELS}, not {prune}.")
        if not self.side_heads:
            raise BadOptionError(f"Level {prune} of this U-Net++ has no head: it was built without deep supervision.")
