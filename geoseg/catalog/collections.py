"""Collections: where a product is served, and how its files become physical quantities."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from geoseg.catalog.records import Record, load_folder, pick
from geoseg.catalog.sensors import sensors
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


BY_BASELINE = "by-baseline"


class LinearScale(Record):
    """Linear in the sensor's unit: value = number * scale + offset.

    Attributes:
        scale: Factor.
        offset: Added after the factor, in the sensor's unit; ``by-baseline``: as the sensor's ``baseline_offset`` says.
        stated: What the ``raster:bands`` of an asset are worth: they must ``agree`` where they are there, they are
            ``required`` and must agree, or they are known to be wrong and ``ignored``.
        offset_removed_if: Item properties; true means that the provider has taken the offset off the numbers again.
            Where they are named, an item of a baseline with an offset must say so.
    """

    kind: Literal["linear"]
    scale: float = Field(default=1.0, gt=0)
    offset: float | Literal["by-baseline"] = 0.0
    stated: Literal["agree", "required", "ignored"] = "agree"
    offset_removed_if: tuple[str, ...] = ()


class LinearPower(Record):
    """Backscatter as linear power, number * scale; dB = 10 log10."""

    kind: Literal["power"]
    scale: float = Field(default=1.0, gt=0)


class Decibels(Record):
    """Backscatter in dB: number * scale + offset."""

    kind: Literal["db"]
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0


class DeclaredPerAsset(Record):
    """What each asset's ``raster:bands`` and ``geoseg:units`` declare; an item that declares nothing is refused."""

    kind: Literal["declared"]


class NoConversion(Record):
    """The numbers as they are: reference water, elevation, classes."""

    kind: Literal["none"]


class Unsupported(Record):
    """A product that is not a map of physical quantities; ``reason`` says why and what to use instead."""

    kind: Literal["unsupported"]
    reason: str


Radiometry = Annotated[
    LinearScale | LinearPower | Decibels | DeclaredPerAsset | NoConversion | Unsupported, Field(discriminator="kind")
]

# -- what is not observed, beyond nodata --------------------------------------------------------------------


class _LayerRule(Record):
    """One layer of a mask file, and which files it is true of.

    Attributes:
        asset: Asset that holds the mask.
        band: Place of the layer in the file, 1-based.
        min_bands: The rule is for files of at least so many bands.
        max_bands: The rule is for files of at most so many bands; None: of any number.
    """

    asset: str
    band: int = Field(default=1, ge=1)
    min_bands: int = Field(default=1, ge=1)
    max_bands: int | None = Field(default=None, ge=1)


class ClassMask(_LayerRule):
    """A layer of class codes; exactly one of ``hidden`` and ``shown`` is given.

    Attributes:
        hidden: Codes of pixels that were not observed.
        shown: Codes of pixels that were observed; all others were not.
    """

    kind: Literal["classes"]
    hidden: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> ClassMask:
        if bool(self.hidden) == bool(self.shown):
            raise ValueError("a mask of classes has either hidden or shown codes")
        return self


class BitMask(_LayerRule):
    """A layer of bits: pixels in which any of the bits ``hidden`` (0 is the lowest) is set were not observed.

    Attributes:
        hidden: Numbers of the bits.
        fill: Code of pixels beyond the image, whose bits mean nothing; None: there is none.
    """

    kind: Literal["bits"]
    hidden: tuple[Annotated[int, Field(ge=0, le=31)], ...] = Field(min_length=1)
    fill: int | None = None


class NonzeroMask(_LayerRule):
    """A layer in which every number but 0 marks a pixel that was not observed."""

    kind: Literal["nonzero"]


MaskRule = Annotated[ClassMask | BitMask | NonzeroMask, Field(discriminator="kind")]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


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


Access = Literal["public", "planetary-computer", "s3", "planet"]


class BandSource(Record):
    """Where a band lies: an asset, and the band's place (1-based) in its file."""

    asset: str
    index: int = Field(default=1, ge=1)


class Collection(Record):
    """One product of one catalogue.

    Attributes:
        title: Name for messages and lists.
        catalog: Name people type as ``--catalog``.
        role: ``imagery`` for maps, ``reference-water`` or ``elevation`` for what stands beside them.
        sensor: Sensor record of imagery; None for the other roles.
        source: Where the items are.
        access: How assets are read: ``public``, ``planetary-computer`` (signed at read time), ``s3`` (credentials and
            endpoint from the environment), ``planet`` (downloaded with ``PL_API_KEY``).
        s3_endpoint: Host of an S3 service that is not Amazon's.
        region: Region of the S3 service; None: its default.
        requester_pays: The account of the reader is charged for what is read.
        hosts: Hosts (``*.`` prefix allowed) and buckets (``s3://name``) that assets may lie on; others are refused.
        bands: Sensor band -> asset name, or asset and index. Empty: the item's own band names are used.
        nodata: Digital number that means "not observed" where neither item nor file says so.
        radiometry: Digital numbers to physical quantities.
        reflectance: Level of the reflectance of all items; None: each item states its own, or it is no reflectance.
        mask: Rules for what was not observed beyond nodata, one or several. Of the assets they name, the first that an
            item has counts, and all rules for that asset together.
        clipped: Numbers that are no measurement although they are no fill.
        licence: As the provider states it.
        attribution: Whom a map must name.
    """

    title: str
    catalog: str
    role: Literal["imagery", "reference-water", "elevation"] = "imagery"
    sensor: str | None = None
    source: Source
    access: Access = "public"
    s3_endpoint: str | None = None
    region: str | None = None
    requester_pays: bool = False
    hosts: tuple[str, ...] = ()
    bands: dict[str, str | BandSource] = {}
    nodata: float | None = None
    radiometry: Radiometry
    reflectance: ReflectanceLevel | None = None
    mask: Annotated[tuple[MaskRule, ...], BeforeValidator(_listed)] = ()
    clipped: Clipped | None = None
    licence: str
    attribution: str

    @model_validator(mode="after")
    def _fits_its_sensor(self) -> Collection:
        if self.sensor is None:
            return self
        if self.sensor not in sensors():
            raise ValueError(f"there is no sensor {self.sensor!r}; known: {', '.join(sensors())}")
        known = sensors()[self.sensor]
        if strange := [band for band in self.bands if band not in known.bands]:
            raise ValueError(f"sensor {self.sensor} has no band {strange[0]!r}; it has {', '.join(known.bands)}")
        if getattr(self.radiometry, "offset", None) == BY_BASELINE and known.baseline_offset is None:
            raise ValueError(f"radiometry.offset is {BY_BASELINE}, and sensor {self.sensor} has no baseline_offset")
        return self

    @property
    def mask_assets(self) -> tuple[str, ...]:
        """Assets that may hold the mask, the most telling first."""
        return tuple(dict.fromkeys(rule.asset for rule in self.mask))


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
