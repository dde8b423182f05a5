"""A plan carried out: sources gathered, shots drawn, a network trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.core.progress import Report, silent
from geoseg.datasets.pair import LabelledSet
from geoseg.training.finetune import Trained, finetune
from geoseg.training.plan import Plan, recipe_of
from geoseg.training.plan import merged as laid_over
from geoseg.training.shots import draw
from geoseg.training.sources import gather
from geoseg.training.suggest_command import map_command

NOBODY_NAMED_ONE: dict[str, Any] = {"model": "unet", "options": {"base": 16}}
"""What is trained where nobody names a network: two million parameters, which a CPU trains in minutes."""


def run_plan(
    plan: Plan,
    over: dict[str, Any],
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    devices: int = 1,
    cache: Path | None = None,
    report: Report = silent,
) -> Trained:
    """Do what a plan says.

    Args:
        plan: What is learned from, and how.
        over: Recipe's values that win over the plan's.
        out: Folder of the bundle.
        resume: Go on with the run that was stopped there.
        overwrite: Replace what is there.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: How many.
        cache: Folder that keeps what was read. None: nothing is kept.
        report: Told of every step.

    Raises:
        GeosegError: What stands in the way, in one sentence.
    """
    values = laid_over(plan.recipe, over)
    data = _kept(gather(plan.sources, bands=plan.bands, sensor=plan.sensor), cache)
    recipe = recipe_of(values if "model" in values else laid_over(NOBODY_NAMED_ONE, values))
    validation = None
    if plan.validation:
        validation = _kept(gather(plan.validation, bands=data.bands, sensor=plan.sensor), cache)
    if plan.shots:
        data = draw(data.where(lambda pair: pair.split in ("", "train")), plan.shots, recipe.seed)
    done = finetune(
        data,
        recipe,
        out,
        validation=validation,
        resume=resume,
        overwrite=overwrite,
        device=device,
        devices=devices,
        limits=plan.limits,
        report=report,
    )
    return replace(done, notes=(*done.notes, *data.notes), try_it=map_command(done.folder, data, plan.sources))


def _kept(data: LabelledSet, cache: Path | None) -> LabelledSet:
    if cache is None:
        return data
    from geoseg.datasets.cache import cached  # brings zarr

    return cached(data, cache)
