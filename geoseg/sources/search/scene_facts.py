"""Typed facts of a scene that items state in several vocabularies: level of reflectance, ground track."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from geoseg.catalog.collections import Collection
from geoseg.catalog.sensors import sensors
from geoseg.core.scene import ReflectanceLevel, Track

REFLECTANCE = "geoseg:reflectance"
LEVELS: dict[str, ReflectanceLevel] = {
    "surface": "surface",
    "toa": "toa",
    "sr": "surface",
    "l2a": "surface",
    "2a": "surface",
    "1c": "toa",
    "l1c": "toa",
    "s2msi2a": "surface",
    "s2msi1c": "toa",
}
"""Level by the word that properties of items have for it, lower case."""

_PRODUCT_LEVEL = re.compile(r"_MSI(L1C|L2A)_", re.IGNORECASE)
_ORBIT_STATES = ("ascending", "descending")


def reflectance_of(item: Mapping[str, Any], record: Collection) -> ReflectanceLevel | None:
    """Tell the level of an item's reflectance: as its record says, else as the item states it.

    Returns:
        None where the sensor measures no reflectance.
    """
    if record.sensor is None or sensors()[record.sensor].unit != "reflectance":
        return None
    if record.reflectance is not None:
        return record.reflectance
    properties = item["properties"]
    for key in (REFLECTANCE, "geoseg:level", "processing:level", "s2:product_type", "s2:processing_level"):
        level = LEVELS.get(str(properties.get(key, "")).lower().replace("-", "").replace("level", ""))
        if level is not None:
            return level
    names = (str(properties.get("s2:product_uri", "")), str(item.get("id", "")))
    found = next((match for name in names if (match := _PRODUCT_LEVEL.search(name))), None)
    return LEVELS[found[1].lower()] if found else "unknown"


def track_of(item: Mapping[str, Any]) -> Track:
    """Read the ground track that an item states (STAC extension ``sat``)."""
    properties = item["properties"]
    orbit, state = properties.get("sat:relative_orbit"), str(properties.get("sat:orbit_state", "")).lower()
    known = isinstance(orbit, int | float) and not isinstance(orbit, bool) and 0 < orbit < 10_000
    return Track(int(orbit) if known else None, state if state in _ORBIT_STATES else "")
