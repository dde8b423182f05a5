"""Compute each loss of a sample: by pixel (cross entropy, focal) or by area (Dice, Jaccard, Lovász)."""

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


def dice(sample: Sample, class_weights: Tensor, *, smooth: float, per_image: bool) -> Tensor:
    """One minus the soft Dice score of each class.

    ``1 - (sum(p + t) - sum|p - t| + s) / (sum(p + t) + s)``, the Dice semimetric loss DML1 (Wang et al. 2023,
    arXiv 2303.16296). On hard labels p + t - |p - t| = 2pt, so it is the usual ``1 - (2 sum pt + s) / (sum p + sum t
    + s)`` (Milletari et al. 2016, arXiv 1606.04797, with the sums not squared); on soft labels it is least at p = t.

    Args:
        sample: Any.
        class_weights: (class,), for the mean over classes; without effect on a binary network.
        smooth: Pixels added above and below, more than 0: an empty class then has a gradient that clears false alarms.
        per_image: The sums run over each image and the losses are averaged; False: over the whole batch, where a dry
            chip does not stand alone.
    """
    size, gap, present, weights = _areas(sample.groups(per_image), class_weights)
    return class_mean(1 - (size - gap + smooth) / (size + smooth), present, weights)


def jaccard_metric(sample: Sample, class_weights: Tensor, *, smooth: float, per_image: bool) -> Tensor:
    """One minus the soft Jaccard index, the Jaccard metric loss JML1.

    ``1 - (sum(p + t) - sum|p - t| + s) / (sum(p + t) + sum|p - t| + s)``: Wang, Ning and Blaschko 2023,
    arXiv 2302.05666, with s as their code adds it. On hard labels it is the soft Jaccard loss, on soft labels it is
    least at p = t.

    Args:
        sample: Any.
        class_weights: (class,), for the mean over classes; without effect on a binary network.
        smooth: Pixels, more than 0, as for :func:`dice`.
        per_image: As for :func:`dice`.
    """
    size, gap, present, weights = _areas(sample.groups(per_image), class_weights)
    return class_mean(1 - (size - gap + smooth) / (size + gap + smooth), present, weights)


def _areas(sample: Sample, class_weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """sum(p + t) and sum|p - t|, both (group, class); which to average over; and their weights."""
    probability = F.softmax(sample.logits, dim=1)[:, sample.judged]
    target = sample.target[:, sample.judged]
    weight = sample.weight.unsqueeze(1)
    size = (weight * (probability + target)).sum(dim=2)
    gap = (weight * (probability - target).abs()).sum(dim=2)
    return size, gap, sample.present(), torch.ones_like(class_weights[:1]) if sample.binary else class_weights


def class_mean(losses: Tensor, present: Tensor, class_weights: Tensor) -> Tensor:
    """Over the present classes of each group, then over the groups that have one."""
    weights = present * class_weights
    groups = ratio((losses * weights).sum(dim=1), weights.sum(dim=1))
    there = (weights.sum(dim=1) > 0).to(losses.dtype)
    return ratio((groups * there).sum(), there.sum())


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
