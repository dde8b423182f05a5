"""The clear observation that is nearest in time."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.readers.composites.mosaic import Codes, Floats, Mosaic, Part, Validity


class NearestComposite:
    """Fill what the nearer passes left unobserved, and stop as soon as nothing is missing."""

    keeps_passes = False

    def __init__(self, bands: Sequence[str], shape: tuple[int, int]) -> None:
        self._mosaic = Mosaic(len(bands), shape)

    @property
    def is_done(self) -> bool:
        """Every pixel is observed."""
        return self._mosaic.missing_window() is None

    def begin_pass(self) -> None:
        """Nothing to do: passes fill one mosaic, in turn."""

    def missing_window(self) -> Part | None:
        """What no scene has observed yet."""
        return self._mosaic.missing_window()

    def feed(self, part: Part, bands: Sequence[Floats], valid: Validity, code: int) -> None:
        """Take what is missing from a scene."""
        self._mosaic.fill(part, bands, valid, code)

    def result(self) -> tuple[Floats, Codes]:
        """The mosaic."""
        return self._mosaic.values, self._mosaic.source
