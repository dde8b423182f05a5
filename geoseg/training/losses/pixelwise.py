"""Losses that are a mean over pixels: cross entropy and focal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from geoseg.training.losses.sample import Sample, ratio


def cross_entropy(sample: Sample, class_weights: Tensor) -> Tensor:
    """Mean of -log p over the labelled pixels, soft labels admitted.

    ``sum_i v_i sum_c w_c t_ic (-log p_ic) / sum_i v_i sum_c w_c t_ic`` with confidence v, class weight w and target t:
    on class indices what ``torch.nn.CrossEntropyLoss(weight=w)`` has, on one logit binary cross entropy.

    Args:
        sample: Any.
        class_weights: (class,).
    """
    shares = sample.target * class_weights[:, None] * sample.weight.unsqueeze(1)
    return ratio(-(shares * F.log_softmax(sample.logits, dim=1)).sum(), shares.sum())


def focal(sample: Sample, class_weights: Tensor, gamma: float) -> Tensor:
    """Cross entropy with easy pixels turned down: mean of -(1 - p)^gamma log p, p the true class's probability.

    Lin et al. 2017, arXiv 1708.02002, eq. 4; their alpha is ``class_weights``. The mean is over labelled pixels as in
    :func:`cross_entropy` (they divide by the number of matched anchors, which segmentation does not have).
    (1 - p)^gamma is taken as exp(gamma log(1 - p)), whose gradient stays finite where p is 1.

    Args:
        sample: Hard labels only.
        class_weights: (class,).
        gamma: 0 is cross entropy.
    """
    logs = F.log_softmax(sample.logits, dim=1)
    true = sample.target > 0.5
    # unlabelled pixels have no true class: any will do, their weight is 0
    others = torch.logsumexp(logs.masked_fill(true, -torch.inf), dim=1)
    own = (logs * sample.target).sum(dim=1)
    weight = (sample.target * class_weights[:, None]).sum(dim=1) * sample.weight
    return ratio(-(weight * torch.exp(gamma * others) * own).sum(), weight.sum())
