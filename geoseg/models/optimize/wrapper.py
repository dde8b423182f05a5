"""A network inside another that computes the same in another way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Wrapped(nn.Module):
    """What stands in for a network wherever one is asked: it takes what the network takes.

    Args:
        network: Normalised float32 (batch, band, y, x), and how they were acquired where it reads that -> float32
            logits (batch, class, y, x).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        if getattr(network, "reads_acquisition", False):
            self.reads_acquisition = True

    def forward(self, x: Tensor, **acquisition: Any) -> Tensor:
        """As the network's."""
        logits: Tensor = self.network(x, **acquisition)
        return logits


class InBfloat16(Wrapped):
    """A network whose convolutions and matrix products are computed in bfloat16; the logits are float32."""

    def forward(self, x: Tensor, **acquisition: Any) -> Tensor:
        """As the network's."""
        # no cache of cast weights: one filled while a CUDA graph is recorded would belong to that graph
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=not x.is_cuda):
            logits = super().forward(x, **acquisition)
        return logits.float()
