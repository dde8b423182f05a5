"""From labelled images and a recipe to a bundle that maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from geoseg.catalog.cards import CARD, ModelCard
from geoseg.core.progress import Progress, Report, silent
from geoseg.datasets.pair import LabelledSet
from geoseg.errors import OutputExistsError
from geoseg.models.bundle import save_bundle
from geoseg.models.create import resolve_model
from geoseg.models.network import resolve_device
from geoseg.training.crops import LabelMap
from geoseg.training.fingerprint import Started
from geoseg.training.groups import freeze
from geoseg.training.lock import alone_in, is_first_process
from geoseg.training.loop import Kept, Loop
from geoseg.training.lora import add_adapters, merge_adapters
from geoseg.training.provenance import filled_in
from geoseg.training.recipe import Recipe
from geoseg.training.split import split_off
from geoseg.training.start import starting_point
from geoseg.training.train_score import doubt

RUN = "training"
"""Folder of a run inside its bundle's: logs, and while it lasts its checkpoints and what it was started with."""


@dataclass(frozen=True, slots=True)
class Trained:
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
) -> Trained:
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
    halves = split_off(data, recipe, validation)
    labels = LabelMap.of(halves.training, report)
    started = Started.of(halves, recipe, labels, devices)
    _check_out(out, started, resume=resume, overwrite=overwrite)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        module, card = starting_point(recipe, halves.training, out.resolve().name)
        _limit(module, recipe)
        sizes = [each.numel() for each in module.parameters()]
        learning = [each.numel() for each in module.parameters() if each.requires_grad]
        own_px = card.chip_px if card.family == "foundation" else None
        loop = Loop(halves, labels, recipe, out / RUN, device, devices, own_px)
        with alone_in(out / RUN):
            if overwrite and is_first_process():
                loop.forget()
            started.write(out / RUN)
            kept = loop.run(module, card, resume=resume, report=report)
            merge_adapters(module)
            card = card.model_copy(update={"limits": tuple(dict.fromkeys((*card.limits, *limits)))})
            card = save_bundle(
                out, module, filled_in(card, recipe=recipe, halves=halves, labels=labels, started=started, kept=kept)
            )
            loop.clean()
    report(Progress("train", loop.steps, loop.steps, "steps"))
    return Trained(
        folder=out,
        card=card,
        seconds=kept.seconds,
        history=kept.history,
        parameters=sum(sizes),
        trainable=sum(learning),
        notes=(*_doubts(kept), *halves.notes),
        learned_from=data.counted(len(halves.training.pairs)),
    )


def _doubts(kept: Kept) -> Iterator[str]:
    """What speaks against the weights."""
    if found := doubt(kept.on_training):
        yield found
    if kept.score == 0:
        yield "NOTHING IT WAS TO FIND was found on the validation, which it did not learn from."


def _limit(module: nn.Module, recipe: Recipe) -> None:
    """Freeze what the recipe freezes."""
    if recipe.lora:
        add_adapters(module, recipe.lora)
    else:
        freeze(module, recipe.freeze)


def _check_out(out: Path, started: Started, *, resume: bool, overwrite: bool) -> None:
    if not is_first_process():
        return  # another device's process of a run that has been checked
    stopped = Started.read(out / RUN)
    if resume:
        started.check_same(stopped, out)
    elif stopped is not None and not overwrite:
        raise OutputExistsError(f"{out} holds a run that was stopped. Add --resume to go on, or --overwrite.")
    elif (out / CARD).exists() and not overwrite:
        raise OutputExistsError(f"{out} holds a trained model. Choose another --out, or add --overwrite.")
