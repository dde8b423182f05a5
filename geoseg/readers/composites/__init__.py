"""Composites by name: how the passes over a place become one picture. A new one is a file here and a line below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from geoseg.errors import BadOptionError
from geoseg.readers.composites.median import MedianComposite
from geoseg.readers.composites.mosaic import Codes, Floats, Part, Validity
from geoseg.readers.composites.nearest import NearestComposite


class Composite(Protocol):
    """Combines scenes over one rectangle, fed pass by pass, the nearest pass in time first.

    Attributes:
        keeps_passes: Memory grows with the number of passes: the rectangle is computed a few rows at a time.
    """

    keeps_passes: bool

    @property
    def is_done(self) -> bool:
        """No further pass can change the result."""

    def begin_pass(self) -> None:
        """Take note that the scenes fed from now on are of another pass."""

    def missing_window(self) -> Part | None:
        """Smallest rectangle in which the next scene of this pass can change something; None: nowhere."""

    def feed(self, part: Part, bands: Sequence[Floats], valid: Validity, code: int) -> None:
        """Add a scene.

        Args:
            part: Rows and columns of the rectangle that the scene was read in.
            bands: float32 (y, x) each, in physical units.
            valid: bool (y, x): every band is observed there and no mask hides it.
            code: The scene's code, 0..254.
        """

    def result(self) -> tuple[Floats, Codes]:
        """Values float32 (band, y, x), NaN where not observed, and the scene of each pixel, uint8 (y, x), 255 none."""


COMPOSITES: dict[str, Callable[[Sequence[str], tuple[int, int]], Composite]] = {
    "nearest": NearestComposite,
    "median": MedianComposite,
}
"""Makes a composite of bands of these names over rows and columns, by the name that ``--composite`` takes."""


def check_composite(name: str) -> None:
    """Refuse a composite that does not exist.

    Raises:
        BadOptionError: It does not.
    """
    if name not in COMPOSITES:
        raise BadOptionError(f"--composite: expected {' or '.join(COMPOSITES)}, got {name!r}.")
