"""Permanent water for a map: from a catalogue's collection, a person's file, or the water seen before the flood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from geoseg.catalog.collections import StacApi, collections
from geoseg.core.request import Request
from geoseg.core.scene import Found
from geoseg.core.vectors import split_layer
from geoseg.errors import BadOptionError, UnknownNameError
from geoseg.inference.layers import ByteLayer, Window
from geoseg.inference.tiles import TileReader
from geoseg.readers import Cube, Failure
from geoseg.sources.search import find_items
from geoseg.water.codes import NOT_OBSERVED
from geoseg.water.reference import PolygonReference, WaterMask, open_reference

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

OCCURRENCE = "occurrence"
KEEP_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class PermanentWater:
    """Permanent water on the map's grid.

    Attributes:
        read: Reads permanent water in a window of the grid.
        found: Items it is read from; none for a file.
        failures: Items that could not be read somewhere: unknown there. Filled as windows are read.
        notes: Layers of a vector file that are used, and features that are not.
    """

    read: Callable[[Window], WaterMask]
    found: Found = Found(())
    failures: dict[Failure, None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def permanent_water(request: Request, grid: GeoBox) -> PermanentWater | None:
    """Find the reference water of a request; None where it names none.

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
    if not split_layer(name)[0].exists():
        raise UnknownNameError.among("reference water (collection or file)", name, records)
    reference = open_reference(name)
    notes = reference.notes if isinstance(reference, PolygonReference) else ()
    return PermanentWater(lambda window: reference.on(grid[window]), notes=notes)


def pre_event_water(probability: ByteLayer, threshold_pct: int) -> PermanentWater:
    """Take the water that the same model found before the flood; unknown where it observed nothing then."""

    def read(window: Window) -> WaterMask:
        percent = probability.read(window)
        known = percent != NOT_OBSERVED
        return WaterMask(known & (percent >= threshold_pct), known)

    return PermanentWater(read)


def union(one: PermanentWater | None, other: PermanentWater | None) -> PermanentWater | None:
    """Unite two sources of permanent water; unknown where both are. Items are those of ``one``."""
    if one is None or other is None:
        return one or other

    def read(window: Window) -> WaterMask:
        a, b = one.read(window), other.read(window)
        return WaterMask(a.water | b.water, a.known | b.known)

    return PermanentWater(read, one.found, one.failures)


def _from_collection(request: Request, name: str, grid: GeoBox) -> PermanentWater:
    record = collections()[name]
    own = isinstance(record.source, StacApi)
    found = find_items(request.area, None, name, None if own else request.catalog or record.catalog)
    cube = Cube.of(found.scenes, grid, (OCCURRENCE,), instant=request.dates.middle)
    reader, failed = TileReader(cube, keep_bytes=KEEP_BYTES), dict[Failure, None]()

    def read(window: Window) -> WaterMask:
        rows, columns = window
        pixels = reader.read((rows.start, rows.stop), (columns.start, columns.stop))
        failed.update(dict.fromkeys(pixels.failures))
        return WaterMask.from_occurrence(np.asarray(pixels.values[0]), None)

    return PermanentWater(read, found, failed)
