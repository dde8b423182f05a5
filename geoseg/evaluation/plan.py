"""An evaluation as a file: which data, which models, and who is judged on what."""

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
"""What a mode sets in a recipe; a recipe's own LoRA rank wins over 8."""

LARGEST_CHAIN = 4
"""Files that may extend each other."""


class ModelSpec(Record):
    """A model in the table.

    Attributes:
        model: Network to train, bundle to start from, or baseline. None: the name it stands under.
        bands: It is shown these. None: those of the plan, or those that its card names.
        sources: It learns from and is judged on these, in place of the plan's.
        sensor: Of what it is shown, where the whole is of several.
        recipe: Over the plan's recipe.
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
        extends: Another such file beside this one, whose keys hold where this one is silent.
        sources: Labelled images.
        bands: That every source must have, in order.
        sensor: Of the whole, where sources differ in it.
        crop_px: Images are cut into squares of this side first. None: left whole.
        models: Contenders by the name they have in the table.
        recipe: How networks are trained.
        regions: What is left out together: ``region``, ``split``, ``id:REGEX``, or groups of regions by name.
        held_out: Only these are ever held out; empty: all.
        shots: Images learned from, of a few-shot curve.
        repeats: Draws for each.
        modes: Ways to fine-tune, each a row of its own.
        seed: Of draws, training and intervals.
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
        """The plan with ``values`` laid over the recipe, then ``KEY=VALUE`` lines; ``MODEL.KEY=VALUE`` for one model.

        Raises:
            BadOptionError: A line that is none.
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
    """A plan from its file; ``papers/massachusetts`` is one of those that geoseg brings along.

    Raises:
        BadOptionError: It cannot be read, or is none.
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
        raise BadOptionError(f"--config {path} must hold KEY: VALUE lines.")
    base = content.get("extends")
    if base is None:
        return content
    if depth >= LARGEST_CHAIN:
        raise BadOptionError(f"--config {path} extends a file that extends others without end.")
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
