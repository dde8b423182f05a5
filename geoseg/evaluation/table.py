"""Build the results table from the counts of each image: a row per region, then mean, standard deviation and pooled.

Where the label of a unit (a chip, a region) lacks a class, nothing is known of how well the class is found: every score
of the class and every class mean is undefined there - NaN, left out of the means, and counted. Otherwise a model that
predicts no water would be left out of the mean where another one, with a single false alarm, gets 0. False alarms there
do count in the pooled row and in ``accuracy``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from geoseg.evaluation.bootstrap import Interval, bootstrap_interval
from geoseg.evaluation.boundary import BoundaryCounts
from geoseg.evaluation.calibration import ProbabilityCounts
from geoseg.evaluation.counts import Confusion, stacked
from geoseg.evaluation.pairs import pairs_of, units_of, untested
from geoseg.evaluation.plan import Protocol
from geoseg.evaluation.records import ChipRecord, FoldRecord
from geoseg.evaluation.rows import CostRow, Row, RowKind, ScoreBlock, Table
from geoseg.evaluation.scores import UnitMean, score_functions
from geoseg.evaluation.unseen import warning_of, with_unseen
from geoseg.evaluation.uscore import SIDE_PX, ModelCost, u_scores

CHIP_MEAN = "_chip_mean"
"""Ends the name of a score that is averaged over chips; without it, a score is pooled over the row's pixels."""
CALIBRATION = "ece"


def build_table(protocol: Protocol, folds: Sequence[FoldRecord], *, seed: int) -> Table:
    """Build the results table of finished folds.

    Args:
        protocol: ``split``, ``loro`` or ``fewshot``.
        folds: Results of every run, in order.
        seed: Seed of bootstrap and permutations.
    """
    headline = f"iou_{folds[0].classes[1]}"
    blocks = with_unseen(tuple(_blocks(protocol, folds)))
    rows = tuple(row for block in blocks for row in _rows(block, protocol, seed))
    return Table(
        protocol,
        headline,
        blocks,
        rows,
        tuple(_costs(protocol, folds, rows, headline)),
        tuple(pairs_of(blocks, headline, seed)),
        tuple(_notes(folds, blocks)),
        warning_of(blocks),
    )


def scores_of(chips: Sequence[ChipRecord], classes: Sequence[str]) -> dict[str, float]:
    """Compute every score of a group of images, pooled over its pixels and averaged per image."""
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
    """Set a score to NaN in units whose label lacks a class of the score."""
    present = matrices.sum(axis=-1) > 0
    if name.endswith("_class_mean"):
        return np.where(present.all(axis=-1), values, np.nan)
    own = [index for index, each in enumerate(classes) if index and name.endswith(f"_{each}")]
    return np.where(present[..., own[0]], values, np.nan) if own else values


def _blocks(protocol: Protocol, folds: Sequence[FoldRecord]) -> Iterable[ScoreBlock]:
    labels = dict.fromkeys(fold.label for fold in folds)
    for label in labels:
        own = [fold for fold in folds if fold.label == label]
        chips = [chip for fold in own for chip in fold.chips]
        if protocol == "loro":
            regions = dict.fromkeys(chip.region for chip in chips)
            yield _block(own, "", {region: [c for c in chips if c.region == region] for region in regions})
        elif protocol == "split":
            for split in dict.fromkeys(chip.split for chip in chips):
                inside = [chip for chip in chips if chip.split == split]
                regions = dict.fromkeys(chip.region for chip in inside)
                yield _block(own, split, {region: [c for c in inside if c.region == region] for region in regions})
        else:
            for shots in sorted({fold.shots for fold in own}):
                draws = dict.fromkeys(fold.repeat for fold in own if fold.shots == shots)
                groups = {
                    f"draw {draw}" if draw else "as it is": [
                        chip for fold in own if (fold.shots, fold.repeat) == (shots, draw) for chip in fold.chips
                    ]
                    for draw in draws
                }
                yield _block(own, f"{shots} shots", groups, shots=shots)


