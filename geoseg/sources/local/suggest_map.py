"""The map that a person most likely wants of what was just added: a request that works as it is printed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from geoseg.catalog.cards import card
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.core.area import BBox
from geoseg.core.grid import output_grid
from geoseg.core.request import Request
from geoseg.errors import GeosegError
from geoseg.sources.local.item import OBSERVED, Item

SPARSEST = 0.2
"""Scenes that fill less of the box around them lie apart: one of them makes a map, all of them make a hole."""


def covering(items: Sequence[Item]) -> tuple[BBox, ...]:
    """Compute the boxes around all items, in degrees, widened to whole ten thousandths.

    Args:
        items: At least one.

    Returns:
        One box, or two where an item crosses the antimeridian: east of it and west of it, as `geoseg map` wants them.
        West of a box is never east of it.
    """
    sides: defaultdict[bool, list[BBox]] = defaultdict(list)
    parts = [part for item in items for part in _parts(item)]
    crossing = any(len(_parts(item)) > 1 for item in items)
    for box in parts:
        sides[crossing and box[0] < 0].append(box)
    return tuple(_around(boxes) for _, boxes in sorted(sides.items()))


def _parts(item: Item) -> list[BBox]:
    """The box of an item; of one that is cut at the antimeridian, the boxes of its two sides."""
    west, south, east, north = item["bbox"]
    geometry = item["geometry"]
    if east - west > 180 and geometry["type"] == "MultiPolygon":
        rings = [polygon[0] for polygon in geometry["coordinates"]]
        boxes = [_around([(lon, lat, lon, lat) for lon, lat, *_ in ring], digits=12) for ring in rings]
        halves = [[box for box in boxes if (box[0] < 0) == below] for below in (False, True)]
        if all(halves):
            return [_around(half, digits=12) for half in halves]
    return [(west, south, east, north)]


def _around(boxes: Sequence[Sequence[float]], digits: int = 4) -> BBox:
    step = 10.0**digits
    west, south = (math.floor(min(box[place] for box in boxes) * step) / step for place in (0, 1))
    east, north = (math.ceil(max(box[place] for box in boxes) * step) / step for place in (2, 3))
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)


def days(items: Sequence[Item]) -> tuple[str, str]:
    """First and last day of acquisition, UTC."""
    taken = sorted(str(item["properties"]["datetime"])[:10] for item in items)
    return taken[0], taken[-1]


def first_map(items: Sequence[Item], catalog: Path) -> Request | None:
    """A request over the day that most of the items were taken on: all of that day, or one item where they lie apart.

    Args:
        items: Added items of one sensor.
        catalog: The catalogue's ``catalog.json``.

    Returns:
        None where nothing was observed, where the sensor's own model reads other bands than the items have, or where
        a map of even one item is over the size limit.
    """
    usable = [item for item in items if item["properties"].get(OBSERVED) != 0 and _readable(item)]
    by_day: defaultdict[str, list[Item]] = defaultdict(list)
    for item in usable:
        by_day[days([item])[0]].append(item)
    if not by_day:
        return None
    day, together = max(by_day.items(), key=lambda pair: (len(pair[1]), pair[0]))
    candidates = [together, together[:1]] if _fill(together) >= SPARSEST else [together[:1]]
    for chosen in candidates:
        request = _request(max(covering(chosen), key=_area), day, chosen[0]["properties"]["geoseg:sensor"], catalog)
        if request is not None:
            return request
    return None


def _request(box: BBox, day: str, sensor: str, catalog: Path) -> Request | None:
    try:
        output_grid(box, sensor_record(sensor).gsd_m)
        text = ",".join(f"{number:.4f}" for number in box)
        return Request.of(bbox=text, date=day, sensor=sensor, catalog=str(catalog))
    except GeosegError:
        return None


def _readable(item: Item) -> bool:
    """The item has what its sensor's own model reads."""
    model = card(sensor_record(item["properties"]["geoseg:sensor"]).default_model)
    has = {band["name"] for asset in item["assets"].values() for band in asset["eo:bands"]}
    return set(model.bands) <= has


def _fill(items: Sequence[Item]) -> float:
    """Share of the box around items that their boxes cover, at most."""
    whole = sum(map(_area, covering(items)))
    return sum(_area(part) for item in items for part in _parts(item)) / whole if whole else 1.0


def _area(box: Sequence[float]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
