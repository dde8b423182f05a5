"""Records of a results table: blocks of groups, and rows of scores, costs and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from geoseg.evaluation.bootstrap import Interval
from geoseg.evaluation.compare import Comparison
from geoseg.evaluation.plan import Protocol
from geoseg.evaluation.records import ChipRecord

LEARNED = "†"
"""Mark of scores on images that the model's bundle had learned from."""
NO_SHOTS = "0 shots"
"""Name of the few-shot block of models that were not trained."""

RowKind = Literal["group", "mean", "std", "all", "mean_unseen", "std_unseen", "all_unseen"]
Units = Literal["region", "draw", "chip"]


@dataclass(frozen=True)
class ScoreBlock:
    """Groups of images whose scores are averaged together: those of one run, and of one split or number of shots.

    Attributes:
        label: Label of the run.
        sensor: Sensor of the data.
        data: Name of the data set.
        name: "" where a run has one block; else the split, or the number of shots.
        shots: Training images in a few-shot evaluation; else 0.
        over: What a group is: a region, or a random draw.
        groups: Counts of each group's images, in order.
        classes: Names, the background first.
        learned_from: Number of images in each group that the run's bundle had learned from; other groups are absent.
        unseen: Groups of the ``_unseen`` rows; empty: there are no such rows.
    """

    label: str
    sensor: str
    data: str
    name: str
    shots: int
    over: Literal["region", "draw"]
    groups: Mapping[str, tuple[ChipRecord, ...]]
    classes: tuple[str, ...]
    learned_from: Mapping[str, int] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()

    @property
    def chips(self) -> tuple[ChipRecord, ...]:
        """Counts of all groups."""
        return tuple(chip for chips in self.groups.values() for chip in chips)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: Label of the run.
        sensor: Sensor of the data.
        block: Name of the :class:`ScoreBlock`.
        name: Name of the group; "" for rows of several groups.
        kind: ``group``; ``mean`` and ``std`` over the block's groups with equal weights; ``all``: pixels pooled over
            groups; the same with ``_unseen`` over groups from which no bundle had learned.
        chips: Number of images.
        scored_px: Pixels labelled and observed.
        class_1_px: Scored pixels whose label is class 1.
        not_observed_px: Labelled pixels that are not observed or without a result: in no score.
        scores: Scores by name; NaN where undefined.
        units: Number of groups that define each score, in ``mean`` and ``std`` rows.
        intervals: Bootstrap interval of each pooled score, in ``all`` rows.
        shots: Training images in a few-shot evaluation; else 0.
        learned_from: Images of the row that the run's bundle had learned from.
    """

    label: str
    sensor: str
    block: str
    name: str
    kind: RowKind
    chips: int
    scored_px: int
    class_1_px: int
    not_observed_px: int
    scores: Mapping[str, float]
    units: Mapping[str, int] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    shots: int = 0
    learned_from: int = 0


@dataclass(frozen=True)
class CostRow:
    """Computing cost of a run, beside its headline score.

    Attributes:
        label: Label of the run.
        sensor: Sensor of the data.
        score: Headline score: IoU of class 1, averaged over regions, or pooled over the test split; of unseen regions
            where there are such rows.
        parameters: Parameters of the network; 0 for a baseline.
        trainable: Parameters that were trained; None: nothing was trained.
        multiply_adds: For a chip of 256 x 256; see :class:`geoseg.evaluation.cost.Size`.
        chips_per_second: Image area scored, in chips of 256 x 256 pixels, per second in model and blend: the overlap of
            windows costs time and adds no area.
        peak_memory: Peak memory in bytes.
        train_seconds: Training time of all folds; None: nothing was trained.
        score_seconds: Scoring time of all folds.
        u_score: See :mod:`geoseg.evaluation.uscore`; NaN where fewer than three models are compared.
        device: Device that scored.
        learned_from: Images under ``score`` that the run's bundle had learned from.
    """

    label: str
    sensor: str
    score: float
    parameters: int
    trainable: int | None
    multiply_adds: int
    chips_per_second: float
    peak_memory: int
    train_seconds: float | None
    score_seconds: float
    u_score: float
    device: str
    learned_from: int = 0


@dataclass(frozen=True)
class PairRow:
    """Comparison of two runs on the same images.

    Attributes:
        first: Label of the first run.
        second: Label of the second run.
        block: Name of the :class:`ScoreBlock`.
        units: ``region``, ``chip``, or ``draw`` of a few-shot evaluation; regions and chips pool all draws.
        score: Name of the score that is compared.
        found: Differences and tests.
        left_out: Regions that the bundle of either run had learned from: in no test.
    """

    first: str
    second: str
    block: str
    units: Units
    score: str
    found: Comparison
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Results table of an evaluation.

    Attributes:
        protocol: ``split``, ``loro`` or ``fewshot``.
        headline: Name of the score by which models are ranked.
        blocks: Blocks in order.
        rows: Score rows in order.
        costs: One row for each run.
        pairs: Comparisons of every two runs on the same data.
        notes: Notes for the reader.
        warning: Warning that the reader must see first, or "".
    """

    protocol: Protocol
    headline: str
    blocks: tuple[ScoreBlock, ...]
    rows: tuple[Row, ...]
    costs: tuple[CostRow, ...]
    pairs: tuple[PairRow, ...]
    notes: tuple[str, ...]
    warning: str = ""
