"""Model cards: everything about a model that is not its weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from geoseg.catalog.records import Record, facts_folder, load_folder, load_record, pick, record_text, safe_yaml
from geoseg.catalog.sensors import Unit, sensors
from geoseg.catalog.target import WATER, Target
from geoseg.errors import BundleError

CARD, WEIGHTS = "card.yaml", "weights.safetensors"
"""The files of a bundle."""

BEFORE = "before."
"""Prefix of a band that is read from imagery before the flood (``before.vv``)."""


ANY = "any"
"""In a card's file, among ``sensors``: every sensor that has the card's bands in its unit."""

LARGEST, SMALLEST = 3.4e38, 1.2e-38
"""Beyond these float32 holds no number, or none in full."""

Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BandStatistics(Record):
    """How one band is normalised: (value - mean) / std, ``value`` in the card's unit times ``scale``."""

    mean: float = Field(default=0.0, allow_inf_nan=False)
    std: float = Field(default=1.0, gt=0, allow_inf_nan=False)


class Normalisation(Record):
    """What a network wants, applied in one place just before it.

    Attributes:
        scale: Factor from the physical unit to the unit of the statistics (10000 for reflectance as numbers).
        bands: Mean and standard deviation of each band, in scaled units, of all that the model reads. Empty: none is
            applied.
    """

    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bands: dict[str, BandStatistics] = {}


class Architecture(Record):
    """A network or baseline by name, and the options that build it."""

    name: str
    options: dict[str, Any] = {}


class TrainingScore(Record):
    """What the weights that were kept say of pixels they learned from: whether they did learn, not how well.

    Attributes:
        iou: Intersection over union of class 1, or the mean over the classes but the first.
        said_px: Pixels of each class, as the network has it.
        labelled_px: The same pixels, as labelled.
        squares: Squares of the training images that were looked at.
        mean: What ``iou`` stands for, in a sentence.
    """

    iou: float
    said_px: dict[str, int]
    labelled_px: dict[str, int]
    squares: int
    mean: str

    @property
    def predicts_single_class(self) -> str | None:
        """The one class that the network gives to all of these pixels, several being labelled; None: it tells some."""
        said = [name for name, count in self.said_px.items() if count]
        labelled = [name for name, count in self.labelled_px.items() if count]
        return said[0] if len(said) == 1 and len(labelled) > 1 else None


class TrainingRun(Record):
    """What made a model's weights, filled in by the run itself.

    Attributes:
        recipe: Everything that shaped the run.
        trained_on: Ids of the images it learned from.
        validated_on: Ids of the images that chose among its weights; empty: the last weights were kept.
        labelled_px: Labelled and observed pixels of each class, in training.
        steps: Optimiser steps until the weights that were kept.
        seconds: Wall time.
        device: What computed.
        versions: Of geoseg, its commit where it is known, torch and Python.
        data_sha256: Over the ids, sizes and bands of everything it saw, in order, and the labels it learned from.
        scores_mean: What the names under ``scores`` stand for.
        on_training: What it says of the pixels it learned from; None: nobody looked.
    """

    recipe: dict[str, Any]
    trained_on: tuple[str, ...]
    validated_on: tuple[str, ...] = ()
    labelled_px: dict[str, int]
    steps: int
    seconds: float
    device: str
    versions: dict[str, str]
    data_sha256: str
    scores_mean: dict[str, str] = {}
    on_training: TrainingScore | None = None


