"""Report on a trained network: its score on the training data, its model card, and the command that maps with it."""

from __future__ import annotations

import math
import platform
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rasterio.warp import transform_bounds
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchmetrics.functional.classification import multiclass_confusion_matrix

from geoseg import __version__
from geoseg.catalog.cards import ModelCard, TrainingRun, TrainingScore
from geoseg.catalog.sensors import sensor
from geoseg.core.scores import foreground_iou
from geoseg.datasets.pair import UNLABELLED, LabelledSet, Pair
from geoseg.training.crops import CELL_PX, LabelMap, Tiles
from geoseg.training.segmentation_module import SegmentationModule
from geoseg.training.sources import TrainingSource
from geoseg.training.start import gsd_of

if TYPE_CHECKING:
    from geoseg.training.recipe import Recipe
    from geoseg.training.run_state import RunFingerprint
    from geoseg.training.split import TrainValSplit


MOST = 64
"""Squares that are looked at: as dear as three or so steps of training."""

LITTLE = 0.1
"""An IoU on the training pixels below which next to nothing was learned. geoseg's own choice."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The weights that a run ended with.

    Attributes:
        score: On the validation; None: there was none.
        steps: Optimiser steps until then.
        seconds: Wall time of the run, interruptions left out.
        device: What computed.
        history: Of each round: its last step, loss, and validation.
        on_training: What they say of the pixels they were learned from.
    """

    score: float | None
    steps: int
    seconds: float
    device: str
    history: tuple[dict[str, float], ...]
    on_training: TrainingScore


def score_training_data(model: SegmentationModule, tiles: Tiles, labels: LabelMap, device: str) -> TrainingScore:
    """Score the weights on pixels that they were learned from.

    Args:
        model: With its final weights, on the CPU; it is left there, in evaluation.
        tiles: The training images in squares.
        labels: Where those are labelled.
        device: Where it computes.

    Returns:
        Counts over the labelled and observed pixels of at most :data:`MOST` squares.
    """
    classes, threshold_pct = tiles.data.classes, model.card.threshold_pct
    counts = torch.zeros((len(classes), len(classes)), dtype=torch.int64)
    chosen = choose_squares(tiles, labels)
    model.eval().to(device)
    with torch.inference_mode():
        for batch in DataLoader(Subset(tiles, chosen), batch_size=model.recipe.batch_size):
            logits, mask = model.forward_batch({key: value.to(device) for key, value in batch.items()})
            answer = _answer(logits, threshold_pct)
            # the function, not the metric: that would wait for the other devices, which have gone home
            counts += multiclass_confusion_matrix(answer, mask, len(classes), ignore_index=UNLABELLED).cpu()
    model.cpu()
    what = classes[1] if len(classes) == 2 else "the classes but the first, averaged,"
    return TrainingScore(
        iou=round(foreground_iou(counts.numpy()), 4),
        said_px=dict(zip(classes, counts.sum(dim=0).tolist(), strict=True)),
        labelled_px=dict(zip(classes, counts.sum(dim=1).tolist(), strict=True)),
        squares=len(chosen),
        mean=f"Intersection over union of {what} over the labelled and observed pixels of {len(chosen)} of "
        f"{len(_labelled(tiles, labels)[0])} squares of the training imagery, by the weights that were kept: on "
        "the training pixels, not a measure of skill.",
    )


def choose_squares(tiles: Tiles, labels: LabelMap) -> list[int]:
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


def collapse_warning(found: TrainingScore) -> str | None:
    """What a person must know of a network that learned next to nothing; None: it learned something."""
    more = "train longer (--steps), or with more labels"
    if found.predicts_single_class:
        return f"THE NETWORK SAYS {found.predicts_single_class.upper()} EVERYWHERE on what it learned from: {more}."
    if found.iou < LITTLE:
        return f"THE NETWORK LEARNED NEXT TO NOTHING: IoU {found.iou:.2f} on what it learned from. So {more}."
    return None


UNSCORED = "Nobody scored it: there was no validation. Try `geoseg evaluate` on images it never saw."
ONE_CLASS = "On the very pixels it learned from it says"
"""Limits that a run finds out, and the next one that goes on from its bundle finds out anew."""


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """What a run knows at its end.

    Attributes:
        recipe: How it trained.
        split: On what.
        labels: Labelled pixels of that.
        fingerprint: Of what it was started with.
        result: The weights that it ended with.
    """

    recipe: Recipe
    split: TrainValSplit
    labels: LabelMap
    fingerprint: RunFingerprint
    result: TrainResult


