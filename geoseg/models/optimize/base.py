"""What the optimisers share: backends, the report, the tolerance of "exact", and bfloat16 by autocast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

Backend = Literal["exact", "bf16", "int8"]

EXACT = 1e-5
"""Largest difference from the plain network, relative to its largest logit, that is still called exact."""

WORTH_IT = 0.95
"""A variant must take at most this part of the plain one's time, or it is not worth having."""


@dataclass(frozen=True, slots=True)
class OptimizationReport:
    """What was done to a network.

    Attributes:
        backend: As asked for.
        steps: What was kept, in order.
        refused: What was tried and taken back, and why.
        difference: Largest difference from the plain network on the probe, relative to its largest logit.
    """

    backend: Backend
    steps: tuple[str, ...]
    refused: tuple[str, ...]
    difference: float


class AutocastBf16(nn.Module):
    """Compute a network's convolutions and matrix products in bfloat16; the logits are float32.

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
        """Compute the logits; arguments as of the network."""
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: Tensor = self.network(x, **acquisition)
        return logits.float()


def relative_difference(network: nn.Module, probe: Tensor, plain: Tensor) -> float:
    """Compute the largest difference of a network's logits from ``plain``, relative to its largest logit."""
    with torch.inference_mode():
        return float((network(probe) - plain).abs().max()) / (float(plain.abs().max()) or 1.0)
