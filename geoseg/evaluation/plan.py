"""The plan of an evaluation, as a YAML file holds it: data, models, folds and recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from geoseg.catalog.records import Record, facts_folder, record_text, safe_yaml
from geoseg.errors import BadOptionError
from geoseg.training.plan import merged
from geoseg.training.sources import TrainingSource

Protocol = Literal["split", "loro", "fewshot"]
Mode = Literal["", "frozen", "lora", "full"]

MODES: dict[str, dict[str, Any]] = {
    "": {},
    "frozen": {"freeze": "encoder", "lora": 0},
    "lora": {"freeze": "none", "lora": 8},
    "full": {"freeze": "none", "lora": 0},
}
"""Values that a mode sets in a recipe; a LoRA rank in the recipe overrides 8."""

LARGEST_CHAIN = 4
"""Largest number of files that extend one another."""


class ModelSpec(Record):
    """One model of an evaluation.

    Attributes:
        model: Network to train, bundle to start from, or baseline. None: its name in the plan.
        bands: Bands that it reads. None: those of the plan, or those of its card.
        sources: Labelled images to train and test it on, instead of the plan's; empty: the plan's.
        sensor: Sensor of its data, where the plan's data are of several sensors.
        recipe: Values that override the plan's recipe.
    """

    model: str | None = None
    bands: tuple[str, ...] | None = None
    sources: tuple[TrainingSource, ...] = ()
    sensor: str | None = None
    recipe: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How an evaluation is carried out: nothing in here is part of its plan.

    Attributes:
        train: Train networks in each fold. False: score bundles and baselines as they are.
        device: ``auto``, ``cpu`` or ``cuda``.
        overwrite: Recompute folds that were done with other data, models or settings.
        figures: Draw figures.
        command: Command line that repeats the evaluation, for the run record.
    """

    train: bool = True
    device: str = "auto"
    overwrite: bool = False
    figures: bool = True
    command: str = ""


DEFAULT_SETTINGS = EvaluationSettings()


class EvaluationPlan(Record):
    """What ``geoseg evaluate --config`` reads.

    Attributes:
        extends: Another plan file beside this one, for keys that this one does not set.
        sources: Labelled images.
        bands: Bands that every source must have, in order.
        sensor: Sensor of all data together, where sources differ in it.
        crop_px: Side in pixels of the squares that images are cut into. None: images stay whole.
        models: Models by their name in the table.
        recipe: Training recipe of networks.
        regions: What a region is: ``region``, ``split``, ``id:REGEX``, or groups of regions by name.
        held_out: Regions to test on, one at a time; empty: all.
        shots: Numbers of images to learn from, of a few-shot evaluation.
        repeats: Random draws for each number of shots.
        modes: Ways to fine-tune, each a run of its own.
        seed: Seed of draws, training and intervals.
    """

    extends: str | None = None
    sources: tuple[TrainingSource, ...] = ()
    bands: tuple[str, ...] | None = None
    sensor: str | None = None
    crop_px: int | None = Field(default=None, ge=16)
    models: dict[str, ModelSpec] = {}
    recipe: dict[str, Any] = {}
    regions: str | dict[str, tuple[str, ...]] = "region"
    held_out: tuple[str, ...] = ()
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(2, 5, 10, 20), min_length=1)
    repeats: int = Field(default=3, ge=1)
    modes: tuple[Mode, ...] = Field(default=("",), min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**31)

    def with_settings(self, values: dict[str, Any], lines: list[str]) -> EvaluationPlan:
        """Override the recipe with ``values``, then with ``KEY=VALUE`` lines; ``MODEL.KEY=VALUE`` is for one model.

        Raises:
            BadOptionError: A line that is not ``KEY=VALUE``.
        """
        from geoseg.training.plan import settings

        recipe = merged(self.recipe, values)
        models = dict(self.models)
        for line in lines:
            # the longest name first: a model's name may begin with another's, and hold dots
            own = next((name for name in sorted(models, key=len, reverse=True) if line.startswith(f"{name}.")), None)
            if own is None:
                recipe = merged(recipe, settings([line]))
                continue
            its = merged(models[own].recipe, settings([line.removeprefix(f"{own}.")]))
            other = its.pop("model", None)  # NAME.model=SMALLER: another network in the same place
            models[own] = models[own].model_copy(update={"recipe": its, "model": other or models[own].model})
        return self.model_copy(update={"recipe": recipe, "models": models})


def read_evaluation(path: Path) -> EvaluationPlan:
    """Read a plan from its file, or a plan that geoseg ships by its name, such as ``papers/massachusetts``.

    Raises:
        BadOptionError: The file cannot be read, or is not a plan.
    """
    return _checked(_content(_found(path), 0), path)


def _found(path: Path) -> Path:
    if (
        path.name
        and not path.is_file()
        and (own := facts_folder("configs") / path.with_name(f"{path.name}.yaml")).is_file()
    ):
        return own
    return path


def _content(path: Path, depth: int) -> dict[str, Any]:
    try:
        content = safe_yaml(record_text(path, BadOptionError)) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptionError(f"--config {path} cannot be read: {type(error).__name__}.") from None
    except yaml.YAMLError as error:
        raise BadOptionError(f"--config {path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise BadOptionError(
            f"--config {path}: expected KEY: VALUE lines at the top level, got a list or a single value."
        )
    base = content.get("extends")
    if base is None:
        return content
    if depth >= LARGEST_CHAIN:
        raise BadOptionError(
            f"--config {path}: more than {LARGEST_CHAIN} files extend one another. Check extends for a circle."
        )
    return merged(_content(path.parent / str(base), depth + 1), content)


def _checked(content: dict[str, Any], path: Path) -> EvaluationPlan:
    try:
        return EvaluationPlan.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadOptionError(
            f"--config {path}: {where}: {first['msg']} ({error.error_count()} faults in all)."
        ) from None
