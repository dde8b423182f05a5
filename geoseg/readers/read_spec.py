"""What it takes to read a scene, written down before any pixel is opened: small, picklable, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geoseg.catalog.collections import Access, MaskRule
from geoseg.catalog.sensors import Unit

Quantity = Literal["linear", "power", "db"]
"""``linear``: linear in the physical unit; ``power``: linear power that becomes dB; ``db``: dB already."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """Digital numbers to a physical quantity: ``number * scale + offset``, then the curve.

    Attributes:
        scale: Factor.
        offset: Added after the factor, in the physical unit.
        nodata: Digital numbers that mean "not observed", as item or record state them; the file's own is added on
            reading, and NaN and infinity never are observed.
        curve: How the quantity relates to dB.
    """

    scale: float = 1.0
    offset: float = 0.0
    nodata: tuple[float, ...] = ()
    quantity: Quantity = "linear"


@dataclass(frozen=True, slots=True)
class BandReadSpec:
    """One band of one scene.

    Attributes:
        name: The sensor's name for it.
        href: Its file, unsigned.
        index: Its place in the file, 1-based.
        conversion: Digital numbers to the physical quantity.
        unit: Physical unit; None: numbers as they are.
        valid_range: Lowest and highest plausible value in ``unit``; what lies outside was not observed.
        empty_where_zero: File (unsigned) and place of each band that is read; a pixel where all of them hold exactly
            the number 0 is fill. Empty: 0 is a number like others.
        declares_mask: The item says that the file has an alpha band or a mask, inside it or in a file beside it.
    """

    name: str
    href: str
    index: int
    conversion: Conversion
    unit: Unit | None = None
    valid_range: tuple[float, float] | None = None
    all_zero_is_nodata: tuple[tuple[str, int], ...] = ()
    declares_mask: bool = False


@dataclass(frozen=True, slots=True)
class MaskReadSpec:
    """A layer that says which pixels were observed.

    Attributes:
        href: Its file, unsigned.
        rules: Rules for the layers of the file; those for files of another number of bands are left out.
    """

    href: str
    rules: tuple[MaskRule, ...]


@dataclass(frozen=True, slots=True)
class ClippedReadSpec:
    """An image whose bands are all at the product's lowest number where they measured nothing.

    Attributes:
        href: Its file, unsigned.
        lowest: Place (1-based) of each band and the highest number that counts as clipped.
        reach_px: Pixels of the file, to every side, that such a pixel spoils.
    """

    href: str
    lowest: tuple[tuple[int, float], ...]
    reach_px: int = 0


@dataclass(frozen=True, slots=True)
class SceneReadSpec:
    """One scene.

    Attributes:
        id: The scene's id.
        footprint: GeoJSON geometry (WGS 84) as text.
        bands: The bands, in the order they are read.
        masks: Layers that mask pixels.
        access: How its files are reached.
        s3_endpoint: Host of an S3 service that is not Amazon's.
        region: Region of the S3 service; None: its default.
        requester_pays: The account of the reader is charged for what is read.
        notes: What a person should know about how this scene is read.
    """

    id: str
    footprint: str
    bands: tuple[BandReadSpec, ...]
    masks: tuple[MaskReadSpec | ClippedReadSpec, ...] = ()
    access: Access = "public"
    s3_endpoint: str | None = None
    region: str | None = None
    requester_pays: bool = False
    notes: tuple[str, ...] = ()

    @property
    def hrefs(self) -> tuple[str, ...]:
        """Every file that reading may open, unsigned."""
        return (*(band.href for band in self.bands), *(mask.href for mask in self.masks))
