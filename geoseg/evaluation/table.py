"""From counts of chips to a table: every region's row, then mean and spread, pooled over pixels and averaged per chip.

A unit (a chip, a region) in whose label a class does not occur cannot say how well that class is found: there every
score of the class, and every class mean, is undefined - NaN, left out of the means, and counted. Otherwise a model that
calls nothing water would be left out of the mean where another, with one false alarm, gets 0. False alarms there do
count in the pooled row, and in ``accuracy``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.evaluation.bootstrap import Interval, bootstrap_interval
from geoseg.evaluation.boundary import BoundaryCounts
from geoseg.evaluation.calibration import ProbabilityCounts
from geoseg.evaluation.compare import Comparison, compare
from geoseg.evaluation.counts import Confusion, stacked
from geoseg.evaluation.plan import Protocol
from geoseg.evaluation.records import ChipRecord, FoldRecord, own_id
from geoseg.evaluation.scores import UnitMean, score_functions
from geoseg.evaluation.uscore import SIDE_PX, Effort, u_scores

CHIP_MEAN = "_chip_mean"
"""Ends the name of a score that is averaged over chips; without it, a score is pooled over the row's pixels."""
CALIBRATION = "ece"

RowKind = Literal["group", "mean", "std", "all"]


@dataclass(frozen=True)
class Block:
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
    """

    label: str
    sensor: str
    data: str
    name: str
    shots: int
    over: Literal["region", "draw"]
    groups: Mapping[str, tuple[ChipRecord, ...]]
    classes: tuple[str, ...]

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
        block: See :class:`Block`.
        name: Of the group; "" for the others.
        kind: ``group``; ``mean`` and ``std`` over the block's groups, each counting the same; ``all`` pixels pooled.
        chips: Images.
        scored_px: Pixels labelled and observed.
        class_1_px: Those of them that are labelled class 1.
        not_observed_px: Labelled pixels where nothing was seen: in no score.
        scores: By name; NaN where undefined.
        units: Groups that define each score: of ``mean`` and ``std`` rows.
        intervals: Bootstrap interval of each pooled score: of ``all`` rows.
        shots: See :class:`Block`.
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


@dataclass(frozen=True)
class CostRow:
    """What a contender costs.

    Attributes:
        label: Of the contender.
        sensor: That took the data.
        score: Its headline: IoU of class 1, averaged over regions, or pooled over the test split.
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


