"""The card of a trained network, filled in by the run that made it."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geoseg import __version__
from geoseg.catalog.cards import ModelCard, TrainingRun

if TYPE_CHECKING:
    from geoseg.training.crops import LabelMap
    from geoseg.training.fingerprint import Started
    from geoseg.training.loop import Kept
    from geoseg.training.recipe import Recipe
    from geoseg.training.split import Halves


UNSCORED = "Nobody scored it: there was no validation. Try `geoseg evaluate` on images it never saw."
ONE_CLASS = "On the very pixels it learned from it says"
"""Limits that a run finds out, and the next one that goes on from its bundle finds out anew."""


def filled_in(
    card: ModelCard, *, recipe: Recipe, halves: Halves, labels: LabelMap, started: Started, kept: Kept
) -> ModelCard:
    """The card with what the run knows: data, split, seed, scores and what they mean, versions, seconds."""
    training, validation = halves.training, halves.validation
    name = f"validation_iou_{'_'.join(training.classes[1:])}"
    scores = {name: round(kept.score, 4)} if kept.score is not None else {}
    what = training.classes[1] if len(training.classes) == 2 else "the classes but the first, averaged"
    mean = {
        name: f"Intersection over union of {what}, pooled over every labelled and observed pixel of the validation, "
        "which chose these weights: it flatters them."
    }
    run = TrainingRun(
        recipe=recipe.model_dump(mode="json", exclude_defaults=True),
        trained_on=tuple(pair.id for pair in training.pairs),
        validated_on=tuple(pair.id for pair in validation.pairs) if validation else (),
        labelled_px=dict(zip(training.classes, map(int, labels.pixels), strict=True)),
        steps=kept.steps,
        seconds=round(kept.seconds, 1),
        device=kept.device,
        versions=_versions(),
        data_sha256=started.data_sha256,
        scores_mean=mean if scores else {},
        on_training=kept.on_training,
    )
    limits = [limit for limit in card.limits if limit != UNSCORED and not limit.startswith(ONE_CLASS)]
    if only := kept.on_training.says_only:
        limits.insert(0, f"{ONE_CLASS} {only} everywhere.")
    if not scores:
        limits.append(UNSCORED)
    if training.simulated:
        limits.append("It learned from simulated imagery.")
    return card.model_copy(update={"training": run, "scores": scores, "limits": tuple(dict.fromkeys(limits))})


def device_name(device: str) -> str:
    """What computes, for a card."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(torch.device(device)))
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    versions = {"geoseg": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
    commit = _commit()
    return versions | ({"commit": commit} if commit else {})


def _commit() -> str | None:
    """The commit of a checkout that geoseg runs from; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    told = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None
