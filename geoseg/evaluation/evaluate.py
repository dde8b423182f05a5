"""Run an evaluation from its plan to its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from geoseg.core.progress import Progress, Report, silent
from geoseg.errors import OutputNotWritableError
from geoseg.evaluation.plan import DEFAULT_SETTINGS, EvaluationPlan, EvaluationSettings, Protocol
from geoseg.evaluation.protocol import Evaluated, run_folds
from geoseg.evaluation.report import as_plain, summary, write_report
from geoseg.evaluation.rows import Table
from geoseg.evaluation.table import build_table


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        table: Scores, costs and comparisons.
        evaluated: Finished folds and the folder of their masks.
        files: Tables and figures that were written.
        seconds: Wall time of this run.
    """

    table: Table
    evaluated: Evaluated
    files: tuple[Path, ...]
    seconds: float

    def plain(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        files = [str(path) for path in self.files]
        return {**as_plain(self.table), "files": files, "seconds": round(self.seconds, 1)}

    def summary(self) -> str:
        """Return the result as text for a terminal."""
        return summary(self.table)


def evaluate(
    plan: EvaluationPlan,
    protocol: Protocol,
    out: Path | str = "evaluation",
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> Evaluation:
    """Run an evaluation, and write scores, tables, figures and the predicted mask of every test image.

    Args:
        plan: Data and models.
        protocol: ``split``, ``loro`` or ``fewshot``.
        out: Folder of the results; finished folds in it are reused.
        settings: How it is carried out.
        report: Called with each step forward.

    Raises:
        GeosegError: The data, a model or the folder cannot be used.
    """
    begun, out = perf_counter(), Path(out)
    if out.exists() and not out.is_dir():
        raise OutputNotWritableError(f"{out} is a file. Choose a folder with --out.")
    evaluated = run_folds(plan, protocol, out, settings, report)
    table = build_table(protocol, evaluated.folds, seed=plan.seed)
    seconds = perf_counter() - begun
    files = write_report(table, evaluated, plan, settings.command, seconds)
    if settings.figures:
        from geoseg.evaluation.figures import draw_figures  # brings matplotlib

        report(Progress("figures", 0, 1, "set"))
        files += draw_figures(table, evaluated)
        report(Progress("figures", 1, 1, "set"))
    return Evaluation(table, evaluated, tuple(files), seconds)