class ModelCard(Record):
    """A model, described.

    Attributes:
        name: As people type it, or the bundle's own.
        title: One line.
        family: ``classical``, ``cnn`` or ``foundation``.
        architecture: What builds it.
        sensors: Sensors it reads; ``any`` in the file stands for every one that has the bands in the unit.
        bands: Bands in the order it wants them; ``before.`` marks imagery before the flood.
        unit: Unit of its input.
        reflectance: Level of the reflectance that its weights learned from; None: not recorded, or nothing was learned.
        normalisation: Applied from here and nowhere else.
        classes: Names of the output classes; one name: the class that a sigmoid speaks of.
        meaning: Target class: open ``water``, ``flood`` alone (change models, flood-only labels), or ``building``.
        threshold_pct: Probability (rounded per cent) from which a pixel is class 1.
        calibrated: Probabilities may be read as such; False: a score that grows with certainty.
        chip_px: Side of the square it reads at once. None: pixel by pixel, any size.
        overlap_px: Overlap of neighbouring chips.
        gsd_m: Finest and coarsest resolution it is meant for, metres.
        acquisition: It was taught with time and place, and is told them. False: they stay unknown to it.
        parameters_m: Millions of parameters of a network with ``bands`` and ``classes`` as here. None: a baseline.
        sha256: Of ``weights.safetensors``; None: no weights.
        weights_from: Where weights come from, and what to do to have them, for a model that needs them.
        training_data: Data sets it has seen, with their licences.
        training: The run that made its weights; None: nobody's run, or one that is not told.
        scores: Measured scores by name, with their protocol in the name.
        limits: Known failures, plainly.
        licence: Of the weights, or of the method's code.
        references: Papers and repositories.
    """

    name: str
    title: str
    family: Literal["classical", "cnn", "foundation"]
    architecture: Architecture
    sensors: tuple[str, ...] = Field(min_length=1)
    bands: tuple[str, ...] = Field(min_length=1)
    unit: Unit
    reflectance: Literal["surface", "toa"] | None = None
    normalisation: Normalisation = Normalisation()
    classes: tuple[str, ...] = Field(default=("water",), min_length=1)
    meaning: Target = WATER
    threshold_pct: int = Field(default=50, ge=1, le=100)
    calibrated: bool = False
    chip_px: int | None = Field(default=None, ge=1)
    overlap_px: int = Field(default=0, ge=0)
    gsd_m: tuple[Metres, Metres] | None = None
    acquisition: bool = True
    parameters_m: float | None = Field(default=None, gt=0)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    weights_from: str = ""
    training_data: tuple[str, ...] = ()
    training: TrainingRun | None = None
    scores: dict[str, float] = {}
    limits: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    references: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> ModelCard:
        if self.chip_px is not None and not 0 <= self.overlap_px <= self.chip_px // 2:
            raise ValueError(f"overlap_px {self.overlap_px} must be at most half of chip_px {self.chip_px}")
        if missing := set(self.normalisation.bands) - set(self.bands):
            raise ValueError(f"normalisation names bands the model does not read: {sorted(missing)}")
        self._check_normalisation()
        return self

    @model_validator(mode="before")
    @classmethod
    def _expand_any(cls, data: Any) -> Any:
        """Replace ``any`` among the sensors by the name of every sensor that has the bands in the unit."""
        said = data.get("sensors") if isinstance(data, dict) else None
        if not isinstance(said, list | tuple) or ANY not in said:
            return data
        named = [name for name in said if name != ANY]
        bands = {str(band).removeprefix(BEFORE) for band in data.get("bands", ())}
        fitting = [n for n, each in sensors().items() if each.unit == data.get("unit") and bands <= set(each.bands)]
        return {**data, "sensors": [*named, *(name for name in fitting if name not in named)]}

    @field_validator("sensors")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in sensors()]:
            raise ValueError(f"there is no sensor {unknown[0]!r}; known: {', '.join(sensors())}")
        return names

    def _check_normalisation(self) -> None:
        """Statistics of every band or of none; all of which float32 can apply."""
        of = self.normalisation.bands
        if of and (without := [band for band in self.bands if band not in of]):
            raise ValueError(f"normalisation.bands has no statistics of {', '.join(without)}, which the model reads")
        for band, each in of.items():
            if abs(each.mean / each.std) > LARGEST:
                raise ValueError(f"normalisation.bands.{band}: mean {each.mean:g} / std {each.std:g} is beyond float32")
        for std in [each.std for each in of.values()] or [1.0]:
            if not SMALLEST <= self.normalisation.scale / std <= LARGEST:
                raise ValueError(f"normalisation.scale {self.normalisation.scale:g} / std {std:g} is beyond float32")

    @property
    def event_bands(self) -> tuple[str, ...]:
        """Bands that the model reads of the event."""
        return tuple(band for band in self.bands if not band.startswith(BEFORE))

    @property
    def pre_event_bands(self) -> tuple[str, ...]:
        """Bands that the model reads of the time before the event, by the names that scenes have for them."""
        return tuple(band.removeprefix(BEFORE) for band in self.bands if band.startswith(BEFORE))

    @property
    def wants_pre_event(self) -> bool:
        """The model reads imagery from before the flood."""
        return bool(self.pre_event_bands)


@cache
def cards() -> dict[str, ModelCard]:
    """Every model card by name: those of ``data_catalog/models``, and of the bundles whose weights come with geoseg."""
    own = {folder.name: load_record(folder / CARD, ModelCard) for folder in _bundles()}
    return load_folder("models", ModelCard, taken=own) | own


def shipped(name: str) -> Path | None:
    """The folder of a bundle that comes with geoseg; None: there is none of that name."""
    return next((folder for folder in _bundles() if folder.name == name), None)


@cache
def _bundles() -> tuple[Path, ...]:
    return tuple(sorted(card.parent for card in (facts_folder("data_catalog") / "bundles").glob(f"*/{CARD}")))


def card(name: str) -> ModelCard:
    """The card of that name.

    Raises:
        UnknownNameError: No such model.
    """
    return pick("model", name, cards())


def read_card(folder: Path) -> ModelCard:
    """The card of a bundle.

    Raises:
        BundleError: Missing, malformed, or not a card.
    """
    path = folder / CARD
    try:
        return ModelCard.model_validate(safe_yaml(record_text(path, BundleError)))
    except OSError:
        raise BundleError(f"{folder} holds no {CARD} that can be read: it is no model bundle.") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path} is not plain YAML ({type(error).__name__}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BundleError(f"{path}: {where}: {first['msg']} ({error.error_count()} faults in all).") from None
