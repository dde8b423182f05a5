"""What a network's final weights say of the pixels it learned from: whether it learned anything, not how good it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchmetrics.functional.classification import multiclass_confusion_matrix

from geoseg.catalog.cards import OnTraining
from geoseg.datasets.pair import UNLABELLED
from geoseg.training.crops import CELL_PX, LabelMap, Tiles
from geoseg.training.learner import Learner, iou_of

MOST = 64
"""Squares that are looked at: as dear as three or so steps of training."""

LITTLE = 0.1
"""An IoU on the training pixels below which next to nothing was learned. geoseg's own choice."""


def on_own_pixels(learner: Learner, tiles: Tiles, labels: LabelMap, device: str) -> OnTraining:
    """Score the weights on pixels that they were learned from.

    Args:
        learner: With its final weights, on the CPU; it is left there, in evaluation.
        tiles: The training images in squares.
        labels: Where those are labelled.
        device: Where it computes.

    Returns:
        Counts over the labelled and observed pixels of at most :data:`MOST` squares.
    """
    classes, threshold_pct = tiles.data.classes, learner.card.threshold_pct
    counts = torch.zeros((len(classes), len(classes)), dtype=torch.int64)
    chosen = worth_a_look(tiles, labels)
    learner.eval().to(device)
    with torch.inference_mode():
        for batch in DataLoader(Subset(tiles, chosen), batch_size=learner.recipe.batch_size):
            logits, mask = learner.asked({key: value.to(device) for key, value in batch.items()})
            answer = _answer(logits, threshold_pct)
            # the function, not the metric: that would wait for the other devices, which have gone home
            counts += multiclass_confusion_matrix(answer, mask, len(classes), ignore_index=UNLABELLED).cpu()
    learner.cpu()
    what = classes[1] if len(classes) == 2 else "the classes but the first, averaged,"
    return OnTraining(
        iou=round(float(iou_of(counts)), 4),
        said_px=dict(zip(classes, counts.sum(dim=0).tolist(), strict=True)),
        labelled_px=dict(zip(classes, counts.sum(dim=1).tolist(), strict=True)),
        squares=len(chosen),
        mean=f"Intersection over union of {what} over the labelled and observed pixels of {len(chosen)} of "
        f"{len(_labelled(tiles, labels)[0])} squares of the training imagery, by the weights that were kept: on "
        "the training pixels, not a measure of skill.",
    )


def worth_a_look(tiles: Tiles, labels: LabelMap) -> list[int]:
    """Squares that hold labels, at most :data:`MOST`: spread evenly, half of them where class 1 or above is."""
    labelled, wet = _labelled(tiles, labels)
    rest = sorted(set(labelled) - set(wet))
    wets = min(len(wet), max(MOST // 2, MOST - len(rest)))
    return sorted(_spread(wet, wets) + _spread(rest, MOST - wets))


def _labelled(tiles: Tiles, labels: LabelMap) -> tuple[list[int], list[int]]:
    """Numbers of the squares that hold a label, and of those that hold class 1 or above; to a cell's breadth."""
    labelled, wet = [], []
    for number, (pair, row, column) in enumerate(tiles.places):
        rows, columns = (slice(first // CELL_PX, -(-(first + tiles.chip_px) // CELL_PX)) for first in (row, column))
        here = labels.cells[pair][rows, columns].sum(axis=(0, 1))
        if here.any():
            labelled.append(number)
        if here[1:].any():
            wet.append(number)
    return labelled, wet


def _spread(numbers: list[int], most: int) -> list[int]:
    if len(numbers) <= most:
        return numbers
    return [numbers[int(place)] for place in np.linspace(0, len(numbers) - 1, most).round()]


def _answer(logits: Tensor, threshold_pct: int) -> Tensor:
    """Classes as a map has them: whole per cent of one class against the card's threshold, or the likeliest of many."""
    if logits.shape[1] > 1:
        return logits.argmax(dim=1)
    return (logits[:, 0].sigmoid() * 100).round().ge(threshold_pct).long()


def doubt(found: OnTraining) -> str | None:
    """What a person must know of a network that learned next to nothing; None: it learned something."""
    more = "train longer (--steps), or with more labels"
    if found.says_only:
        return f"THE NETWORK SAYS {found.says_only.upper()} EVERYWHERE on what it learned from: {more}."
    if found.iou < LITTLE:
        return f"THE NETWORK LEARNED NEXT TO NOTHING: IoU {found.iou:.2f} on what it learned from. So {more}."
    return None
