"""Target classes: what class 1 of a model, of a label or of a map stands for, defined once."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from geoseg.core.raster_band import RGB

DRY_COLOUR: RGB = (240, 234, 220)


@dataclass(frozen=True, slots=True)
class TargetClass:
    """What class 1 is, and how every product names and draws it. Prints as its name.

    Attributes:
        name: As cards, data sets and records write it; key of class 1 in records.
        title: Heading of a map of it.
        colour: Red, green, blue of class 1, 0..255.
        description: What class 1 means, one sentence.
        sentence: The same for every place where class 1 could be taken for something else.
        background: Name of class 0; its key in records.
        background_label: Name of class 0 for people.
        background_description: What class 0 means, one sentence.
        is_water: Reference water and imagery from before the flood say which part of it is permanent.
    """

    name: str
    title: str
    colour: RGB
    description: str
    sentence: str
    background: str = "dry"
    background_label: str = "dry"
    background_description: str = "Observed, and not water."
    is_water: bool = True

    def __str__(self) -> str:
        """The name."""
        return self.name

    @property
    def classes(self) -> tuple[str, str]:
        """Names of class 0 and class 1 in labels."""
        return self.background, self.name


# Lightness alone tells the classes of a map apart (dry about 93, permanent water 80, class 1 40), so that colour-blind
# eyes and grey printers do too; class 1 is the only dark and saturated one.
WATER = TargetClass(
    name="water",
    title="Water",
    colour=(22, 112, 160),
    description="Observed open water, flood and permanent alike.",
    sentence="Class 1 is water, permanent water included: no reference water was given.",
)
FLOOD = TargetClass(
    name="flood",
    title="Flood",
    colour=(15, 82, 208),
    description="Flood, as the model was taught to tell it from lasting water.",
    sentence="Class 1 is flood as the model tells it; no reference water was given.",
)
BUILDING = TargetClass(
    name="building",
    title="Buildings",
    colour=(178, 24, 43),
    description="A building, as seen from above.",
    sentence="Class 1 is building.",
    background="other",
    background_label="no building",
    background_description="Observed, and no building.",
    is_water=False,
)
TARGETS = {target.name: target for target in (WATER, FLOOD, BUILDING)}


def target_class(name: str | TargetClass) -> TargetClass:
    """The target class of that name.

    Raises:
        ValueError: No such class.
    """
    if isinstance(name, TargetClass):
        return name
    if name not in TARGETS:
        raise ValueError(f"unknown target class: expected {', '.join(TARGETS)}, got {name!r}")
    return TARGETS[name]


Target = Annotated[TargetClass, BeforeValidator(target_class), PlainSerializer(attrgetter("name"), return_type=str)]
"""A target class in a record: written by its name."""
