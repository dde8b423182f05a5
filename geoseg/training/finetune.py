"""Train a network on labelled images, from a recipe or a whole plan, and write it as a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from geoseg.catalog.cards import CARD, ModelCard
from geoseg.core.lock import run_lock
from geoseg.core.progress import Progress, Report, silent
from geoseg.datasets.pair import ImageCache, LabelledSet
from geoseg.errors import OutputExistsError
from geoseg.models.bundle import save_bundle
from geoseg.models.create import resolve_model
from geoseg.models.network import resolve_device
from geoseg.training.crops import LabelMap
from geoseg.training.groups import freeze
from geoseg.training.loop import Loop
from geoseg.training.lora import add_adapters, merge_adapters
from geoseg.training.plan import TrainingPlan, recipe_of
from geoseg.training.plan import merged as laid_over
from geoseg.training.recipe import Recipe
from geoseg.training.report import TrainResult, collapse_warning, complete_card, map_command
from geoseg.training.run_state import RunFingerprint, is_first_process
from geoseg.training.sources import gather
from geoseg.training.split import draw, split_train_val
from geoseg.training.start import starting_point

RUN = "training"
"""Folder of a run inside its bundle's: logs, and while it lasts its checkpoints and what it was started with."""


@dataclass(frozen=True, slots=True)
class FinetuneResult:
    """What a run came to.

    Attributes:
        folder: The bundle.
        card: Its card.
        seconds: Wall time, interruptions left out.
        history: Of each round: its last step, loss, and validation.
        parameters: Parameters of the network.
        trainable: Those that learned.
        notes: What a person should know, the most important first.
        learned_from: How many images or tiles, in words.
        try_it: The command that maps with it, as far as it is known; "": nobody asked for it.
    """

    folder: Path
    card: ModelCard
    seconds: float
    history: tuple[dict[str, float], ...]
    parameters: int
    trainable: int
    notes: tuple[str, ...] = ()
    learned_from: str = ""
    try_it: str = ""


def finetune(
    data: LabelledSet,
    recipe: Recipe,
    out: Path | str,
    *,
    validation: LabelledSet | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    devices: int = 1,
    limits: tuple[str, ...] = (),
    report: Report = silent,
) -> FinetuneResult:
    """Train a network, and leave it as a bundle in ``out``.

    Args:
        data: What it learns from; images of a ``test`` split are left out, those of ``val`` are its validation.
        recipe: How.
        out: Folder of the bundle.
        validation: What chooses among its weights, never learned from. None: part of ``data``, as the recipe says.
        resume: Go on with the run that was stopped in ``out``, to the same numbers as if it had not been.
        overwrite: Replace what is in ``out``.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: How many of them.
        limits: Known failures, for the card.
        report: Told of every step.

    Raises:
        NotTrainableError: Labels that nothing can be learned from.
        ResumeError: The run in ``out`` was started with something else, or there is none.
        OutputExistsError: ``out`` holds a bundle or a stopped run, and nobody said what to do with it; or another
            run is at work there.
        ModelError: The network cannot be had, or does not read these data.
        OutputError: ``out`` cannot be written.
    """
    out, device = Path(out), str(resolve_device(device))
    resolve_model(recipe.model)  # an unknown model is refused before every label is read
    recipe = recipe.for_unit(data.unit)
    images = ImageCache()
    data = data.in_memory(images)
    split = split_train_val(data, recipe, validation.in_memory(images) if validation else None)
    labels = LabelMap.of(split.training, report)
    started = RunFingerprint.of(split, recipe, labels, devices)
    _check_out(out, started, resume=resume, overwrite=overwrite)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        module, card = starting_point(recipe, split.training, out.resolve().name)
        _limit(module, recipe)
        sizes = [each.numel() for each in module.parameters()]
        learning = [each.numel() for each in module.parameters() if each.requires_grad]
        own_px = card.chip_px if card.family == "foundation" else None
        loop = Loop(split, labels, recipe, out / RUN, device, devices, own_px)
        # of several devices' processes, the first one holds the folder for all
        with run_lock(out) if is_first_process() else nullcontext():
            if overwrite and is_first_process():
                loop.forget()
            started.write(out / RUN)
            kept = loop.run(module, card, resume=resume, report=report)
            merge_adapters(module)
            card = card.model_copy(update={"limits": tuple(dict.fromkeys((*card.limits, *limits)))})
            card = save_bundle(
                out, module, complete_card(card, recipe=recipe, split=split, labels=labels, started=started, kept=kept)
            )
            loop.clean()
    report(Progress("train", loop.steps, loop.steps, "steps"))
    return FinetuneResult(
        folder=out,
        card=card,
        seconds=kept.seconds,
        history=kept.history,
        parameters=sum(sizes),
        trainable=sum(learning),
        notes=(*_doubts(kept), *split.notes),
        learned_from=data.counted(len(split.training.pairs)),
    )


def _doubts(kept: TrainResult) -> Iterator[str]:
    """What speaks against the weights."""
    if found := collapse_warning(kept.on_training):
        yield found
    if kept.score == 0:
        yield "NOTHING IT WAS TO FIND was found on the validation, which it did not learn from."


def _limit(module: nn.Module, recipe: Recipe) -> None:
    """Freeze what the recipe freezes."""
    if recipe.lora:
        add_adapters(module, recipe.lora)
    else:
        freeze(module, recipe.freeze)


def _check_out(out: Path, started: RunFingerprint, *, resume: bool, overwrite: bool) -> None:
    if not is_first_process():
        return  # another device's process of a run that has been checked
    stopped = RunFingerprint.read(out / RUN)
    if resume:
        started.check_resumable(stopped, out)
    elif stopped is not None and not overwrite:
        raise OutputExistsError(f"{out} holds a run that was stopped. Add --resume to go on, or --overwrite.")
    elif (out / CARD).exists() and not overwrite:
        raise OutputExistsError(f"{out} holds a trained model. Choose another --out, or add --overwrite.")


NOBODY_NAMED_ONE: dict[str, Any] = {"model": "unet", "options": {"base": 16}}
"""What is trained where nobody names a network: two million parameters, which a CPU trains in minutes."""


def run_plan(
    plan: TrainingPlan,
    over: dict[str, Any],
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    devices: int = 1,
    cache: Path | None = None,
    report: Report = silent,
) -> FinetuneResult:
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
    images = ImageCache()
    data = _kept(gather(plan.sources, bands=plan.bands, sensor=plan.sensor), cache).in_memory(images)
    recipe = recipe_of(values if "model" in values else laid_over(NOBODY_NAMED_ONE, values))
    validation = None
    if plan.validation:
        validation = _kept(gather(plan.validation, bands=data.bands, sensor=plan.sensor), cache).in_memory(images)
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
