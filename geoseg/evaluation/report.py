"""The table as CSV, JSON and Markdown, and a record of the run that made it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geoseg.evaluation.plan import EvaluationPlan
from geoseg.evaluation.protocol import Evaluated
from geoseg.evaluation.table import CALIBRATION, CHIP_MEAN, CostRow, PairRow, Row, Table
from geoseg.products.run_record import installed_versions
from geoseg.scrub import scrubbed
from geoseg.storage import whole_file

SCORES_CSV, SCORES_JSON, TABLE_MD, RUN_JSON = "scores.csv", "scores.json", "table.md", "run.json"

TITLES = {
    "loro": "Leave one region out",
    "split": "By the data's own splits",
    "fewshot": "Few-shot",
}
DEFINITIONS = """\
Scores are pooled over all pixels of their row that are labelled and observed; those under "per chip" are the mean over
the chips that define them. `mean (std)` is over the rows above it, each counting the same, with the sample's standard
deviation (n - 1). A region or chip whose label lacks a class says nothing of that class: its score is left out (-).
`iou_class_mean` averages both classes, the background included; `ece` is the expected calibration error of the said
class in 15 bins. Intervals are 95 % percentile bootstrap intervals."""
COST_DEFINITIONS = """\
Multiply-adds are of convolutions, matrix products and attention for a chip of 256 x 256 (a multiplication and an
addition count once). Chips per second: image area in chips of 256 x 256 through model and blend. Peak memory: of the
whole process while scoring (on a GPU: allocated there). Seconds: of all folds together. U-Score after U-Bench
(arXiv 2510.07041): harmonic mean of accuracy and efficiency; its percentiles of IoU and speed are of the models in this
table, so it compares these and no others."""
PAIR_DEFINITIONS = """\
Difference of the pooled scores, first less second, and two-sided p-values: of a permutation test of that difference, of
Wilcoxon's signed-rank test and of the paired t-test on the units' own scores. - : too few units differ for the test."""


def write_report(table: Table, evaluated: Evaluated, plan: EvaluationPlan, command: str, seconds: float) -> list[Path]:
    """Write the four files.

    Args:
        table: What to tell.
        evaluated: What it was made from.
        plan: What was asked.
        command: That repeats it.
        seconds: It took.

    Returns:
        The files.

    Raises:
        OutputNotWritableError: The folder cannot be written.
    """
    out = evaluated.out
    texts = {
        SCORES_CSV: as_csv(table),
        SCORES_JSON: as_json(table),
        TABLE_MD: as_markdown(table),
        RUN_JSON: _run(evaluated, plan, command, seconds),
    }
    for name, text in texts.items():
        with whole_file(out / name) as part:
            part.write_text(text, "utf-8")
    return [out / name for name in texts]


def as_csv(table: Table) -> str:
    """One line a row, one column a score; an undefined one is empty."""
    names = list(dict.fromkeys(name for row in table.rows for name in row.scores))
    bounded = list(dict.fromkeys(name for row in table.rows for name in row.intervals))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = [
        "model",
        "sensor",
        "block",
        "row",
        "region",
        "shots",
        "chips",
        "scored_px",
        "class_1_px",
        "not_observed_px",
    ]
    bounds = [f"{name}_{end}" for name in bounded for end in ("low", "high")]
    writer.writerow([*facts, f"n_{table.headline}", *names, *bounds])
    for row in table.rows:
        ends = [
            _number(getattr(row.intervals[name], end)) if name in row.intervals else ""
            for name in bounded
            for end in ("low", "high")
        ]
        counts = [row.chips, row.scored_px, row.class_1_px, row.not_observed_px]
        known = [row.label, row.sensor, row.block, row.kind, row.name, row.shots, *counts]
        units = row.units.get(table.headline, "")
        writer.writerow([*known, units, *(_number(row.scores.get(name, math.nan)) for name in names), *ends])
    return text.getvalue()


def as_plain(table: Table) -> dict[str, Any]:
    """The table as plain values; undefined is null."""
    rows = [
        {
            "model": row.label,
            "sensor": row.sensor,
            "block": row.block,
            "row": row.kind,
            "region": row.name,
            "shots": row.shots,
            "chips": row.chips,
            "scored_px": row.scored_px,
            "class_1_px": row.class_1_px,
            "not_observed_px": row.not_observed_px,
            "scores": dict(row.scores),
            **({"n": dict(row.units)} if row.units else {}),
            **({"intervals": {key: asdict(each) for key, each in row.intervals.items()}} if row.intervals else {}),
        }
        for row in table.rows
    ]
    plain = {
        "protocol": table.protocol,
        "headline": table.headline,
        "rows": rows,
        "costs": [asdict(row) for row in table.costs],
        "pairs": [asdict(row) for row in table.pairs],
        "notes": list(table.notes),
    }
    cleaned: dict[str, Any] = scrubbed(plain)  # also makes NaN null
    return cleaned


def as_json(table: Table) -> str:
    """As text."""
    return json.dumps(as_plain(table), indent=1, allow_nan=False) + "\n"


def as_markdown(table: Table) -> str:
    """For people."""
    parts = [f"# {TITLES[table.protocol]}", "", *_scores(table, per_chip=False), "", DEFINITIONS]
    parts += ["", "## Per chip", "", *_scores(table, per_chip=True)]
    parts += ["", "## Cost", "", *_costs(table.costs, table.headline), "", COST_DEFINITIONS]
    if table.pairs:
        parts += ["", "## Pairs", "", *_pairs(table.pairs), "", PAIR_DEFINITIONS]
    if table.notes:
        parts += ["", "## Notes", "", *(f"- {note}" for note in table.notes)]
    return "\n".join(parts) + "\n"


def summary(table: Table) -> str:
    """What is printed: the table, cost, and notes."""
    lines = [*_scores(table, per_chip=False, few=True), "", *_costs(table.costs, table.headline)]
    lines += [""] * bool(table.notes) + [f"Note: {note}" for note in table.notes]
    return "\n".join(lines)


def _scores(table: Table, *, per_chip: bool, few: bool = False) -> list[str]:
    names = [name for name in table.rows[0].scores if name.endswith(CHIP_MEAN) == per_chip]
    if few:
        kept = ("iou_", "f1_", "precision_", "recall_", "boundary_f1_")
        names = [name for name in names if name.startswith(kept) or name in ("accuracy", CALIBRATION)]
    shown = [name.removesuffix(CHIP_MEAN) for name in names]
    header = ["model", "sensor", "on", "chips", *shown]
    lines = []
    rows = list(table.rows)
    for index, row in enumerate(rows):
        if row.kind == "std":
            continue
        std = rows[index + 1] if row.kind == "mean" else None
        cells = [_cell(row, std, name, headline=name == names[0]) for name in names]
        lines.append([row.label, row.sensor, _on(row), str(row.chips), *cells])
    return _aligned(header, lines)


def _on(row: Row) -> str:
    what = {"mean": "mean (std)", "all": "all pixels"}.get(row.kind, row.name)
    return f"{row.block}: {what}" if row.block else what


def _cell(row: Row, std: Row | None, name: str, *, headline: bool) -> str:
    value = row.scores.get(name, math.nan)
    if math.isnan(value):
        return "-"
    text = f"{value:.3f}"
    if std is not None:
        spread = std.scores[name]
        text += f" ({spread:.3f})" if not math.isnan(spread) else ""
        text += f", n = {row.units[name]}" if headline else ""
    if name in row.intervals and headline and not math.isnan(row.intervals[name].low):
        text += f" [{row.intervals[name].low:.3f}, {row.intervals[name].high:.3f}]"
    return text


def _costs(costs: Iterable[CostRow], headline: str) -> list[str]:
    header = ["model", headline, "parameters M", "trained M", "multiply-adds G", "chips/s", "peak MB", "train s"]
    header += ["score s", "U-Score", "device"]
    lines = [
        [
            row.label,
            _fixed(row.score, 3),
            f"{row.parameters / 1e6:.2f}",
            "-" if row.trainable is None else f"{row.trainable / 1e6:.2f}",
            f"{row.multiply_adds / 1e9:.2f}",
            _fixed(row.chips_per_second, 1),
            f"{row.peak_memory / 1e6:,.0f}",
            "-" if row.train_seconds is None else f"{row.train_seconds:.0f}",
            f"{row.score_seconds:.1f}",
            _fixed(row.u_score, 1),
            row.device,
        ]
        for row in costs
    ]
    return _aligned(header, lines)


def _pairs(pairs: Iterable[PairRow]) -> list[str]:
    header = ["first", "second", "on", "units", "n", "score", "difference", "mean of units"]
    header += ["p permutation", "p Wilcoxon", "p t-test"]
    lines = [
        [
            row.first,
            row.second,
            row.block or "all",
            row.units,
            str(row.found.wilcoxon.pairs),
            row.score,
            _fixed(row.found.difference, 3, sign=True),
            _fixed(row.found.mean_difference, 3, sign=True),
            _fixed(row.found.permutation.p, 4),
            _fixed(row.found.wilcoxon.p, 4),
            _fixed(row.found.t_test.p, 4),
        ]
        for row in pairs
    ]
    return _aligned(header, lines)


def _fixed(value: float, places: int, *, sign: bool = False) -> str:
    return "-" if math.isnan(value) else f"{value:{'+' if sign else ''}.{places}f}"


def _aligned(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table that is as readable as text."""
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(header), line(["-" * width for width in widths]), *(line(each) for each in lines)]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _run(evaluated: Evaluated, plan: EvaluationPlan, command: str, seconds: float) -> str:
    record = {
        "command": command,
        "protocol": evaluated.protocol,
        "seed": plan.seed,
        "plan": plan.model_dump(mode="json", exclude_defaults=True),
        "data": [
            {
                "model": entry.label,
                "data": entry.data.name,
                "sensor": entry.data.sensor,
                "bands": list(entry.data.bands),
                "images": len(entry.data.pairs),
                "simulated": entry.data.simulated,
                "sources": list(entry.data.sources),
                "notes": list(entry.data.notes),
            }
            for entry in evaluated.entries
        ],
        "folds": [
            {
                "model": fold.label,
                "fold": fold.fold,
                "fingerprint": fold.fingerprint,
                "learned_from": len(fold.trained_on),
                "judged_on": len(fold.chips),
                "device": fold.costs.device,
            }
            for fold in evaluated.folds
        ],
        "seconds": round(seconds, 1),
        "versions": installed_versions(),
    }
    return json.dumps(scrubbed(record), indent=1, allow_nan=False) + "\n"
