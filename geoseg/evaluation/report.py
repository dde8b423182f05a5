"""Write the results table as CSV, JSON and Markdown, and the record of the run."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from geoseg.core.atomic import atomic_file
from geoseg.core.redact import redact
from geoseg.evaluation.plan import EvaluationPlan
from geoseg.evaluation.protocol import Evaluated
from geoseg.evaluation.rows import LEARNED, NO_SHOTS, CostRow, PairRow, Row, Table
from geoseg.evaluation.table import CALIBRATION, CHIP_MEAN
from geoseg.products.run_record import installed_versions

SCORES_CSV, SCORES_JSON, TABLE_MD, RUN_JSON = "scores.csv", "scores.json", "table.md", "run.json"

TITLES = {
    "loro": "Leave one region out",
    "split": "By the data's own splits",
    "fewshot": "Few-shot",
}
SUMMARY = {
    "loro": "Mean over regions, each counting the same, and the sample's standard deviation.",
    "split": "All pixels of the test split together; mean over its regions, and the sample's standard deviation.",
    "fewshot": "Mean over draws, and the sample's standard deviation; `as it is`: nothing learned here.",
}
DEFINITIONS = """\
Scores are pooled over all pixels of their row that are labelled and observed; those under "per chip" are the mean over
the chips that define them. `mean (std)` is over the rows above it, each counting the same, with the sample's standard
deviation (n - 1). Where the label of a region or chip lacks a class, its score of that class is undefined (-).
`iou_class_mean` averages both classes, the background included; `ece` is the expected calibration error of the
predicted class in 15 bins. Intervals are 95 % percentile bootstrap intervals."""
ACCURACIES = ("accuracy", "accuracy_class_mean")
COST_DEFINITIONS = """\
Multiply-adds are of convolutions, matrix products and attention for a chip of 256 x 256 (a multiplication and an
addition count once). Chips per second: image area in chips of 256 x 256 through model and blend. Peak memory: of the
whole process while scoring (on a GPU: allocated there). Seconds: of all folds together. U-Score after U-Bench
(arXiv 2510.07041): harmonic mean of accuracy and efficiency; its percentiles of IoU and speed are of the models in this
table, so it compares these and no others."""
PAIR_DEFINITIONS = """\
Difference of the pooled scores, first less second, and two-sided p-values: of a permutation test of that difference, of
Wilcoxon's signed-rank test and of the paired t-test on the units' own scores. - : fewer than six units differ, and no
such test could reach p = 0.05. Nothing is corrected for how many tests there are."""
DRAW_DEFINITIONS = """\
Draws of the same number learned from the same images. Regions and chips count the pixels of all draws together: their
p-values speak of other regions or chips, and not of other draws."""


def write_report(table: Table, evaluated: Evaluated, plan: EvaluationPlan, command: str, seconds: float) -> list[Path]:
    """Write the four files.

    Args:
        table: Results table.
        evaluated: Results of the folds.
        plan: Plan of the evaluation.
        command: Command that repeats the evaluation.
        seconds: Wall time.

    Returns:
        The files that were written.

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
        with atomic_file(out / name) as part:
            part.write_text(text, "utf-8")
    return [out / name for name in texts]


def as_csv(table: Table) -> str:
    """Return the table as CSV: one column per score, undefined scores empty."""
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
        "learned_from",
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
        known = [row.label, row.sensor, row.block, row.kind, row.name, row.shots, row.learned_from, *counts]
        units = row.units.get(table.headline, "")
        writer.writerow([*known, units, *(_number(row.scores.get(name, math.nan)) for name in names), *ends])
    return text.getvalue()


