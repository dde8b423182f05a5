"""Collections: where a product is served, and how its files become physical quantities."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from geoseg.catalog.records import Record, load_folder, pick
from geoseg.core.scene import ReflectanceLevel

# -- where the items are ------------------------------------------------------------------------------------


class StacApi(Record):
    """A STAC API."""

    kind: Literal["stac-api"]
    url: str
    collection: str


class PlanetData(Record):
    """Planet's Data API, searched with ``PL_API_KEY``."""

    kind: Literal["planet-data"]
    item_type: str
    url: str


class LocalCatalog(Record):
    """Items that a person's own catalogue holds (``geoseg catalog add``, ``geoseg demo``)."""

    kind: Literal["local"]


Source = Annotated[StacApi | PlanetData | LocalCatalog, Field(discriminator="kind")]

# -- how digital numbers become physical quantities ---------------------------------------------------------


class Sentinel2Boa(Record):
    """Sentinel-2 L2A: reflectance = (DN + offset) / 10000, where the offset depends on the item.

    Attributes:
        offset_from: ``baseline``: -1000 from processing baseline 04.00 on, the numbers being served raw;
            ``boa_offset_applied``: as ``baseline`` unless the item says it has been applied already;
            ``raster_bands``: scale and offset that each asset states.
    """

    kind: Literal["sentinel-2-boa"]
    offset_from: Literal["baseline", "boa_offset_applied", "raster_bands"]


class LinearPower(Record):
    """Backscatter as linear power; dB = 10 log10."""

    kind: Literal["linear-power"]


class Uint8(Record):
    """Uncalibrated 8-bit imagery; 0..255 becomes 0..1."""

    kind: Literal["uint8"]


class Declared(Record):
    """What each asset's ``raster:bands`` and ``geoseg:units`` declare; nothing declared is refused."""

    kind: Literal["declared"]


class Raw(Record):
    """The numbers as they are: reference water, elevation, classes."""

    kind: Literal["raw"]


class Refused(Record):
    """A product that is no map of physical quantities; ``reason`` says why and what to use instead."""

    kind: Literal["refused"]
    reason: str


Radiometry = Annotated[Sentinel2Boa | LinearPower | Uint8 | Declared | Raw | Refused, Field(discriminator="kind")]

# -- what is not observed, beyond nodata --------------------------------------------------------------------


class SceneClasses(Record):
    """Sentinel-2 scene classification: pixels of these codes were not observed."""

    kind: Literal["scl"]
    asset: str
    hidden: tuple[int, ...]


class UsableData(Record):
    """Planet UDM (bits of one band) or UDM2 (band 1 is "clear"), told apart by what the asset holds."""

    kind: Literal["udm"]
    asset: str


Validity = Annotated[SceneClasses | UsableData, Field(discriminator="kind")]


class Clipped(Record):
    """A product's lowest number that is not fill: where all these bands are at it, they measured nothing.

    Attributes:
        bands: Sensor bands that real ground and water never leave dark together.
        at: Physical value that the producer clips at.
        reach_px: The producer's resampling mixed such pixels into neighbours this far away.
    """

    bands: tuple[str, ...] = Field(min_length=1)
    at: float
    reach_px: int = Field(default=0, ge=0, le=8)


# -- the record -----------------------------------------------------------------------------------------------


class BandSource(Record):
    """Where a band lies: an asset, and the band's place (1-based) in its file."""

    asset: str
    index: int = Field(default=1, ge=1)


class Collection(Record):
    """One product of one catalogue.

    Attributes:
        title: What a person calls it.
        catalog: Name people type as ``--catalog``.
        role: ``imagery`` for maps, ``reference-water`` or ``elevation`` for what stands beside them.
        sensor: Sensor record of imagery; None for the other roles.
        source: Where the items are.
        access: How assets are read: ``public``, ``planetary-computer`` (signed at read time), ``s3`` (credentials and
            endpoint from the environment), ``planet`` (downloaded with ``PL_API_KEY``).
        s3_endpoint: Host of an S3 service that is not Amazon's.
        hosts: Hosts (``*.`` prefix allowed) and buckets (``s3://name``) that assets may lie on; others are refused.
        bands: Sensor band -> asset name, or asset and index. Empty: the item's own band names are used.
        nodata: Digital number that means "not observed" where neither item nor file says so.
        radiometry: Digital numbers to physical quantities.
        reflectance: Level of the reflectance of all items; None: each item states its own, or it is no reflectance.
        validity: What is hidden beyond nodata.
        clipped: Numbers that are no measurement although they are no fill.
        licence: As the provider states it.
        attribution: Whom a map must name.
    """

    title: str
    catalog: str
    role: Literal["imagery", "reference-water", "elevation"] = "imagery"
    sensor: str | None = None
    source: Source
    access: Literal["public", "planetary-computer", "s3", "planet"] = "public"
    s3_endpoint: str | None = None
    hosts: tuple[str, ...] = ()
    bands: dict[str, str | BandSource] = {}
    nodata: float | None = None
    radiometry: Radiometry
    reflectance: ReflectanceLevel | None = None
    validity: Validity | None = None
    clipped: Clipped | None = None
    licence: str
    attribution: str


@cache
def collections() -> dict[str, Collection]:
    """Every collection record by name (``planetary-computer/sentinel-2-l2a``)."""
    return load_folder("collections", Collection)


def collection(name: str) -> Collection:
    """The collection of that name.

    Raises:
        UnknownNameError: No such collection.
    """
    return pick("collection", name, collections())
