"""A training run as a file: what is learned from, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from geoseg.catalog.records import Record, facts_folder, record_text, safe_yaml
from geoseg.errors import BadOptionError
from geoseg.training.recipe import Recipe
from geoseg.training.sources import TrainingSource


class TrainingPlan(Record):
    """What ``geoseg finetune --config`` reads.

    Attributes:
        sources: What is learned from.
        validation: What chooses among the weights; empty: part of the sources, as the recipe says.
        bands: That every source must have, in order. None: those of the first.
        sensor: Of the whole, where the sources differ in it.
        shots: Only so many images, drawn by the recipe's seed.
        recipe: How it is learned.
        limits: What the card will say of known failures.
    """

    sources: tuple[TrainingSource, ...] = ()
    validation: tuple[TrainingSource, ...] = ()
    bands: tuple[str, ...] | None = None
    sensor: str | None = None
    shots: int | None = Field(default=None, ge=1)
    recipe: dict[str, Any] = {}
    limits: tuple[str, ...] = ()


def read_plan(path: Path) -> TrainingPlan:
    """A plan from its file; a name such as ``train/flood-s1`` is one of those that geoseg brings along.

    Raises:
        BadOptionError: It cannot be read, or is none.
    """
    if path.name and not path.is_file() and (own := facts_folder("configs") / path.with_suffix(".yaml")).is_file():
        path = own
    try:
        return TrainingPlan.model_validate(safe_yaml(record_text(path, BadOptionError)) or {})
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptionError(f"--config {path} cannot be read: {type(error).__name__}.") from None
    except yaml.YAMLError as error:
        raise BadOptionError(f"--config {path} is not YAML: {' '.join(str(error).split())}.") from None
    except ValidationError as error:
        raise BadOptionError(f"--config {path}: {_first(error)}") from None


def recipe_of(values: dict[str, Any]) -> Recipe:
    """A recipe from plain values.

    Raises:
        BadOptionError: A key that a recipe has not, or a value that cannot be.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise BadOptionError(f"The recipe does not hold: {_first(error)}") from None


def source_of(**values: Any) -> TrainingSource:
    """A source from plain values.

    Raises:
        BadOptionError: They do not go together.
    """
    try:
        return TrainingSource.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise BadOptionError(f"These data cannot be: {_first(error)}") from None


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over`` laid over it, dictionaries inside dictionaries likewise."""
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def settings(lines: list[str]) -> dict[str, Any]:
    """``["augment.offset=1.5", "lr=1e-3"]`` as nested values; a value is read as YAML.

    Raises:
        BadOptionError: A line without ``=``, or a value that is no YAML.
    """
    found: dict[str, Any] = {}
    for line in lines:
        key, equals, text = line.partition("=")
        if not equals or not key.strip():
            raise BadOptionError(f"--set {line!r} is not KEY=VALUE, as in --set augment.offset=1.5.")
        try:
            number = _number(text)
            value: Any = safe_yaml(text) if number is None else number
        except yaml.YAMLError:
            raise BadOptionError(f"--set {line!r}: {text!r} is no value that YAML knows.") from None
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        found = merged(found, value)
    return found


def _number(text: str) -> float | int | None:
    """``1e-3`` is a number to a person, and text to YAML 1.1."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']} ({error.error_count()} faults in all)."
