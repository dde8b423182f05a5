"""A product: what a person's files hold, decided, before any of it is written in STAC's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from geoseg.sources.local.raster import RasterFile

Units = Literal["db", "linear", "reflectance", "dn", "uint8"]
"""What a file's numbers are: decibels, linear power, reflectance (as such or times 10000), digital numbers that the
product's own scale and offset turn into reflectance, or 8-bit imagery."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person said about the files.

    Attributes:
        sensor: Name of a sensor record.
        time: When they were taken, aware, UTC; None: the files' metadata must say it.
        units: ``db``, ``linear``, ``reflectance`` or ``dn``; None: the files' metadata must decide it.
        bands: Names of the bands in file order; empty: the files must say it.
        s2_offset: Added to Sentinel-2 digital numbers before they are divided; overrides metadata. None: metadata.
        level: ``L2A`` or ``L1C`` (s2), ``SR`` or ``TOA`` (others): level of reflectance that does not state its own.
    """

    sensor: str
    time: datetime | None = None
    units: Units | None = None
    bands: tuple[str, ...] = ()
    s2_offset: int | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True)
class LinearConversion:
    """Digital numbers to ``unit``: value = DN * scale + offset."""

    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class BandOfFile:
    """One band of one file.

    Attributes:
        name: Ours, or a name that no model reads (``alpha``, ``cirrus``, a mask's own).
        dtype: As stored, numpy name.
        nodata: Digital number that means "not observed"; None: none does.
        conversion: None for masks: their numbers are codes.
    """

    name: str
    dtype: str
    nodata: float | None = None
    conversion: LinearConversion | None = None


@dataclass(frozen=True, slots=True)
class FileOfProduct:
    """One file: its bands in file order."""

    name: str
    role: Literal["data", "mask"]
    raster: RasterFile
    bands: tuple[BandOfFile, ...]


@dataclass(frozen=True, slots=True)
class LocalProduct:
    """One acquisition, ready to become an item.

    Attributes:
        id: Unique within the catalogue's collection; safe as a file name.
        sensor: Name of a sensor record.
        time: Acquisition, aware, UTC.
        units: Of the data files.
        files: Data first, then masks.
        platform: As the metadata name it, or "".
        cloud_pct: Cloud share the metadata state, 0..100.
        level: ``SR``, ``TOA``, ``L2A``, ``L1C`` where it is known, or "".
        extra: Further item properties.
        notes: What was assumed, or overruled; a person reads them, and the item keeps them.
    """

    id: str
    sensor: str
    time: datetime
    units: Units
    files: tuple[FileOfProduct, ...]
    platform: str = ""
    cloud_pct: float | None = None
    level: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
