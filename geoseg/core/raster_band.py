"""How a single-band raster describes its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NOT_OBSERVED = 255
"""Value of a pixel that was not observed, in every byte layer: mask, probability, source. Never dry."""

RGB = tuple[int, int, int]
"""Red, green, blue, 0..255."""


@dataclass(frozen=True, slots=True)
class RasterBand:
    """Describe the only band of a GeoTIFF: name, colours, categories, unit, nodata.

    Attributes:
        description: Shown as the band's name.
        colours: Colour of each code; None: not a map of codes, drawn in grey.
        categories: Name of each code.
        unit: Unit of the values, or "".
        nodata: The value that says "nothing here".
    """

    description: str
    colours: Mapping[int, RGB] | None = None
    categories: Mapping[int, str] | None = None
    unit: str = ""
    nodata: int = NOT_OBSERVED