@dataclass(frozen=True)
class PairRow:
    """Two contenders on the same images.

    Attributes:
        first: Label.
        second: Label.
        block: See :class:`Block`.
        units: ``region`` or ``chip``.
        score: That they are compared by.
        found: Differences and tests.
    """

    first: str
    second: str
    block: str
    units: Literal["region", "chip"]
    score: str
    found: Comparison


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
    """

    protocol: Protocol
    headline: str
    blocks: tuple[Block, ...]
    rows: tuple[Row, ...]
    costs: tuple[CostRow, ...]
    pairs: tuple[PairRow, ...]
    notes: tuple[str, ...]


def tabled(protocol: Protocol, folds: Sequence[FoldRecord], *, seed: int) -> Table:
    """The table of finished folds.

    Args:
        protocol: That they are of.
        folds: Of every contender, in order.
        seed: Of bootstrap and permutations.
    """
    headline = f"iou_{folds[0].classes[1]}"
    blocks = tuple(_blocks(protocol, folds))
    rows = tuple(row for block in blocks for row in _rows(block, protocol, seed))
    return Table(
        protocol,
        headline,
        blocks,
        rows,
        tuple(_costs(protocol, folds, rows, headline)),
        tuple(_pairs(protocol, blocks, headline, seed)),
        tuple(_notes(folds, blocks)),
    )


def scores_of(chips: Sequence[ChipRecord], classes: Sequence[str]) -> dict[str, float]:
    """Every score of a group of chips, pooled over its pixels and averaged per chip."""
    functions = score_functions(classes)
    matrices = stacked([chip.confusion for chip in chips], len(classes))
    whole = matrices.sum(axis=0, keepdims=True)
    scores = {}
    for name, score in functions.items():
        scores[name] = float(_defined(name, score(whole), whole, classes)[0])
        scores[name + CHIP_MEAN] = UnitMean.of(_defined(name, score(matrices), matrices, classes)).mean
    outline = f"boundary_f1_{classes[1]}"
    edges = [chip.outline for chip in chips]
    scores[outline] = _outline(reduce(add, edges, BoundaryCounts()), whole[0])
    per_chip = np.array([_outline(edge, matrix) for edge, matrix in zip(edges, matrices, strict=True)])
    scores[outline + CHIP_MEAN] = UnitMean.of(per_chip).mean
    errors = [chip.calibration for chip in chips]
    scores[CALIBRATION] = reduce(add, errors, ProbabilityCounts.none()).expected_calibration_error()
    each = np.array([error.expected_calibration_error() for error in errors])
    scores[CALIBRATION + CHIP_MEAN] = UnitMean.of(each).mean
    return scores


def _outline(edge: BoundaryCounts, matrix: NDArray[np.int64]) -> float:
    return edge.f1 if matrix[1].sum() else float("nan")


def _defined(
    name: str, values: NDArray[np.float64], matrices: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.float64]:
    """NaN in units whose label lacks a class that the score is of."""
    present = matrices.sum(axis=-1) > 0
    if name.endswith("_class_mean"):
        return np.where(present.all(axis=-1), values, np.nan)
    own = [index for index, each in enumerate(classes) if index and name.endswith(f"_{each}")]
    return np.where(present[..., own[0]], values, np.nan) if own else values


def _blocks(protocol: Protocol, folds: Sequence[FoldRecord]) -> Iterable[Block]:
    labels = dict.fromkeys(fold.label for fold in folds)
    for label in labels:
        own = [fold for fold in folds if fold.label == label]
        chips = [chip for fold in own for chip in fold.chips]
        if protocol == "loro":
            regions = dict.fromkeys(chip.region for chip in chips)
            yield _block(own[0], "", {region: [c for c in chips if c.region == region] for region in regions})
        elif protocol == "split":
            for split in dict.fromkeys(chip.split for chip in chips):
                inside = [chip for chip in chips if chip.split == split]
                regions = dict.fromkeys(chip.region for chip in inside)
                yield _block(own[0], split, {region: [c for c in inside if c.region == region] for region in regions})
        else:
            for shots in sorted({fold.shots for fold in own}):
                draws = dict.fromkeys(fold.repeat for fold in own if fold.shots == shots)
                groups = {
                    f"draw {draw}" if draw else "as it is": [
                        chip for fold in own if (fold.shots, fold.repeat) == (shots, draw) for chip in fold.chips
                    ]
                    for draw in draws
                }
                yield _block(own[0], f"{shots} shots", groups, shots=shots)


def _block(fold: FoldRecord, name: str, groups: Mapping[str, Sequence[ChipRecord]], shots: int = 0) -> Block:
    return Block(
        fold.label,
        fold.sensor,
        fold.data,
        name,
        shots,
        "draw" if name.endswith(" shots") else "region",
        {key: tuple(chips) for key, chips in groups.items()},
        fold.classes,
    )


def _rows(block: Block, protocol: Protocol, seed: int) -> Iterable[Row]:
    groups = [
        _row(block, name, "group", chips, scores_of(chips, block.classes)) for name, chips in block.groups.items()
    ]
    yield from groups
    if len(groups) > 1:
        spread = {name: UnitMean.of(np.array([row.scores[name] for row in groups])) for name in groups[0].scores}
        units = {name: each.units for name, each in spread.items()}
        mean = {name: each.mean for name, each in spread.items()}
        std = {name: each.std for name, each in spread.items()}
        yield _row(block, "", "mean", block.chips, mean, units=units)
        yield _row(block, "", "std", block.chips, std, units=units)
    if block.over == "region":
        by_region = protocol == "loro"
        intervals = _intervals(block, by_region=by_region, seed=seed)
        yield _row(block, "", "all", block.chips, scores_of(block.chips, block.classes), intervals=intervals)


def _row(
    block: Block,
    name: str,
    kind: RowKind,
    chips: Sequence[ChipRecord],
    scores: Mapping[str, float],
    *,
    units: Mapping[str, int] | None = None,
    intervals: Mapping[str, Interval] | None = None,
) -> Row:
    whole = Confusion.total((chip.confusion for chip in chips), len(block.classes))
    return Row(
        block.label,
        block.sensor,
        block.name,
        name,
        kind,
        len(chips),
        whole.scored,
        int(whole.matrix[1].sum()),
        whole.not_observed,
        scores,
        units or {},
        intervals or {},
        block.shots,
    )


def _intervals(block: Block, *, by_region: bool, seed: int) -> dict[str, Interval]:
    """Over regions where those were held out, for only they speak of new ones; else over chips."""
    parts = list(block.groups.values()) if by_region else [(chip,) for chip in block.chips]
    classes = len(block.classes)
    matrices = stacked([Confusion.total((chip.confusion for chip in chips), classes) for chips in parts], classes)
    matrices = matrices[matrices.sum(axis=(1, 2)) > 0]  # a unit without anything scored is no draw
    functions = score_functions(block.classes)
    return {name: bootstrap_interval(matrices, score, seed=seed) for name, score in functions.items()}


def _headline(protocol: Protocol, rows: Sequence[Row], label: str, headline: str) -> float:
    """Of a contender: over regions in loro, of the test split, of the most shots."""
    own = [row for row in rows if row.label == label and row.kind != "std"]
    if protocol == "split":
        test = [row for row in own if row.kind == "all" and row.block == "test"]
        own = test or [row for row in own if row.kind == "all"][:1]
    else:
        most = max(row.shots for row in own)
        own = [row for row in own if row.shots == most]
        own = [row for row in own if row.kind == "mean"] or own
    return own[0].scores[headline]


def _costs(protocol: Protocol, folds: Sequence[FoldRecord], rows: Sequence[Row], headline: str) -> Iterable[CostRow]:
    found = []
    for label in dict.fromkeys(fold.label for fold in folds):
        own = [fold for fold in folds if fold.label == label]
        costs = [fold.costs for fold in own]
        seconds = sum(each.score_seconds for each in costs)
        trained = [each.train_seconds for each in costs if each.train_seconds is not None]
        found.append(
            CostRow(
                label,
                own[0].sensor,
                _headline(protocol, rows, label, headline),
                costs[0].parameters,
                costs[0].trainable,
                costs[0].multiply_adds,
                sum(each.scored_px for each in costs) / SIDE_PX**2 / seconds if seconds else float("nan"),
                max(each.peak_memory for each in costs),
                sum(trained) if trained else None,
                seconds,
                float("nan"),
                costs[0].device,
            )
        )
    efforts = {
        row.label: Effort(row.score, row.parameters / 1e6, row.multiply_adds / 1e9, row.chips_per_second)
        for row in found
    }
    values = u_scores(efforts)
    return [CostRow(**{**vars(row), "u_score": values[row.label]}) for row in found]


def _pairs(protocol: Protocol, blocks: Sequence[Block], headline: str, seed: int) -> Iterable[PairRow]:
    """Every two contenders that were judged on the same images; draws of a few-shot curve are no such pairs."""
    if protocol == "fewshot":
        return
    for number, first in enumerate(blocks):
        for second in blocks[number + 1 :]:
            if first.name != second.name or _units(first, "chip").keys() != _units(second, "chip").keys():
                continue
            score = score_functions(first.classes)[headline]
            for units in ("region", "chip"):
                mine, theirs = _units(first, units), _units(second, units)
                # what one sensor did not see the other may have: then the two were not judged on the same labels
                if any(mine[name].labelled != theirs[name].labelled for name in mine):
                    continue
                if len(mine) > 1:
                    found = compare(mine, theirs, score, seed=seed)
                    yield PairRow(first.label, second.label, first.name, units, headline, found)


def _units(block: Block, units: str) -> dict[str, Confusion]:
    if units == "chip":
        return {own_id(chip.id, block.data): chip.confusion for chip in block.chips}
    count = len(block.classes)
    return {name: Confusion.total((chip.confusion for chip in chips), count) for name, chips in block.groups.items()}


def _notes(folds: Sequence[FoldRecord], blocks: Sequence[Block]) -> Iterable[str]:
    said: dict[tuple[str, str], list[str]] = {}
    for fold in folds:
        for note in fold.notes:
            said.setdefault((fold.label, note), []).append(fold.fold)
    for (label, note), names in said.items():
        where = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield f"{label} ({where}): {note}"
    first = {block.name: block for block in reversed(blocks)}
    for block in first.values():
        if block.over != "region":
            continue
        wholes = _units(block, "region")
        empty = [name for name, whole in wholes.items() if not whole.scored]
        dry = [name for name, whole in wholes.items() if whole.scored and not whole.matrix[1].sum()]
        if empty:
            yield f"No pixel of {', '.join(empty)} is both labelled and observed: nothing is scored there."
        if dry:
            yield (
                f"The labels of {', '.join(dry)} hold no {block.classes[1]}: its IoU is undefined there and left out "
                "of the mean; false alarms there count in the pooled row."
            )
