"""Where meridians and parallels cross a picture of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

LINES = 3
"""About so many meridians, and parallels, in a picture."""
_SAMPLES = 64


def nice(largest: float) -> float:
    """The longest of 1, 2, 5, 10, 20, 50... that is no longer than ``largest``."""
    power = 10.0 ** math.floor(math.log10(largest))
    return max(step * power for step in (1, 2, 5) if step * power <= largest * (1 + 1e-9))


@dataclass(frozen=True, slots=True)
class Tick:
    """Where a meridian meets the lower edge, or a parallel the left one: 0..1 along it, and its name."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the picture, 0..1 from its lower left corner."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's frame on Earth: the grid's extent as 0..1 from the lower left corner.

    Attributes:
        lon: float64 (y, x), degrees at a lattice over the frame, rows from below.
        lat: float64 (y, x), likewise.
        aspect: Width divided by height.
        width_m: Length on the ground across the middle.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    aspect: float
    width_m: float

    @classmethod
    def of(cls, geobox: GeoBox) -> Self:
        """The frame of a grid."""
        from pyproj import Geod, Transformer

        box = geobox.boundingbox
        x = np.linspace(box.left, box.right, _SAMPLES)
        y = np.linspace(box.bottom, box.top, _SAMPLES)
        to_degrees = Transformer.from_crs(geobox.crs.to_wkt(), 4326, always_xy=True)
        lon, lat = to_degrees.transform(*np.meshgrid(x, y))
        lon = np.unwrap(np.unwrap(lon, period=360, axis=1), period=360, axis=0)
        middle = _SAMPLES // 2
        width_m = Geod(ellps="WGS84").line_length(lon[middle], lat[middle])
        return cls(lon, lat, box.span_x / box.span_y, float(width_m))

    def lines(self) -> list[Line]:
        """The graticule, each line where it runs inside the picture."""
        found = []
        for field in (self.lon, self.lat):
            for value in _round_values(field):
                found += self._contour(field, value)
        return found

    def ticks(self) -> tuple[list[Tick], list[Tick]]:
        """Meridians along the lower edge, parallels along the left one."""
        meridians = [Tick(at, _degrees(value, "E", "W")) for value, at in _crossings(self.lon, self.lon[0])]
        parallels = [Tick(at, _degrees(value, "N", "S")) for value, at in _crossings(self.lat, self.lat[:, 0])]
        return meridians, parallels

    def _contour(self, field: NDArray[np.float64], value: float) -> list[Line]:
        from contourpy import contour_generator

        unit = np.linspace(0, 1, _SAMPLES)
        pieces: Any = contour_generator(unit, unit, field).lines(value)
        return [Line(piece[:, 0], piece[:, 1]) for piece in pieces]


def _round_values(field: NDArray[np.float64]) -> list[float]:
    low, high = float(field.min()), float(field.max())
    if high <= low:
        return []
    step = nice((high - low) / LINES * 1.25)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _crossings(field: NDArray[np.float64], edge: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Round values of a field, and where along an edge it takes them; none where the edge does not run one way."""
    rising = np.diff(edge)
    if not ((rising > 0).all() or (rising < 0).all()):
        return []
    along = np.linspace(0, 1, len(edge))
    order = slice(None) if rising[0] > 0 else slice(None, None, -1)
    inside = [value for value in _round_values(field) if edge.min() <= value <= edge.max()]
    return [(value, float(np.interp(value, edge[order], along[order]))) for value in inside]


def _degrees(value: float, positive: str, negative: str) -> str:
    wrapped = (value + 180) % 360 - 180 if positive == "E" else value
    number = f"{abs(round(wrapped, 6)):g}°"
    return number if round(wrapped, 6) == 0 else number + (positive if wrapped > 0 else negative)
