"""An evaluation from its plan to its files."""

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
    """What an evaluation came to.

    Attributes:
        table: Scores, costs, comparisons.
        evaluated: Folds, and where their masks lie.
        files: Tables and figures that were written.
        seconds: Wall time of this run.
    """

    table: Table
    evaluated: Evaluated
    files: tuple[Path, ...]
    seconds: float

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        files = [str(path) for path in self.files]
        return {**as_plain(self.table), "files": files, "seconds": round(self.seconds, 1)}

    def summary(self) -> str:
        """For a terminal."""
        return summary(self.table)


def evaluate(
    plan: EvaluationPlan,
    protocol: Protocol,
    out: Path | str = "evaluation",
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> Evaluation:
    """Do what a plan says, and write scores, tables, figures and every held-out mask.

    Args:
        plan: Data and models.
        protocol: ``split``, ``loro`` or ``fewshot``.
        out: Folder; finished folds in it are not done again.
        settings: How it is carried out.
        report: Called with each step forward.

    Raises:
        GeosegError: What stands in the way, in one sentence.
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
