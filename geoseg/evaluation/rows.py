"""What a table is made of: blocks of groups, and rows of scores, costs and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from geoseg.evaluation.bootstrap import Interval
from geoseg.evaluation.compare import Comparison
from geoseg.evaluation.plan import Protocol
from geoseg.evaluation.records import ChipRecord

LEARNED = "†"
"""Marks scores of images that the model's bundle had learned from."""
NO_SHOTS = "0 shots"
"""Block of what learned nothing, beside those of so many shots."""

RowKind = Literal["group", "mean", "std", "all", "mean_unseen", "std_unseen", "all_unseen"]
Units = Literal["region", "draw", "chip"]


@dataclass(frozen=True)
class ScoreBlock:
    """Rows that are averaged together.

    Attributes:
        label: Of the contender.
        sensor: That took the data.
        data: Name of the data.
        name: "" where there is one block a contender; else a split, or so many shots.
        shots: Images learned from, where that is varied; else 0.
        over: What a group is.
        groups: Chips of each, in order.
        classes: Names, the background first.
        learned_from: Of each group that the contender's bundle had learned from: how many of its images.
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
        """Of all groups."""
        return tuple(chip for chips in self.groups.values() for chip in chips)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: Of the contender.
        sensor: That took the data.
        block: See :class:`ScoreBlock`.
        name: Of the group; "" for the others.
        kind: ``group``; ``mean`` and ``std`` over the block's groups, each counting the same; ``all`` pixels pooled;
            the same with ``_unseen`` over groups that nobody's bundle had learned from.
        chips: Images.
        scored_px: Pixels labelled and observed.
        class_1_px: Those of them that are labelled class 1.
        not_observed_px: Labelled pixels where nothing was seen, or the model gave no number: in no score.
        scores: By name; NaN where undefined.
        units: Groups that define each score: of ``mean`` and ``std`` rows.
        intervals: Bootstrap interval of each pooled score: of ``all`` rows.
        shots: See :class:`ScoreBlock`.
        learned_from: Images of the row that the contender's bundle had learned from.
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
    """What a contender costs.

    Attributes:
        label: Of the contender.
        sensor: That took the data.
        score: Its headline: IoU of class 1, averaged over regions, or pooled over the test split; of unseen regions
            where there are such rows.
        parameters: Numbers in the network; 0 for a baseline.
        trainable: Those that learned; None: none did.
        multiply_adds: For a chip of 256 x 256; see :class:`geoseg.evaluation.cost.Size`.
        chips_per_second: Image area scored, in chips of 256 x 256 pixels, per second in model and blend: the overlap of
            windows costs time and adds no area.
        peak_memory: Bytes.
        train_seconds: Of all folds; None: nothing was trained.
        score_seconds: Of all folds.
        u_score: See :mod:`geoseg.evaluation.uscore`; NaN where fewer than three contenders are compared.
        device: That scored.
        learned_from: Images under ``score`` that the contender's bundle had learned from.
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
    """Two contenders on the same images.

    Attributes:
        first: Label.
        second: Label.
        block: See :class:`ScoreBlock`.
        units: ``region``, ``chip``, or ``draw`` of a few-shot curve; regions and chips count all draws together.
        score: That they are compared by.
        found: Differences and tests.
        left_out: Regions that the bundle of either had learned from: in no test.
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
    """Everything that an evaluation says.

    Attributes:
        protocol: Which.
        headline: Name of the score that models are ranked by.
        blocks: In order.
        rows: In order.
        costs: A line a contender.
        pairs: Every two contenders on the same data.
        notes: What a reader must know.
        warning: What a reader must know first, or "".
    """

    protocol: Protocol
    headline: str
    blocks: tuple[ScoreBlock, ...]
    rows: tuple[Row, ...]
    costs: tuple[CostRow, ...]
    pairs: tuple[PairRow, ...]
    notes: tuple[str, ...]
    warning: str = ""
