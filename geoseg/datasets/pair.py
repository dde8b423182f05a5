"""An image and its label, lazily, and sets of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

import dask
import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from geoseg.catalog.sensors import Unit
from geoseg.catalog.target import TargetClass
from geoseg.errors import BandMismatchError

if TYPE_CHECKING:
    import dask.array as da
    from affine import Affine

Arrays: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int16]]
"""An image (band, y, x) and its label (y, x)."""

IMAGE_CACHE_BYTES = 2 << 30

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


class ImageCache:
    """Images and labels of a run that stay in memory once read, as long as they fit.

    An image that would push out others is not taken in: chips are drawn from all images alike, so that only the window
    asked for is read of it each time. Travels to another process empty.

    Args:
        limit_bytes: Of all arrays together.
    """

    def __init__(self, limit_bytes: int = IMAGE_CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._read: LRUCache[tuple[str, str], Arrays] = LRUCache(
            limit_bytes, getsizeof=lambda arrays: arrays[0].nbytes + arrays[1].nbytes
        )

    def read(self, pair: Pair, rows: slice, columns: slice) -> Arrays:
        """Read a window of an image and its label, as :meth:`Pair.read` does."""
        key = (pair.image.name, pair.mask.name)
        if key not in self._read:
            if self._read.currsize + pair.image.nbytes + pair.mask.nbytes > self._limit_bytes:
                return _computed(pair, rows, columns)
            self._read[key] = _computed(pair, slice(None), slice(None))
        image, mask = self._read[key]
        return image[:, rows, columns], mask[rows, columns]

    def clear(self) -> None:
        """Let go of everything."""
        self._read.clear()

    def __reduce__(self) -> tuple[type[ImageCache], tuple[int]]:
        """Pickle the limit alone."""
        return ImageCache, (self._limit_bytes,)


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
        images: Where its pixels are kept once read; None: they are read each time.
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
    images: ImageCache | None = field(default=None, compare=False, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.mask.shape[0]), int(self.mask.shape[1])

    def read(self, rows: slice = slice(None), columns: slice = slice(None)) -> Arrays:
        """Read a window of the image, float32 (band, y, x), and of the label, int16 (y, x). Not to be written to."""
        return _computed(self, rows, columns) if self.images is None else self.images.read(self, rows, columns)


def _computed(pair: Pair, rows: slice, columns: slice) -> Arrays:
    image, mask = dask.compute(pair.image[:, rows, columns], pair.mask[rows, columns], scheduler="synchronous")
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

    def in_memory(self, images: ImageCache) -> LabelledSet:
        """The same, its images kept in a cache once they are read; pairs that have one already keep it."""
        pairs = (pair if pair.images is not None else replace(pair, images=images) for pair in self.pairs)
        return replace(self, pairs=tuple(pairs))

    def forget_images(self) -> None:
        """Empty the caches of its pairs."""
        for pair in self.pairs:
            if pair.images is not None:
                pair.images.clear()

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
