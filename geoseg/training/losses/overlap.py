"""Losses that are one minus an overlap of areas: Dice and Jaccard, both fit for soft labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from geoseg.training.losses.sample import Sample, ratio


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
