"""An image and its label, lazily, and sets of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import dask
import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.sensors import Unit
from geoseg.catalog.target import TargetClass
from geoseg.errors import BandMismatchError

if TYPE_CHECKING:
    import dask.array as da
    from affine import Affine

UNLABELLED = -1
"""In a mask: nobody said. Never dry."""


@dataclass(frozen=True, slots=True)
class Georeference:
    """Where an image lies.

    Attributes:
        crs: Anything that rasterio reads as a coordinate system.
        transform: From (column, row) to coordinates of ``crs``.
    """

    crs: str
    transform: Affine


@dataclass(frozen=True)
class Pair:
    """A labelled image; no pixel is read before :meth:`read`.

    The arrays are named after what they are read from (files with their size and time, scenes and grid): a cache takes
    arrays of one name for the same pixels.

    Attributes:
        id: Unique in its set.
        region: Event or place that it belongs to; what leave-one-region-out leaves out.
        split: ``train``, ``val``, ``test``, or "" where none is stated.
        image: float32 (band, y, x), physical units, NaN where not observed.
        mask: int16 (y, x), index into the set's classes, or ``UNLABELLED``.
        place: None for imagery that does not say where it lies.
        gsd_m: Ground sampling, metres; None: unknown.
        time: Acquisition, UTC; None: unknown.
        latlon: Latitude and longitude of the middle, degrees; None: unknown.
        weight: How often training draws from it, relative to the others.
    """

    id: str
    region: str
    split: str
    image: da.Array
    mask: da.Array
    place: Georeference | None = None
    gsd_m: float | None = None
    time: datetime | None = None
    latlon: tuple[float, float] | None = None
    weight: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.mask.shape[0]), int(self.mask.shape[1])

    def read(
        self, rows: slice = slice(None), columns: slice = slice(None)
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """A window of both, in memory: float32 (band, y, x) and int16 (y, x)."""
        image, mask = dask.compute(self.image[:, rows, columns], self.mask[rows, columns], scheduler="synchronous")
        return image, mask


@dataclass(frozen=True)
class LabelledSet:
    """Pairs that belong together.

    Attributes:
        name: Short; for files and tables.
        pairs: In a fixed order.
        bands: Name of each band, in order.
        unit: Of the pixels.
        sensor: That took them.
        classes: Name of each class; two: the background and what is looked for.
        meaning: Target class of class 1.
        sources: A line per origin, with its licence: what a model card will say.
        simulated: The imagery is of a place that does not exist.
        notes: What a person should know before believing what is learnt from it.
        piece: What a person calls one pair: an ``image`` of theirs, or a ``tile`` that was cut around polygons.
    """

    name: str
    pairs: tuple[Pair, ...]
    bands: tuple[str, ...]
    unit: Unit
    sensor: str
    classes: tuple[str, ...]
    meaning: TargetClass
    sources: tuple[str, ...] = ()
    simulated: bool = False
    notes: tuple[str, ...] = ()
    piece: Literal["image", "tile"] = "image"

    def counted(self, number: int) -> str:
        """``1 image``, ``5 tiles``."""
        return f"{number:,} {self.piece}{'s' if number != 1 else ''}"

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region, sorted."""
        return tuple(sorted({pair.region for pair in self.pairs}))

    def where(self, keep: Callable[[Pair], bool]) -> LabelledSet:
        """Only the pairs that ``keep`` says yes to."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if keep(pair)))

    def with_bands(self, bands: Sequence[str]) -> LabelledSet:
        """The same with these bands, in this order.

        Raises:
            BandMismatchError: The set lacks one of them.
        """
        if missing := [band for band in bands if band not in self.bands]:
            raise BandMismatchError(
                f"{self.name} holds no {', '.join(missing)}; it holds {', '.join(self.bands)}. Choose among these."
            )
        if tuple(bands) == self.bands:
            return self
        chosen = [self.bands.index(band) for band in bands]
        pairs = tuple(replace(pair, image=pair.image[chosen]) for pair in self.pairs)
        return replace(self, pairs=pairs, bands=tuple(bands))
