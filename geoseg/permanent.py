"""Permanent water for a map: from a catalogue's collection, a person's file, or the water seen before the flood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoseg.catalog.collections import StacApi, collections
from geoseg.engine.tiles import TileReader
from geoseg.errors import BadOptionError, UnknownNameError
from geoseg.products.codes import NOT_OBSERVED
from geoseg.products.layer import ByteLayer, Window
from geoseg.products.reference import OnGrid, open_reference
from geoseg.readers import Cube, Failure
from geoseg.request import Request
from geoseg.scene import Found
from geoseg.search import find_items

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

OCCURRENCE = "occurrence"
KEEP_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Permanent:
    """Permanent water on the map's grid.

    Attributes:
        on: Permanent water in a window of the grid.
        found: Items it is read from; none for a file.
        failures: Items that could not be read somewhere: unknown there. Filled as windows are read.
    """

    on: Callable[[Window], OnGrid]
    found: Found = Found(())
    failures: dict[Failure, None] = field(default_factory=dict)


def permanent_water(request: Request, grid: GeoBox) -> Permanent | None:
    """What ``--reference-water`` names; None where it names nothing.

    Raises:
        UnknownNameError: Neither a collection of reference water nor a file.
        BadOptionError: A collection of something else, or a file that is no map.
        CatalogError: The collection's items could not be found.
    """
    name = request.reference_water
    if name is None:
        return None
    records = {key: record for key, record in collections().items() if record.role == "reference-water"}
    if name in records:
        return _from_collection(request, name, grid)
    if name in collections():
        raise BadOptionError(
            f"{name} holds {collections()[name].role}, not reference water. Known: {', '.join(records)}."
        )
    if not Path(name).exists():
        raise UnknownNameError.among("reference water (collection or file)", name, records)
    reference = open_reference(name)
    return Permanent(lambda window: reference.on(grid[window]))


def water_before(probability: ByteLayer, threshold_pct: int) -> Permanent:
    """The water that the same model saw before the flood; what it did not observe then is unknown."""

    def on(window: Window) -> OnGrid:
        percent = probability.read(window)
        known = percent != NOT_OBSERVED
        return OnGrid(known & (percent >= threshold_pct), known)

    return Permanent(on)


def either(one: Permanent | None, other: Permanent | None) -> Permanent | None:
    """Water that either knows; unknown where neither speaks. Items are those of ``one``."""
    if one is None or other is None:
        return one or other

    def on(window: Window) -> OnGrid:
        a, b = one.on(window), other.on(window)
        return OnGrid(a.water | b.water, a.known | b.known)

    return Permanent(on, one.found, one.failures)


def _from_collection(request: Request, name: str, grid: GeoBox) -> Permanent:
    record = collections()[name]
    own = isinstance(record.source, StacApi)
    found = find_items(request.area, None, name, None if own else request.catalog or record.catalog)
    cube = Cube.of(found.scenes, grid, (OCCURRENCE,), instant=request.dates.middle)
    reader, failed = TileReader(cube, keep_bytes=KEEP_BYTES), dict[Failure, None]()

    def on(window: Window) -> OnGrid:
        rows, columns = window
        pixels = reader.read((rows.start, rows.stop), (columns.start, columns.stop))
        failed.update(dict.fromkeys(pixels.failures))
        return OnGrid.from_occurrence(np.asarray(pixels.values[0]), None)

    return Permanent(on, found, failed)
