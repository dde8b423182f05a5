"""Train a network on labelled images, from a recipe or a whole plan, and write it as a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from geoseg.training.report import CompletedRun, TrainResult, collapse_warning, complete_card, map_command
from geoseg.training.run_state import RunFingerprint, is_first_process
from geoseg.training.sources import TrainingSource, gather
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


@dataclass(frozen=True)
class RunSettings:
    """How a run is carried out: nothing in here is part of its recipe.

    Attributes:
        validation: What chooses among the weights, never learned from. None: part of the data, as the recipe says.
        resume: Resume the run that was stopped in the output folder, to the same numbers as if it had not been.
        overwrite: Replace what is in the output folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        devices: Number of devices.
        limits: Known failures, for the card.
        cache: Folder that caches what is read of a plan's sources; None: no cache.
    """

    validation: LabelledSet | None = None
    resume: bool = False
    overwrite: bool = False
    device: str = "auto"
    devices: int = 1
    limits: tuple[str, ...] = ()
    cache: Path | None = None


DEFAULT_SETTINGS = RunSettings()


def finetune(
    data: LabelledSet,
    recipe: Recipe,
    out: Path | str,
    settings: RunSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> FinetuneResult:
    """Train a network, and write it as a bundle.

    Args:
        data: What it learns from; images of a ``test`` split are left out, those of ``val`` are its validation.
        recipe: Network, loss, optimiser, augmentation, seed.
        out: Folder of the bundle.
        settings: How the run is carried out.
        report: Called with every step.

    Raises:
        NotTrainableError: Labels that nothing can be learned from.
        ResumeError: The run in ``out`` was started with something else, or there is none.
        OutputExistsError: ``out`` holds a bundle or a stopped run, and nobody said what to do with it; or another
            run is at work there.
        ModelError: The network cannot be had, or does not read these data.
        OutputError: ``out`` cannot be written.
    """
    out, device = Path(out), str(resolve_device(settings.device))
    validation = settings.validation
    resolve_model(recipe.model)  # an unknown model is refused before every label is read
    recipe = recipe.for_unit(data.unit)
    images = ImageCache()
    data = data.in_memory(images)
    split = split_train_val(data, recipe, validation.in_memory(images) if validation else None)
    labels = LabelMap.of(split.training, report)
    started = RunFingerprint.of(split, recipe, labels, settings.devices)
    _check_out(out, started, settings)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        module, card = starting_point(recipe, split.training, out.resolve().name)
        _limit(module, recipe)
        sizes = [each.numel() for each in module.parameters()]
        learning = [each.numel() for each in module.parameters() if each.requires_grad]
        own_px = card.chip_px if card.family == "foundation" else None
        loop = Loop(split, labels, recipe, out / RUN, device, settings.devices, own_px)
        # of several devices' processes, the first one holds the folder for all
        with run_lock(out) if is_first_process() else nullcontext():
            if settings.overwrite and is_first_process():
                loop.forget()
            started.write(out / RUN)
            kept = loop.run(module, card, resume=settings.resume, report=report)
            merge_adapters(module)
            card = card.model_copy(update={"limits": tuple(dict.fromkeys((*card.limits, *settings.limits)))})
            card = save_bundle(out, module, complete_card(card, CompletedRun(recipe, split, labels, started, kept)))
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


def _check_out(out: Path, started: RunFingerprint, settings: RunSettings) -> None:
    if not is_first_process():
        return  # another device's process of a run that has been checked
    stopped = RunFingerprint.read(out / RUN)
    if settings.resume:
        started.check_resumable(stopped, out)
    elif stopped is not None and not settings.overwrite:
        raise OutputExistsError(f"{out} holds a run that was stopped. Add --resume to go on, or --overwrite.")
    elif (out / CARD).exists() and not settings.overwrite:
        raise OutputExistsError(f"{out} holds a trained model. Choose another --out, or add --overwrite.")


DEFAULT_NETWORK: dict[str, Any] = {"model": "unet", "options": {"base": 16}}
"""What is trained where nobody names a network: two million parameters, which a CPU trains in minutes."""


def run_plan(
    plan: TrainingPlan,
    over: dict[str, Any],
    out: Path,
    settings: RunSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> FinetuneResult:
    """Gather the data of a plan, and train on them.

    Args:
        plan: What is learned from, and how.
        over: Values of the recipe that win over the plan's.
        out: Folder of the bundle.
        settings: How the run is carried out; its validation and limits are the plan's.
        report: Called with every step.

    Raises:
        GeosegError: What stands in the way, in one sentence.
    """
    values = laid_over(plan.recipe, over)
    images = ImageCache()

    def opened(sources: Sequence[TrainingSource], bands: Sequence[str] | None) -> LabelledSet:
        return _cached(gather(sources, bands=bands, sensor=plan.sensor), settings.cache).in_memory(images)

    data = opened(plan.sources, plan.bands)
    recipe = recipe_of(values if "model" in values else laid_over(DEFAULT_NETWORK, values))
    validation = opened(plan.validation, data.bands) if plan.validation else None
    if plan.shots:
        data = draw(data.where(lambda pair: pair.split in ("", "train")), plan.shots, recipe.seed)
    settings = replace(settings, validation=validation, limits=plan.limits)
    done = finetune(data, recipe, out, settings, report)
    return replace(done, notes=(*done.notes, *data.notes), try_it=map_command(done.folder, data, plan.sources))


def _cached(data: LabelledSet, cache: Path | None) -> LabelledSet:
    if cache is None:
        return data
    from geoseg.datasets.cache import cached  # brings zarr

    return cached(data, cache)
