"""What a fold came to, as a file that a later run reads instead of doing it again."""

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

SCHEMA_VERSION = 1


class ChipRecord(Record):
    """Exact counts of one held-out image.

    Attributes:
        id: Of the image.
        region: That was left out together with it.
        split: Of its set.
        matrix: Row: the label's class, column: the prediction's.
        not_observed: Labelled pixels where the image shows nothing, or the model gave no number.
        no_answer: Those of them that the image does show. (Results of earlier versions did not count them.)
        boundary: Of class 1: predicted, predicted near, labelled, labelled near.
        cents: Pixels whose probability is 0, 1... 100 per cent.
        cents_of_class_1: Those of them that are class 1.
        mask: File, relative to the fold's folder.
        probability: Likewise.
        seconds: In the model.
        windows: Chips that were computed.
        findings: What a model that looks at the image first chose for it.
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
        """The counts, to be added."""
        return Confusion(np.array(self.matrix, np.int64), self.not_observed)

    @property
    def outline(self) -> BoundaryCounts:
        """Boundary counts, to be added."""
        predicted, predicted_near, labelled, labelled_near = self.boundary
        return BoundaryCounts(predicted, predicted_near, labelled, labelled_near)

    @property
    def calibration(self) -> ProbabilityCounts:
        """Probability counts, to be added."""
        return ProbabilityCounts(
            np.array(self.probability_histogram, np.int64), np.array(self.positive_histogram, np.int64)
        )


class Costs(Record):
    """What a fold cost.

    Attributes:
        parameters: Numbers in the network.
        trainable: Those that learned in this fold; None: nothing was trained.
        multiply_adds: See :class:`geoseg.evaluation.cost.Size`.
        counted_px: Side of the chip that they were counted on.
        scored_px: Pixels predicted.
        score_seconds: In the model and the blend; files and label counts left out.
        train_seconds: None: nothing was trained.
        peak_memory: Bytes, while scoring; see :func:`geoseg.evaluation.cost.peak_memory`.
        device: That scored.
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
        schema_version: Of this record.
        fingerprint: Of everything that decides it.
        label: Of the contender.
        mode: Way of fine-tuning, or "".
        model: Network, bundle or baseline.
        data: Name of the data.
        sensor: That took them.
        bands: That the model was shown.
        classes: Names, the background first.
        fold: Its name.
        shots: Images learned from, where that is varied; else 0.
        repeat: Which draw.
        seed: Of the training.
        recipe: How it was trained; empty: it was not.
        trained_on: Ids of the images it was given to learn from, those that chose among its weights included.
        learned_from: Ids of held-out images that the bundle it started from had learned from.
        threshold_pct: From which a pixel is class 1.
        chips: Counts of each held-out image.
        costs: Beside the score.
        versions: Of what computed.
        notes: What a person should know.
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
    """An id as its own set has it: sets that were gathered into one put their names before it.

    Args:
        identity: Of an image.
        data: Name of the data, ``a+b`` where they were gathered.
    """
    name, _, rest = identity.partition("/")
    return rest if "+" in data and name in data.split("+") else identity


def write_record(path: Path, record: Record) -> None:
    """As JSON, whole.

    Raises:
        OutputNotWritableError: Its place cannot be written.
    """
    with atomic_file(path) as part:
        part.write_text(json.dumps(record.model_dump(mode="json"), allow_nan=False) + "\n", "utf-8")


def read_fold(path: Path) -> FoldRecord | None:
    """A finished fold; None: there is none, or one that this version cannot read."""
    try:
        return FoldRecord.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValueError, ValidationError):
        return None