def as_plain(table: Table) -> dict[str, Any]:
    """Return the table as plain JSON values; undefined scores are null."""
    rows = [
        {
            "model": row.label,
            "sensor": row.sensor,
            "block": row.block,
            "row": row.kind,
            "region": row.name,
            "shots": row.shots,
            "learned_from": row.learned_from,
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
        "warning": table.warning,
    }
    cleaned: dict[str, Any] = redact(plain)  # also makes NaN null
    return cleaned


def as_json(table: Table) -> str:
    """Return the table as JSON text."""
    return json.dumps(as_plain(table), indent=1, allow_nan=False) + "\n"


def as_markdown(table: Table) -> str:
    """Return the table as Markdown."""
    parts = [f"# {TITLES[table.protocol]}", "", *([f"**Warning:** {table.warning}", ""] * bool(table.warning))]
    parts += [*_short(table), "", SUMMARY[table.protocol], "", "## Scores", ""]
    parts += [*_scores(table, per_chip=False), "", DEFINITIONS]
    parts += ["", "## Per chip", "", *_scores(table, per_chip=True)]
    parts += ["", "## Cost", "", *_costs(table), "", COST_DEFINITIONS]
    if table.pairs:
        parts += ["", "## Pairs", "", *_pairs(table.pairs), "", PAIR_DEFINITIONS]
        parts += [DRAW_DEFINITIONS] * (table.protocol == "fewshot")
    if table.notes:
        parts += ["", "## Notes", "", *(f"- {note}" for note in table.notes)]
    return "\n".join(parts) + "\n"


def summary(table: Table) -> str:
    """Return the summary for a terminal: warning, scores, cost and notes."""
    lines = [f"Warning: {table.warning}", ""] * bool(table.warning)
    lines += [*_scores(table, per_chip=False, few=True), "", *_costs(table)]
    lines += [""] * bool(table.notes) + [f"Note: {note}" for note in table.notes]
    return "\n".join(lines)


def _scores(table: Table, *, per_chip: bool, few: bool = False) -> list[str]:
    names = [name for name in table.rows[0].scores if name.endswith(CHIP_MEAN) == per_chip]
    if few:
        kept = ("iou_", "f1_", "precision_", "recall_", "boundary_f1_")
        names = [name for name in names if name.startswith(kept) or name in (*ACCURACIES, CALIBRATION)]
    shown = [name.removesuffix(CHIP_MEAN) for name in names]
    header = ["model", "sensor", "on", "chips", *shown]
    lines = []
    rows = list(table.rows)
    for index, row in enumerate(rows):
        if row.kind in ("std", "std_unseen"):
            continue
        std = rows[index + 1] if row.kind in ("mean", "mean_unseen") else None
        cells = [_cell(row, std, name, headline=name == names[0]) for name in names]
        lines.append([row.label, row.sensor, _on(row, per_chip=per_chip), str(row.chips), *cells])
    return _aligned(header, lines)


def _on(row: Row, *, per_chip: bool) -> str:
    pool = "mean over chips" if per_chip else "all pixels"  # of scores that are averaged per chip nothing is pooled
    names = {"mean": "mean (std)", "mean_unseen": "mean of unseen (std)", "all": pool, "all_unseen": f"{pool}, unseen"}
    what = names.get(row.kind, row.name) + f" {LEARNED}" * bool(row.learned_from)
    return f"{row.block}: {what}" if row.block and row.block != NO_SHOTS else what


def _short(table: Table) -> list[str]:
    """Return one line per model: headline score, number of regions or draws, seconds."""
    title = f"{table.headline.removeprefix('iou_')} IoU"
    if table.protocol == "fewshot":
        return _short_of_shots(table, title)
    unseen = any(row.kind == "mean_unseen" for row in table.rows)
    header = ["model"]
    for what, regions in (("", "regions"), (" of unseen regions", "unseen regions"))[: 1 + unseen]:
        header += [f"{title}{what}, all pixels"] * (table.protocol == "split")
        header += [f"mean {title}{what} (std)", regions]
    lines = []
    for cost in table.costs:
        rows = [row for row in table.rows if row.label == cost.label and row.block == _headline_block(table)]
        cells = [cell for end in ("", "_unseen")[: 1 + unseen] for cell in _short_cells(table, rows, end)]
        lines.append([cost.label, *cells, *_seconds(cost)])
    return _aligned([*header, "train s", "score s"], lines)


def _headline_block(table: Table) -> str:
    """Return the name of the headline block: that of the test split, where there is one."""
    names = [block.name for block in table.blocks]
    return "test" if "test" in names else names[0]


def _short_cells(table: Table, rows: Sequence[Row], end: str) -> list[str]:
    """Return pooled score (of splits), mean, standard deviation and regions; of all or of unseen regions."""
    by_kind = {row.kind: row for row in rows}
    whole, mean, std = (by_kind.get(f"{kind}{end}") for kind in ("all", "mean", "std"))  # type: ignore[call-overload]
    if mean is None and whole is not None and not end:
        mean = next(row for row in rows if row.kind == "group")  # the only one
    cells = [_short_cell(whole, None, table.headline)] if table.protocol == "split" else []
    count = 0 if mean is None else mean.units.get(table.headline, int(not math.isnan(mean.scores[table.headline])))
    return [*cells, _short_cell(mean, std, table.headline), str(count)]


def _short_of_shots(table: Table, title: str) -> list[str]:
    shots = sorted({row.shots for row in table.rows})
    header = ["model", *(f"{title}, {count} shots (std)" if count else f"{title}, as it is" for count in shots)]
    lines = []
    for cost in table.costs:
        cells = []
        for count in shots:
            own = {row.kind: row for row in table.rows if (row.label, row.shots) == (cost.label, count)}
            cells.append(_short_cell(own.get("mean", own.get("group")), own.get("std"), table.headline))
        lines.append([cost.label, *cells, *_seconds(cost)])
    return _aligned([*header, "train s", "score s"], lines)


def _short_cell(row: Row | None, std: Row | None, name: str) -> str:
    if row is None:
        return "-"
    text = _fixed(row.scores[name], 3)
    if std is not None and not math.isnan(std.scores[name]):
        text += f" ({std.scores[name]:.3f})"
    return text + f" {LEARNED}" * bool(row.learned_from)


def _seconds(cost: CostRow) -> list[str]:
    return ["-" if cost.train_seconds is None else f"{cost.train_seconds:.0f}", f"{cost.score_seconds:.1f}"]


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


def _costs(table: Table) -> list[str]:
    unseen = any(row.kind.endswith("_unseen") for row in table.rows)
    header = ["model", table.headline + ", unseen" * unseen, "parameters M", "trained M", "multiply-adds G"]
    header += ["chips/s", "peak MB", "train s"]
    header += ["score s", "U-Score", "device"]
    lines = [
        [
            row.label,
            _fixed(row.score, 3) + f" {LEARNED}" * bool(row.learned_from),
            f"{row.parameters / 1e6:.2f}",
            "-" if row.trainable is None else f"{row.trainable / 1e6:.2f}",
            f"{row.multiply_adds / 1e9:.2f}",
            _fixed(row.chips_per_second, 1),
            f"{row.peak_memory / 1e6:,.0f}",
            *_seconds(row),
            _fixed(row.u_score, 1),
            row.device,
        ]
        for row in table.costs
    ]
    return _aligned(header, lines)


def _pairs(pairs: Iterable[PairRow]) -> list[str]:
    header = ["first", "second", "on", "units", "n", "score", "difference", "mean of units"]
    header += ["p permutation", "p Wilcoxon", "p t-test"]
    lines = [
        [
            row.first,
            row.second,
            _tested_on(row),
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


def _tested_on(row: PairRow) -> str:
    parts = ([row.block] if row.block else []) + ["unseen regions"] * bool(row.left_out)
    return ", ".join(parts) or "all"


def _fixed(value: float, places: int, *, sign: bool = False) -> str:
    return "-" if math.isnan(value) else f"{value:{'+' if sign else ''}.{places}f}"


def _aligned(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table with aligned columns."""
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
                "model": run.label,
                "data": run.data.name,
                "sensor": run.data.sensor,
                "bands": list(run.data.bands),
                "images": len(run.data.pairs),
                "simulated": run.data.simulated,
                "sources": list(run.data.sources),
                "notes": list(run.data.notes),
            }
            for run in evaluated.runs
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
    return json.dumps(redact(record), indent=1, allow_nan=False) + "\n"
