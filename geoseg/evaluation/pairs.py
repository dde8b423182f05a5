"""Compare every two runs of a table, on images that both were scored on and neither had learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from geoseg.evaluation.compare import compare
from geoseg.evaluation.counts import Confusion
from geoseg.evaluation.records import own_id
from geoseg.evaluation.rows import PairRow, ScoreBlock, Units
from geoseg.evaluation.scores import score_functions


def pairs_of(blocks: Sequence[ScoreBlock], headline: str, seed: int) -> Iterable[PairRow]:
    """Compare every two runs that were scored on the same images, with the same number of shots."""
    for number, first in enumerate(blocks):
        for second in blocks[number + 1 :]:
            if first.name == second.name and first.label != second.label:
                yield from _pair(first, second, headline, seed)


def _pair(first: ScoreBlock, second: ScoreBlock, headline: str, seed: int) -> Iterable[PairRow]:
    """Compare two runs by each kind of unit, on units from which neither's bundle had learned."""
    left_out = _taught(first, second)
    first, second = _without(first, left_out), _without(second, left_out)
    if not first.groups or units_of(first, "chip").keys() != units_of(second, "chip").keys():
        return
    score = score_functions(first.classes)[headline]
    kinds: tuple[Units, ...] = ("draw", "region", "chip") if first.over == "draw" else ("region", "chip")
    for units in kinds:
        mine, theirs = units_of(first, units), units_of(second, units)
        # two sensors observe different pixels: then the two were not scored on the same labels
        same = mine.keys() == theirs.keys() and all(mine[name].labelled == theirs[name].labelled for name in mine)
        if same and len(mine) > 1:
            found = compare(mine, theirs, score, seed=seed)
            yield PairRow(first.label, second.label, first.name, units, headline, found, left_out)


def untested(blocks: Sequence[ScoreBlock]) -> Iterable[str]:
    """Note every two runs that are not compared because one of them had learned from everything."""
    found = [
        f"{first.label} and {second.label}"
        for number, first in enumerate(blocks)
        for second in blocks[number + 1 :]
        if first.name == second.name and first.label != second.label
        if not {*first.groups, *second.groups} - {*_taught(first, second)}
    ]
    if found:
        pairs = "; ".join(dict.fromkeys(found))
        yield f"Not compared, because one of the two had learned from every region or draw: {pairs}."


def _taught(first: ScoreBlock, second: ScoreBlock) -> tuple[str, ...]:
    taught = {*first.learned_from, *second.learned_from}
    return tuple(name for name in dict.fromkeys((*first.groups, *second.groups)) if name in taught)


def _without(block: ScoreBlock, names: Sequence[str]) -> ScoreBlock:
    return replace(block, groups={name: chips for name, chips in block.groups.items() if name not in names})


def units_of(block: ScoreBlock, units: Units) -> dict[str, Confusion]:
    """Sum the counts by unit; an image that was scored in several draws is one unit, with the counts of all."""
    parts: dict[str, list[Confusion]] = {}
    for group, chips in block.groups.items():
        for chip in chips:
            name = {"chip": own_id(chip.id, block.data), "region": chip.region, "draw": group}[units]
            parts.setdefault(name, []).append(chip.confusion)
    return {name: Confusion.total(each, len(block.classes)) for name, each in parts.items()}
