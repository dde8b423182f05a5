"""Results of a fold as JSON: a later run reads them instead of computing the fold again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from geoseg.catalog.records import Record
from geoseg.core.atomic import atomic_file
from geoseg.evaluation.boundary import BoundaryCounts
from geoseg.evaluation.calibration import ProbabilityCounts
from geoseg.evaluation.counts import Confusion

SCHEMA_VERSION = 2


class ChipRecord(Record):
    """Exact counts of one test image.

    Attributes:
        id: Id of the image.
        region: Region of the image, held out as a whole.
        split: Split of the image in its data set.
        matrix: Confusion matrix in pixels; row: the label's class, column: the prediction's.
        not_observed: Labelled pixels that are not observed, or for which the model gave no number.
        no_answer: Labelled, observed pixels for which the model gave no number. Part of ``not_observed``.
        boundary: Boundary pixels of class 1: predicted, predicted near, labelled, labelled near.
        probability_histogram: Pixel count per predicted percent, 0 to 100.
        positive_histogram: The same for pixels whose label is class 1.
        mask: File of the predicted mask, relative to the fold's folder.
        probability: File of the probability, relative to the fold's folder.
        seconds: Seconds in the model and the blend.
        windows: Chips that went through the model.
        scene_threshold_info: Threshold that was fitted to the image, and its statistics; empty for a fixed threshold.
    """

    id: str
    region: str
    split: str
    matrix: tuple[tuple[int, ...], ...]
    not_observed: int
    no_answer: int = 0
    boundary: tuple[int, int, int, int]
    probability_histogram: tuple[int, ...]
    positive_histogram: tuple[int, ...]
    mask: str
    probability: str
    seconds: float
    windows: int
    scene_threshold_info: dict[str, Any] = {}

    @property
    def confusion(self) -> Confusion:
        """Confusion counts; they add up over images."""
        return Confusion(np.array(self.matrix, np.int64), self.not_observed)

    @property
    def outline(self) -> BoundaryCounts:
        """Boundary counts; they add up over images."""
        predicted, predicted_near, labelled, labelled_near = self.boundary
        return BoundaryCounts(predicted, predicted_near, labelled, labelled_near)

    @property
    def calibration(self) -> ProbabilityCounts:
        """Probability counts; they add up over images."""
        return ProbabilityCounts(
            np.array(self.probability_histogram, np.int64), np.array(self.positive_histogram, np.int64)
        )


class Costs(Record):
    """Computing cost of a fold.

    Attributes:
        parameters: Parameters of the network; 0 for a baseline.
        trainable: Parameters that were trained in this fold; None: nothing was trained.
        multiply_adds: See :class:`geoseg.evaluation.cost.Size`.
        counted_px: Side in pixels of the chip for which ``multiply_adds`` was counted.
        scored_px: Pixels predicted.
        score_seconds: Seconds in the model and the blend, without reading and writing files.
        train_seconds: Seconds of training; None: nothing was trained.
        peak_memory: Bytes while scoring; see :func:`geoseg.evaluation.cost.peak_memory`.
        device: Device that scored: ``cpu`` or ``cuda``.
    """

    parameters: int
    trainable: int | None
    multiply_adds: int
    counted_px: int
    scored_px: int
    score_seconds: float
    train_seconds: float | None
    peak_memory: int
    device: str


class FoldRecord(Record):
    """A finished fold.

    Attributes:
        schema_version: Version of this record's schema.
        fingerprint: SHA-256 of everything that decides the result.
        label: Label of the run.
        mode: Way of fine-tuning, or "".
        model: Name of the network, bundle or baseline.
        data: Name of the data set.
        sensor: Sensor of the data set.
        bands: Bands that the model read.
        classes: Names, the background first.
        fold: Name of the fold.
        shots: Images learned from in a few-shot evaluation; else 0.
        repeat: Number of the draw in a few-shot evaluation, from 1; else 0.
        seed: Seed of the training.
        recipe: Training recipe; empty: nothing was trained.
        trained_on: Ids of the training images, validation included.
        learned_from: Ids of test images that the starting bundle had learned from before this evaluation.
        threshold_pct: Probability in percent from which a pixel is class 1.
        chips: Counts of each test image.
        costs: Computing cost.
        versions: Versions of geoseg and its libraries.
        notes: Notes for the reader of the results.
    """

    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    label: str
    mode: str = ""
    model: str
    data: str
    sensor: str
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    fold: str
    shots: int = 0
    repeat: int = 0
    seed: int = 0
    recipe: dict[str, Any] = {}
    trained_on: tuple[str, ...] = ()
    learned_from: tuple[str, ...] = ()
    threshold_pct: int
    chips: tuple[ChipRecord, ...]
    costs: Costs
    versions: dict[str, str] = {}
    notes: tuple[str, ...] = ()


def own_id(identity: str, data: str) -> str:
    """Remove the name of the data set from an image's id, where several sets were combined into one.

    Args:
        identity: Id of an image: ``SET/ID`` where sets were combined.
        data: Name of the data; ``a+b`` where sets were combined.
    """
    name, _, rest = identity.partition("/")
    return rest if "+" in data and name in data.split("+") else identity


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON, atomically.

    Raises:
        OutputNotWritableError: The file cannot be written.
    """
    with atomic_file(path) as part:
        part.write_text(json.dumps(record.model_dump(mode="json"), allow_nan=False) + "\n", "utf-8")


def read_fold(path: Path) -> FoldRecord | None:
    """Read a finished fold; None where there is none, or one that this version cannot read."""
    try:
        return FoldRecord.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValueError, ValidationError):
        return None