def _block(
    folds: Sequence[FoldRecord], name: str, groups: Mapping[str, Sequence[ChipRecord]], shots: int = 0
) -> ScoreBlock:
    fold = folds[0]
    known = {identity for each in folds for identity in each.learned_from}
    counts = {key: sum(chip.id in known for chip in chips) for key, chips in groups.items()}
    return ScoreBlock(
        fold.label,
        fold.sensor,
        fold.data,
        name,
        shots,
        "draw" if name.endswith(" shots") else "region",
        {key: tuple(chips) for key, chips in groups.items()},
        fold.classes,
        {key: count for key, count in counts.items() if count},
    )


def _rows(block: ScoreBlock, protocol: Protocol, seed: int) -> Iterable[Row]:
    groups = [_row(block, (name,), "group", _scores_of(block, (name,))) for name in block.groups]
    yield from groups
    if len(groups) > 1:
        yield from _spread(block, groups, "mean", "std")
    if block.unseen:
        yield from _spread(block, [row for row in groups if row.name in block.unseen], "mean_unseen", "std_unseen")
    if block.over == "region":
        yield _pooled(block, tuple(block.groups), "all", protocol, seed)
        if block.unseen:
            yield _pooled(block, block.unseen, "all_unseen", protocol, seed)


def _scores_of(block: ScoreBlock, names: Sequence[str]) -> dict[str, float]:
    return scores_of([chip for name in names for chip in block.groups[name]], block.classes)


def _spread(block: ScoreBlock, groups: Sequence[Row], mean: RowKind, std: RowKind) -> Iterable[Row]:
    """Make rows of mean and standard deviation over groups, with equal weights."""
    found = {name: UnitMean.of(np.array([row.scores[name] for row in groups])) for name in groups[0].scores}
    units = {name: each.units for name, each in found.items()}
    names = [row.name for row in groups]
    yield replace(_row(block, names, mean, {name: each.mean for name, each in found.items()}), units=units)
    yield replace(_row(block, names, std, {name: each.std for name, each in found.items()}), units=units)


def _pooled(block: ScoreBlock, names: Sequence[str], kind: RowKind, protocol: Protocol, seed: int) -> Row:
    """Make a row of the pooled pixels of some groups, with bootstrap intervals."""
    intervals = _intervals(block, names, by_region=protocol == "loro", seed=seed)
    return replace(_row(block, names, kind, _scores_of(block, names)), intervals=intervals)


def _row(block: ScoreBlock, groups: Sequence[str], kind: RowKind, scores: Mapping[str, float]) -> Row:
    """A row over some groups of a block: facts of the block, and counts of the groups' chips."""
    chips = [chip for group in groups for chip in block.groups[group]]
    whole = Confusion.total((chip.confusion for chip in chips), len(block.classes))
    return Row(
        label=block.label,
        sensor=block.sensor,
        block=block.name,
        name=groups[0] if kind == "group" else "",
        kind=kind,
        chips=len(chips),
        scored_px=whole.scored,
        class_1_px=int(whole.matrix[1].sum()),
        not_observed_px=whole.not_observed,
        scores=scores,
        shots=block.shots,
        learned_from=sum(block.learned_from.get(group, 0) for group in groups),
    )


def _intervals(block: ScoreBlock, names: Sequence[str], *, by_region: bool, seed: int) -> dict[str, Interval]:
    """Resample regions where those were held out, because only they stand for new regions; else chips."""
    groups = [block.groups[name] for name in names]
    parts = groups if by_region else [(chip,) for group in groups for chip in group]
    classes = len(block.classes)
    matrices = stacked([Confusion.total((chip.confusion for chip in chips), classes) for chips in parts], classes)
    matrices = matrices[matrices.sum(axis=(1, 2)) > 0]  # a unit without scored pixels is not resampled
    functions = score_functions(block.classes)
    return {name: bootstrap_interval(matrices, score, seed=seed) for name, score in functions.items()}


