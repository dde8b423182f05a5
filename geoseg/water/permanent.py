"""Find the permanent water of a map: from a catalogue's collection, a file, or the water seen before the flood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from geoseg.catalog.collections import StacApi, collections
from geoseg.core.area import BBox
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.request import Request
from geoseg.core.scene import Found
from geoseg.core.vectors import split_layer
from geoseg.errors import BadOptionError, UnknownNameError
from geoseg.inference.layers import ByteLayer, Window
from geoseg.inference.tiles import TileReader
from geoseg.readers import Cube, Failure
from geoseg.sources.search import find_items
from geoseg.water.reference import WaterMask, open_reference

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
        notes: How a file is read: its layers that are used, its features that are not.
        gap: Sentence about flood where permanent water is unknown; ``{share}`` stands for its share.
    """

    read: Callable[[Window], WaterMask]
    found: Found = Found(())
    failures: dict[Failure, None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    gap: str = "For {share} of the flood the reference water says nothing: some may be permanent."


def permanent_water(request: Request, grid: GeoBox) -> PermanentWater | None:
    """Find the reference water of a request; None where it names none.

    Raises:
        UnknownNameError: Neither a collection of reference water nor a file.
        BadOptionError: A collection of something else, or a file that cannot be used or does not reach the area.
        RadiometryUnknownError: A raster whose values can mean several things.
        CatalogError: The collection's items could not be found.
    """
    name = request.reference_water
    if name is None:
        return None
    records = {key: record for key, record in collections().items() if record.role == "reference-water"}
    if name in records and request.reference_kind:
        raise BadOptionError(f"--reference-kind applies to a raster file; {name} is a collection. Leave it out.")
    if name in records:
        return _from_collection(request, name, grid)
    if name in collections():
        raise BadOptionError(
            f"{name} holds {collections()[name].role}, not reference water. Known: {', '.join(records)}."
        )
    if not split_layer(name)[0].exists():
        raise UnknownNameError.among("reference water (collection or file)", name, records)
    reference = open_reference(name, request.reference_kind)
    _check_covers(name, reference.bbox(), request.area.bbox)
    return PermanentWater(lambda window: reference.on(grid[window]), notes=reference.notes, gap=reference.gap)


def pre_event_water(probability: ByteLayer, threshold_pct: int) -> PermanentWater:
    """Take the water that the same model found before the flood; unknown where it observed nothing then."""

    def read(window: Window) -> WaterMask:
        percent = probability.read(window)
        known = percent != NOT_OBSERVED
        return WaterMask(known & (percent >= threshold_pct), known)

    return PermanentWater(read, gap="{share} of the flood was not observed before the flood: some may be permanent.")


def union(one: PermanentWater | None, other: PermanentWater | None) -> PermanentWater | None:
    """Unite two sources of permanent water; unknown where both are. Items are those of ``one``."""
    if one is None or other is None:
        return one or other

    def read(window: Window) -> WaterMask:
        a, b = one.read(window), other.read(window)
        return WaterMask(a.water | b.water, a.known | b.known)

    gap = "For {share} of the flood neither reference water nor imagery of before says anything: some may be permanent."
    return PermanentWater(read, one.found, one.failures, (*one.notes, *other.notes), gap)


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


def _check_covers(name: str, reference: BBox, area: BBox) -> None:
    """Refuse a file that does not reach the area: a map that calls all water flood because of it would be wrong.

    Args:
        name: Of the file.
        reference: Its extent, degrees.
        area: The area of the map, degrees.

    Raises:
        BadOptionError: They do not meet.
    """
    if not all(isfinite(number) for number in reference):
        return  # PROJ knows no way from its CRS to degrees: the grid decides
    km = min(_km_apart(area, (reference[0] + turn, reference[1], reference[2] + turn, reference[3]))
             for turn in (-360, 0, 360))  # fmt: skip
    if km > 0:
        box = ",".join(f"{number:g}" for number in (round(number, 4) for number in reference))
        raise BadOptionError(
            f"The reference water {name} covers 0 % of the area: it lies {km:,.0f} km away (west, south, east, north: "
            f"{box}). Check its CRS and the area, or leave --reference-water out."
        )


def _km_apart(one: BBox, other: BBox) -> float:
    """Distance between the facing sides of two boxes; 0 where they meet."""
    from pyproj import Geod

    if one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]:
        return 0.0
    pairs = []
    for low, high in ((0, 2), (1, 3)):
        there = min(max((one[low] + one[high]) / 2, other[low]), other[high])
        here = min(max(there, one[low]), one[high])
        pairs.append((here, there))
    (lon, far_lon), (lat, far_lat) = pairs
    return max(float(Geod(ellps="WGS84").inv(lon, lat, far_lon, far_lat)[2]) / 1000, 0.001)
