"""Does a catalogue still hold: are its files there, as they are described, and can their numbers be decided?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from geoseg.catalog.sensors import sensors
from geoseg.core.progress import Progress, Report, silent
from geoseg.errors import CatalogError, NotIngestibleError
from geoseg.sources.local.item import Item
from geoseg.sources.local.naming import canonical, is_left_out
from geoseg.sources.local.product import Units
from geoseg.sources.local.raster import RasterFile, look_at
from geoseg.sources.local.store import CATALOG, PARQUET, read_items


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold."""

    item: str
    text: str


def validate(folder: Path, *, report: Report = silent) -> tuple[int, tuple[Problem, ...]]:
    """Check every item of a catalogue.

    Returns:
        The number of items, and what does not hold.

    Raises:
        SearchFailedError: The folder holds no catalogue.
    """
    items = read_items(folder)
    problems = [Problem("", text) for text in _door(folder, items)]
    for done, item in enumerate(items, start=1):
        problems += [Problem(item["id"], text) for text in _faults(item)]
        report(Progress("validate", done, len(items), "item", item["id"]))
    return len(items), tuple(problems)


def _door(folder: Path, items: list[Item]) -> Iterator[str]:
    for name in (CATALOG, PARQUET):
        if not (folder / name).is_file():
            yield f"{folder / name} is missing: add a file again to have it written."
    for item in items:
        if not (folder / item["collection"] / f"{item['id']}.json").is_file():
            yield f"the item file of {item['id']} is missing: add its image again."


def _faults(item: Item) -> Iterator[str]:
    properties = item["properties"]
    sensor = properties.get("geoseg:sensor")
    if sensor not in sensors():
        yield f"geoseg:sensor is {sensor!r}, which is no sensor."
        return
    if properties.get("geoseg:units") not in get_args(Units):
        yield f"geoseg:units is {properties.get('geoseg:units')!r}: the numbers cannot be decided."
    if not any("data" in asset.get("roles", ()) for asset in item["assets"].values()):
        yield "has no asset of role data."
    for name, asset in item["assets"].items():
        yield from (f"asset {name}: {fault}" for fault in _asset_faults(asset, sensor))


def _asset_faults(asset: dict[str, Any], sensor: str) -> Iterator[str]:
    try:
        raster = look_at(Path(asset["href"]))
    except (NotIngestibleError, CatalogError) as error:
        yield str(error)
        return
    yield from _grid_faults(asset, raster)
    names = [band.get("name", "") for band in asset.get("eo:bands", ())]
    numbers = asset.get("raster:bands", [])
    if not raster.count == len(names) == len(numbers):
        yield f"{raster.path} has {raster.count} bands; the item has {len(names)} names and {len(numbers)} conversions."
        return
    for stored, described in zip(raster.dtypes, numbers, strict=True):
        if described.get("data_type") != stored:
            yield f"{raster.path} holds {stored}, and the item says {described.get('data_type')}."
    if "data" in asset.get("roles", ()):
        yield from _radiometry_faults(names, numbers, sensor)


def _grid_faults(asset: dict[str, Any], raster: RasterFile) -> Iterator[str]:
    if list(raster.shape) != asset.get("proj:shape"):
        yield f"{raster.path} has {list(raster.shape)} rows and columns; the item says {asset.get('proj:shape')}."
    if list(raster.transform)[:6] != asset.get("proj:transform"):
        yield f"{raster.path} lies elsewhere than the item says."


def _radiometry_faults(names: list[str], numbers: list[dict[str, Any]], sensor: str) -> Iterator[str]:
    for name, described in zip(names, numbers, strict=True):
        if is_left_out(name):
            continue
        if canonical(name, sensor) != name:
            yield f"band {name!r} is no band of {sensor}."
        elif name != "alpha" and not all(isinstance(described.get(key), int | float) for key in ("scale", "offset")):
            yield f"band {name} states no scale and offset: its numbers cannot be decided."
