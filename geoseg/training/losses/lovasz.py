"""The Lovász extension of the Jaccard loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from geoseg.training.losses.overlap import class_mean
from geoseg.training.losses.sample import Sample


def lovasz(sample: Sample, class_weights: Tensor, *, per_image: bool) -> Tensor:
    """Lovász-Softmax: what the Jaccard loss is between its corners, where every pixel is right or wrong.

    Berman et al. 2018, arXiv 1705.08790: errors m = |t - p| in descending order, ``sum_i m_i (J_i - J_(i-1))`` with J_i
    the Jaccard loss when the first i pixels are wrong. Averaged over the classes present, as their code does. A binary
    network: the same on class 1 alone (at most 1, where their hinge form grows with the logit). A pixel's confidence is
    its area in J, so an unlabelled pixel has none. On a dry chip the loss is the worst pixel's probability.

    Args:
        sample: Hard labels only: a soft label is no corner.
        class_weights: (class,), for the mean over classes; without effect on a binary network.
        per_image: Each image has its own J and the losses are averaged; False: one J for the batch.
    """
    sample = sample.groups(per_image)
    probability = F.softmax(sample.logits, dim=1)[:, sample.judged]
    target = sample.target[:, sample.judged]
    area = sample.weight.unsqueeze(1).expand_as(target)
    errors = (probability - target).abs()
    errors, order = errors.sort(dim=2, descending=True)
    steps = _jaccard_steps(target.gather(2, order), area.gather(2, order)).to(errors.dtype)
    weights = torch.ones_like(class_weights[:1]) if sample.binary else class_weights
    return class_mean((errors * steps).sum(dim=2), sample.present(), weights)


@torch.no_grad()
def _jaccard_steps(target: Tensor, area: Tensor) -> Tensor:
    """By how much the Jaccard loss rises with each further wrong pixel: (group, class, pixel), float64.

    Single precision would lose whole pixels in the running sums of a large batch.
    """
    target, area = target.double(), area.double()
    whole = (target * area).sum(dim=2, keepdim=True)
    intersection = whole - (target * area).cumsum(dim=2)
    union = whole + ((1 - target) * area).cumsum(dim=2)
    loss = torch.where(union > 0, 1 - intersection / union.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return torch.diff(loss, dim=2, prepend=torch.zeros_like(whole))