def _headline_row(protocol: Protocol, rows: Sequence[Row], label: str) -> Row:
    """Choose the headline row of a run: mean over regions (loro), test split, or the most shots."""
    own = [row for row in rows if row.label == label and not row.kind.startswith("std")]
    wanted: tuple[RowKind, ...] = ("mean_unseen", "mean", "group")
    if protocol == "split":
        own = [row for row in own if row.block == "test"] or [row for row in own if row.block == own[0].block]
        wanted = ("all_unseen", "all")
    else:
        most = max(row.shots for row in own)
        own = [row for row in own if row.shots == most]
    return next(row for kind in wanted for row in own if row.kind == kind)


def _costs(protocol: Protocol, folds: Sequence[FoldRecord], rows: Sequence[Row], headline: str) -> Iterable[CostRow]:
    found = []
    for label in dict.fromkeys(fold.label for fold in folds):
        own = [fold for fold in folds if fold.label == label]
        costs = [fold.costs for fold in own]
        seconds = sum(each.score_seconds for each in costs)
        trained = [each.train_seconds for each in costs if each.train_seconds is not None]
        headline_row = _headline_row(protocol, rows, label)
        found.append(
            CostRow(
                label,
                own[0].sensor,
                headline_row.scores[headline],
                costs[0].parameters,
                costs[0].trainable,
                costs[0].multiply_adds,
                sum(each.scored_px for each in costs) / SIDE_PX**2 / seconds if seconds else float("nan"),
                max(each.peak_memory for each in costs),
                sum(trained) if trained else None,
                seconds,
                float("nan"),
                costs[0].device,
                headline_row.learned_from,
            )
        )
    costs_of = {
        row.label: ModelCost(row.score, row.parameters / 1e6, row.multiply_adds / 1e9, row.chips_per_second)
        for row in found
    }
    values = u_scores(costs_of)
    return [CostRow(**{**vars(row), "u_score": values[row.label]}) for row in found]


def _where(names: Sequence[str]) -> str:
    return f"{len(names)} folds" if len(names) > 3 else ", ".join(names)


def _notes(folds: Sequence[FoldRecord], blocks: Sequence[ScoreBlock]) -> Iterable[str]:
    said: dict[str, dict[str, list[str]]] = {}
    for fold in folds:
        for note in fold.notes:
            said.setdefault(note, {}).setdefault(fold.label, []).append(fold.fold)
    for note, of in said.items():
        yield f"{', '.join(f'{label} ({_where(names)})' for label, names in of.items())}: {note}"
    yield from _unanswered(folds)
    yield from untested(blocks)
    for block_name in dict.fromkeys(block.name for block in blocks):
        # labels without a prediction are not counted: take the run with the fewest of them
        block = min((each for each in blocks if each.name == block_name), key=_unanswered_px)
        if block.over != "region":
            continue
        wholes = units_of(block, "region")
        silent = {chip.region for chip in block.chips if chip.no_answer}
        told = {name: whole for name, whole in wholes.items() if name not in silent}
        empty = [name for name, whole in told.items() if not whole.scored]
        dry = [name for name, whole in told.items() if whole.scored and not whole.matrix[1].sum()]
        if empty:
            yield f"No pixel of {', '.join(empty)} is both labelled and observed, so nothing is scored there."
        if dry:
            yield (
                f"The labels of {', '.join(dry)} hold no {block.classes[1]}: its IoU is undefined there and left out "
                "of the mean. False alarms there count in the pooled row."
            )


def _unanswered_px(block: ScoreBlock) -> int:
    return sum(chip.no_answer for chip in block.chips)


def _unanswered(folds: Sequence[FoldRecord]) -> Iterable[str]:
    """Note each run without a result for observed pixels: its scores leave them out."""
    for label in dict.fromkeys(fold.label for fold in folds):
        silent = [chip for fold in folds if fold.label == label for chip in fold.chips if chip.no_answer]
        if silent:
            regions = ", ".join(dict.fromkeys(chip.region for chip in silent))
            yield (
                f"{label} gave no number for {sum(chip.no_answer for chip in silent):,} labelled pixels of {regions} "
                "that the images show, and no score of it counts them: check that they are in its unit, or train it "
                "again."
            )