def complete_card(card: ModelCard, run: CompletedRun) -> ModelCard:
    """Add to a card what its run knows: data, split, seed, scores and what they mean, versions, seconds."""
    recipe, labels, kept = run.recipe, run.labels, run.result
    training, validation = run.split.training, run.split.validation
    name = f"validation_iou_{'_'.join(training.classes[1:])}"
    scores = {name: round(kept.score, 4)} if kept.score is not None else {}
    what = training.classes[1] if len(training.classes) == 2 else "the classes but the first, averaged"
    mean = {
        name: f"Intersection over union of {what}, pooled over every labelled and observed pixel of the validation, "
        "which chose these weights: it flatters them."
    }
    record = TrainingRun(
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
        trained_on=tuple(pair.id for pair in training.pairs),
        validated_on=tuple(pair.id for pair in validation.pairs) if validation else (),
        labelled_px=dict(zip(training.classes, map(int, labels.pixels), strict=True)),
        steps=kept.steps,
        seconds=round(kept.seconds, 1),
        device=kept.device,
        versions=_versions(),
        data_sha256=run.fingerprint.data_sha256,
        scores_mean=mean if scores else {},
        on_training=kept.on_training,
    )
    limits = [limit for limit in card.limits if limit != UNSCORED and not limit.startswith(ONE_CLASS)]
    if only := kept.on_training.predicts_single_class:
        limits.insert(0, f"{ONE_CLASS} {only} everywhere.")
    if not scores:
        limits.append(UNSCORED)
    if training.simulated:
        limits.append("It learned from simulated imagery.")
    return card.model_copy(update={"training": record, "scores": scores, "limits": tuple(dict.fromkeys(limits))})


def device_name(device: str) -> str:
    """What computes, for a card."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(torch.device(device)))
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    versions = {"geoseg": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
    commit = _commit()
    return versions | ({"commit": commit} if commit else {})


def _commit() -> str | None:
    """The commit of a checkout that geoseg runs from; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    told = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


BOX, DAY, CATALOG = "WEST,SOUTH,EAST,NORTH", "YYYY-MM-DD", "CATALOG"
"""What a person fills in."""

SAME_M = 0.1
"""Share by which two resolutions may differ and still be called one."""


def map_command(folder: Path, data: LabelledSet, sources: Sequence[TrainingSource]) -> str:
    """The command that maps with a bundle.

    Of polygons on the scenes of one catalogue it is complete: the first tile that was learned from, on its day. What is
    not known stands in capitals.

    Args:
        folder: The bundle.
        data: What it learned from.
        sources: Where that came from.
    """
    model = str(folder) if len(folder.parts) > 1 else f"./{folder}"  # a bare name may be a model of geoseg's, too
    words = ["geoseg", "map", "--model", model, "--sensor", data.sensor]
    catalogs = {scene for source in sources for scene in source.scenes}
    drawn = bool(sources) and all(source.labels is not None for source in sources)
    pair = data.pairs[0] if drawn and len(catalogs) == 1 else None  # of several, nobody knows which one shows it
    if drawn:
        words += ["--catalog", *catalogs] if pair else ["--catalog", CATALOG]
    words.append(f"--bbox={(_box(pair) if pair else None) or BOX}")
    words += ["--date", f"{pair.time:%Y-%m-%d}" if pair and pair.time else DAY]
    gsd, usual = gsd_of(data), sensor(data.sensor).gsd_m
    if gsd and abs(gsd - usual) > SAME_M * usual:
        words += ["--resolution", f"{gsd:g}"]
    return shlex.join([*words, "--out", "my-map"])


def _box(pair: Pair) -> str | None:
    """West, south, east, north of an image in degrees, outwards to four places; None: nobody knows where it lies."""
    if pair.place is None:
        return None
    (rows, columns), affine = pair.shape, pair.place.transform
    x, y = zip(*(affine @ corner for corner in ((0, 0), (columns, 0), (0, rows), (columns, rows))), strict=True)
    bounds = transform_bounds(pair.place.crs, "EPSG:4326", min(x), min(y), max(x), max(y))
    if not np.isfinite(bounds).all() or bounds[0] >= bounds[2]:  # the latter: across the antimeridian
        return None
    outwards = [math.floor(each * 1e4) if place < 2 else math.ceil(each * 1e4) for place, each in enumerate(bounds)]
    return ",".join(f"{each / 1e4:.4f}" for each in outwards)
