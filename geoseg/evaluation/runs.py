"""Resolve the models of an evaluation to runs: each model in each mode, with its data and recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from geoseg.datasets.pair import ImageCache, LabelledSet
from geoseg.errors import BadOptionError, BandMismatchError, WeightsMissingError
from geoseg.evaluation.folds import cropped, regrouped
from geoseg.evaluation.plan import MODES, EvaluationPlan, ModelSpec
from geoseg.models.create import ModelRef, resolve_model
from geoseg.models.inference import Predictor
from geoseg.training.plan import merged, recipe_of
from geoseg.training.recipe import Recipe
from geoseg.training.sources import gather


@dataclass(frozen=True)
class Run:
    """A model in one mode, with its data.

    Attributes:
        label: Unique name in tables and folders.
        model: The model, resolved.
        mode: Way of fine-tuning, or "".
        data: Labelled images in the bands that the model reads.
        recipe: Training recipe. None: the model is scored without training.
    """

    label: str
    model: ModelRef
    mode: str
    data: LabelledSet
    recipe: Recipe | None


def resolve_runs(plan: EvaluationPlan, *, train: bool) -> tuple[Run, ...]:
    """Resolve every model of a plan in every mode.

    Args:
        plan: Data and models.
        train: Train networks in each fold. False: score every model as it is.

    Raises:
        BadOptionError: No model, or more than two classes.
        UnknownNameError: No such model.
        WeightsMissingError: A network that is not to be trained, and has no weights.
        BandMismatchError: A model that does not read these data.
        GeosegError: Data that cannot be opened.
    """
    if not plan.models:
        raise BadOptionError("No model was named. Add --model, for example --model otsu,unet.")
    images = ImageCache()
    shared = _data(plan, ModelSpec()).in_memory(images) if plan.sources else None
    found = []
    for label, spec in plan.models.items():
        model = resolve_model(spec.model or label)
        data = _data(plan, spec).in_memory(images) if spec.sources else shared
        if data is None:
            raise BadOptionError("No labelled images were named. Add --data.")
        data = _in_model_bands(data, model, spec.bands)
        if spec.sensor:
            data = replace(data, sensor=spec.sensor)
        learns = model.kind != "baseline" and train
        modes = plan.modes if learns else ("",)
        for mode in modes:
            name = f"{label} {mode}".strip()
            recipe = _recipe(plan, spec, mode, spec.model or label) if learns else None
            if model.kind == "network" and recipe is None:
                raise WeightsMissingError(
                    f"{model.name} is a network without weights, so it cannot be scored without training. "
                    "Give the folder of a bundle, or leave out --no-train."
                )
            found.append(Run(name, model, mode, data, recipe))
    return tuple(found)


def _data(plan: EvaluationPlan, spec: ModelSpec) -> LabelledSet:
    sources = spec.sources or plan.sources
    data = gather(
        sources,
        bands=spec.bands if spec.sources else plan.bands,
        sensor=spec.sensor or (None if spec.sources else plan.sensor),
    )
    if len(data.classes) != 2:
        raise BadOptionError(
            f"{data.name} has the classes {', '.join(data.classes)}: evaluate expects two, a background and one class."
        )
    data = regrouped(data, plan.regions)
    return cropped(data, plan.crop_px) if plan.crop_px else data


def _in_model_bands(data: LabelledSet, model: ModelRef, bands: tuple[str, ...] | None) -> LabelledSet:
    """Return the data in the bands that a model reads."""
    if bands is not None:
        data = data.with_bands(bands)
    if model.kind == "network":
        return data
    card = Predictor.of(model).card
    if missing := [band for band in card.bands if band not in data.bands]:
        raise BandMismatchError(
            f"{model.name} reads {', '.join(card.bands)}, and {data.name} has no band {', '.join(missing)}. "
            "Leave that model out, or give other data."
        )
    if card.unit != data.unit:
        raise BandMismatchError(
            f"{model.name} reads {card.unit}, and {data.name} is in {data.unit}. Leave that model out."
        )
    return data.with_bands(card.bands)


def _recipe(plan: EvaluationPlan, spec: ModelSpec, mode: str, model: str) -> Recipe:
    values = merged(plan.recipe, spec.recipe)
    over = dict(MODES[mode])
    if mode == "lora" and values.get("lora"):
        over["lora"] = values["lora"]
    return recipe_of({"seed": plan.seed, **values, **over, "model": model})
