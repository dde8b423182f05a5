"""Logits and labels of any admitted form, brought to one: what every loss is computed on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import InputRangeError


@dataclass(frozen=True)
class Sample:
    """A batch with its pixels in a row.

    A binary network's one logit z becomes the two logits (0, z): softmax over those is the sigmoid of z, so that every
    loss is written once.

    Attributes:
        logits: float32, or float64 where the network gave that; (batch, class, pixel); 0 where unlabelled.
        target: Like ``logits``: probability of each class, 0 where unlabelled.
        weight: Like ``logits`` but (batch, pixel): confidence in the label, 0 where unlabelled.
        binary: Two classes of which only class 1 is looked for.
        hard: Every target is 0 or 1, because it came as class indices.
    """

    logits: Tensor
    target: Tensor
    weight: Tensor
    binary: bool
    hard: bool

    @property
    def judged(self) -> slice:
        """Classes that an overlap is asked of: class 1 of a binary network, else all."""
        return slice(1, 2) if self.binary else slice(None)

    def groups(self, per_image: bool) -> Sample:
        """The same, one group of pixels per row: an image each, or the whole batch as one."""
        if per_image:
            return self
        logits, target = (values.movedim(1, 0).flatten(1).unsqueeze(0) for values in (self.logits, self.target))
        return Sample(logits, target, self.weight.reshape(1, -1), self.binary, self.hard)

    def present(self) -> Tensor:
        """Of the judged classes, those to average over in each group: bool (group, class).

        A binary network answers for class 1 wherever anything is labelled, so that false alarms on a dry chip count.
        Of more classes, those that are some labelled pixel's likeliest: an absent class has no overlap to win.
        """
        labelled = self.weight > 0
        if self.binary:
            return labelled.any(dim=1, keepdim=True)
        likeliest = F.one_hot(self.target.argmax(dim=1), self.target.shape[1]).bool()
        return (likeliest & labelled.unsqueeze(2)).any(dim=1)


def prepare(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Sample:
    """Bring what a network and a data set gave to one form.

    Half precision is widened to float32. The logits of unlabelled pixels are put to 0 first, so that whatever stands
    there, NaN included, reaches neither the loss nor a gradient.

    Args:
        logits: (batch, class, y, x); one class: binary, of class 1.
        target: int (batch, y, x), class indices or ``UNLABELLED``; or float (batch, class, y, x), probabilities that
            are NaN where unlabelled; a binary network's may hold class 1 alone or both classes.
        weight: float (batch, y, x), confidence in each label, 0 or more; 0 is unlabelled. None: 1.

    Raises:
        InputRangeError: Shapes that do not fit, a class that does not exist, a probability outside 0..1, a weight that
            is negative or not a number.
    """
    classes = max(2, logits.shape[1])
    wide = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    hard = not target.is_floating_point()
    _check_shapes(logits, target, weight)
    labelled, shares = (_from_indices if hard else _from_probabilities)(target, classes)
    confidence = torch.ones_like(labelled, dtype=wide.dtype) if weight is None else weight.to(wide.dtype)
    if not bool(((confidence >= 0) & torch.isfinite(confidence)).all()):
        raise InputRangeError("A pixel's weight is negative or no finite number. Give weights of 0 or more.")
    labelled = labelled & (confidence > 0)
    wide = wide.masked_fill(~labelled.unsqueeze(1), 0.0)
    if logits.shape[1] == 1:
        wide = torch.cat([torch.zeros_like(wide), wide], dim=1)
    return Sample(
        logits=wide.flatten(2),
        target=(shares.to(wide.dtype) * labelled.unsqueeze(1)).flatten(2),
        weight=(confidence * labelled).flatten(1),
        binary=logits.shape[1] == 1,
        hard=hard,
    )


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole``, and 0 with a gradient of 0 where ``whole`` is 0."""
    there = whole > 0
    return torch.where(there, part, part * 0) / torch.where(there, whole, torch.ones_like(whole))


def _from_indices(target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    labelled = target != UNLABELLED
    indices = target.long().masked_fill(~labelled, 0)
    lowest, highest = (int(indices.min()), int(indices.max())) if indices.numel() else (0, 0)
    if lowest < 0 or highest >= classes:
        raise InputRangeError(
            f"The labels hold {lowest} to {highest} where classes 0 to {classes - 1} exist. "
            f"Map other values to {UNLABELLED}, unlabelled, or to a class."
        )
    return labelled, F.one_hot(indices, classes).movedim(-1, 1)


def _from_probabilities(target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    labelled = ~torch.isnan(target).any(dim=1)
    shares = target.masked_fill(~labelled.unsqueeze(1), 0.0)
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise InputRangeError("A soft label lies outside 0 to 1. Give probabilities, NaN where unlabelled.")
    if shares.shape[1] > 1 and not bool((((shares.sum(dim=1) - 1).abs() < 0.01) | ~labelled).all()):
        raise InputRangeError("A pixel's soft labels do not add up to 1 over the classes. Give probabilities.")
    if shares.shape[1] == 1 and classes == 2:
        shares = torch.cat([1 - shares, shares], dim=1)
    return labelled, shares


def _check_shapes(logits: Tensor, target: Tensor, weight: Tensor | None) -> None:
    batch, channels, *size = logits.shape
    depths = {1: (1, 2)}.get(channels, (channels,))
    wanted = [(batch, depth, *size) for depth in depths] if target.is_floating_point() else [(batch, *size)]
    if tuple(target.shape) not in wanted:
        raise InputRangeError(
            f"Labels of shape {tuple(target.shape)} do not fit logits of shape {tuple(logits.shape)}: "
            f"give integers ({batch}, y, x) or float probabilities ({batch}, class, y, x) of the same size."
        )
    if weight is not None and tuple(weight.shape) != (batch, *size):
        raise InputRangeError(
            f"Weights of shape {tuple(weight.shape)} do not fit logits of shape {tuple(logits.shape)}: "
            "give one per pixel."
        )
