"""What a search asks for, and what a catalogue offers: items nobody has checked yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geoseg.core.area import Area
from geoseg.core.request import Dates
from geoseg.errors import AreaTooLargeError
from geoseg.sources.search.source_policy import SourcePolicy

MOST_ITEMS = 1000
"""More scenes than this is no map one asks for on purpose, or a catalogue that never ends."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for.

    Attributes:
        area: Where.
        dates: When; None: whenever.
        sensor: Sensor of imagery; None where a collection is asked for by name.
        collection: Name of the collection record asked for; None: every one of the sensor.
        max_cloud_pct: Scenes stating more cloud are left out.
    """

    area: Area
    dates: Dates | None
    sensor: str | None = None
    collection: str | None = None
    max_cloud_pct: float | None = None

    @property
    def subject(self) -> str:
        """What is asked for, in a message."""
        return self.collection or self.sensor or "imagery"


@dataclass(frozen=True, slots=True)
class RawItem:
    """One item as a catalogue gave it.

    Attributes:
        item: What should be a STAC item.
        base: Address or path of the item, which relative hrefs start from.
        trust: How far its catalogue is believed.
        record: The collection record it was asked from by name; None: to be told from the item.
    """

    item: Any
    base: str
    trust: SourcePolicy
    record: str | None = None


def too_many(subject: str) -> AreaTooLargeError:
    """More than ``MOST_ITEMS``."""
    return AreaTooLargeError(
        f"More than {MOST_ITEMS} scenes of {subject} match. "
        "Choose a smaller area, fewer days, or a smaller --window-days."
    )
