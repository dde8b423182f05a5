"""One loss over several outputs of a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geoseg.errors import BadOptionError
from geoseg.training.losses.build import SegmentationLoss


def deep_supervision(
    loss: SegmentationLoss,
    side_logits: Sequence[Tensor],
    target: Tensor,
    weights: Sequence[float] | None = None,
    *,
    pixel_weight: Tensor | None = None,
) -> Tensor:
    """The weighted mean of a loss over the heads of a network: ``sum_l w_l loss(z_l) / sum_l w_l``.

    U-Net++ (Zhou et al. 2018, arXiv 1807.10165) trains the head of each level on the same label.

    Args:
        loss: For each head.
        side_logits: Of each head, (batch, class, y, x), the shallowest first: what
            :meth:`geoseg.models.cnn.unetplusplus.UNetPlusPlus.side_outputs` gives.
        target: As ``loss`` takes it.
        weights: One per head; 0 leaves a head out. None: all the same.
        pixel_weight: Confidence in each label, as ``loss`` takes it.

    Raises:
        BadOptionError: Weights that are negative, all 0, or not one per head.
    """
    given = [1.0] * len(side_logits) if weights is None else [float(weight) for weight in weights]
    if len(given) != len(side_logits) or not given or min(given) < 0 or not 0 < sum(given) < float("inf"):
        raise BadOptionError(
            f"The weights of deep supervision are {given} for {len(side_logits)} heads: give each 0 or more, "
            "and not all 0."
        )
    losses = [
        weight * loss(logits, target, pixel_weight) for weight, logits in zip(given, side_logits, strict=True) if weight
    ]
    return torch.stack(losses).sum() / sum(given)
