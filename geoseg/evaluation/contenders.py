"""Models by name as they enter an evaluation: what they learn from, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from geoseg.catalog.cards import cards
from geoseg.catalog.encoders import encoder_names
from geoseg.datasets.pair import LabelledSet
from geoseg.errors import BadOptionError, BandMismatchError, UnknownNameError, WeightsMissingError
from geoseg.evaluation.folds import cropped, regrouped
from geoseg.evaluation.plan import MODES, Contender, EvaluationPlan
from geoseg.models.inference import Predictor
from geoseg.models.registry import WITH_ANY_ENCODER
from geoseg.training.plan import merged, recipe_of
from geoseg.training.recipe import Recipe
from geoseg.training.sources import gather
from geoseg.training.start import bundle_folder

Kind = Literal["baseline", "bundle", "network"]


@dataclass(frozen=True)
class Entry:
    """A contender in one mode, with its data.

    Attributes:
        label: In tables and folders; unique.
        model: Name or folder.
        kind: A baseline computes as it is, a bundle has weights, a network has none yet.
        mode: Way of fine-tuning, or "".
        data: In the bands that it is shown.
        recipe: How it is trained. None: it is only scored.
    """

    label: str
    model: str
    kind: Kind
    mode: str
    data: LabelledSet
    recipe: Recipe | None


def entries(plan: EvaluationPlan, *, train: bool) -> tuple[Entry, ...]:
    """Everything that will stand in the table.

    Args:
        plan: What was asked.
        train: Networks learn in each fold. False: everything is scored as it is.

    Raises:
        BadOptionError: No model, or more than two classes.
        UnknownNameError: No such model.
        WeightsMissingError: A network that is not to be trained, and has no weights.
        BandMismatchError: A model that does not read these data.
        GeosegError: Data that cannot be opened.
    """
    if not plan.models:
        raise BadOptionError("No model was named: add --model, as in --model otsu,unet.")
    shared = _data(plan, Contender()) if plan.sources else None
    found = []
    for label, contender in plan.models.items():
        model = contender.model or label
        kind = kind_of(model)
        data = _data(plan, contender) if contender.sources else shared
        if data is None:
            raise BadOptionError("No labelled images were named. Give --data.")
        data = _shown(data, model, kind, contender.bands)
        if contender.sensor:
            data = replace(data, sensor=contender.sensor)
        modes = plan.modes if kind != "baseline" and train else ("",)
        for mode in modes:
            name = f"{label} {mode}".strip()
            recipe = _recipe(plan, contender, model, mode) if kind != "baseline" and train else None
            if kind == "network" and recipe is None:
                raise WeightsMissingError(
                    f"{model} is a network without weights, so there is nothing to score as it is. "
                    "Give a bundle's folder, or leave out --no-train."
                )
            found.append(Entry(name, model, kind, mode, data, recipe))
    return tuple(found)


def kind_of(model: str) -> Kind:
    """What a model is.

    Raises:
        UnknownNameError: No such model, and no such folder.
    """
    known = cards()
    if model in known and known[model].family == "classical":
        return "baseline"
    if bundle_folder(model) is not None:
        return "bundle"
    if model in known or model in encoder_names() or model.startswith(tuple(f"{each}-" for each in WITH_ANY_ENCODER)):
        return "network"
    if "/" in model or Path(model).is_dir():
        raise UnknownNameError(f"{model} is no bundle: there is no card.yaml in it.")
    raise UnknownNameError.among("model", model, known)


def _data(plan: EvaluationPlan, contender: Contender) -> LabelledSet:
    sources = contender.sources or plan.sources
    data = gather(
        sources,
        bands=contender.bands if contender.sources else plan.bands,
        sensor=contender.sensor or (None if contender.sources else plan.sensor),
    )
    if len(data.classes) != 2:
        raise BadOptionError(
            f"{data.name} has the classes {', '.join(data.classes)}: evaluate judges one class against its background."
        )
    data = regrouped(data, plan.regions)
    return cropped(data, plan.crop_px) if plan.crop_px else data


def _shown(data: LabelledSet, model: str, kind: Kind, bands: tuple[str, ...] | None) -> LabelledSet:
    """The data in the bands that a model reads."""
    if bands is not None:
        data = data.with_bands(bands)
    if kind == "network":
        return data
    card = Predictor.of(bundle_folder(model) or model).card
    if missing := [band for band in card.bands if band not in data.bands]:
        raise BandMismatchError(
            f"{model} reads {', '.join(card.bands)}, and {data.name} holds no {', '.join(missing)}. "
            "Leave that model out, or give other data."
        )
    if card.unit != data.unit:
        raise BandMismatchError(f"{model} reads {card.unit}, and {data.name} is in {data.unit}. Leave that model out.")
    return data.with_bands(card.bands)


def _recipe(plan: EvaluationPlan, contender: Contender, model: str, mode: str) -> Recipe:
    values = merged(plan.recipe, contender.recipe)
    over = dict(MODES[mode])
    if mode == "lora" and values.get("lora"):
        over["lora"] = values["lora"]
    return recipe_of({"seed": plan.seed, **values, **over, "model": model})
