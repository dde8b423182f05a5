"""A read cache: what is read from a slow or distant source once is read from a local zarr array afterwards.

::

    FOLDER/
      1f09...c2/        one pair, appearing whole when its first read has ended
        image           float32 (band, y, x)
        mask            int16 (y, x)
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np

from geoseg.core.atomic import cache_folder, raise_output_errors
from geoseg.datasets.pair import LabelledSet, Pair

if TYPE_CHECKING:
    import zarr

CACHE_VERSION = 1
"""Raised whenever what is stored changes."""
CHUNK_PX = 256
"""Side of a chunk: a chip touches four at most."""


def cached(data: LabelledSet, folder: Path | None = None) -> LabelledSet:
    """The same set, each pair read from its source once, then from ``folder``, in this process and in later ones.

    A pair is known again by the names of its arrays, which change when its files change; entries of files that have
    changed stay until somebody deletes the folder. The first read of any part of a pair stores all of it, row of
    chunks by row of chunks.

    Args:
        data: A set.
        folder: Of the cache; None: ``datasets`` in the user's cache.

    Raises:
        OutputNotWritableError: The folder cannot be made; on reading, an entry cannot be written.
    """
    place = folder or cache_folder("datasets")
    with raise_output_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    return replace(data, pairs=tuple(_cached(pair, place) for pair in data.pairs))


def _cached(pair: Pair, folder: Path) -> Pair:
    names = f"{CACHE_VERSION} {pair.image.name} {pair.mask.name} {pair.image.shape}"
    entry = CacheEntry(pair, folder / hashlib.sha256(names.encode()).hexdigest()[:32])
    return replace(pair, image=_lazy(Layer(entry, "image")), mask=_lazy(Layer(entry, "mask")))


def _lazy(layer: Layer) -> da.Array:
    chunks = (*layer.shape[:-2], *(min(side, CHUNK_PX) for side in layer.shape[-2:]))
    meta = np.empty((0,) * layer.ndim, layer.dtype)  # without it dask would read to learn the type
    name = f"cached-{layer.name}-{layer.entry.path.name}"
    return da.from_array(layer, chunks=chunks, name=name, asarray=False, fancy=False, meta=meta)


@dataclass(frozen=True)
class CacheEntry:
    """A pair in the cache, or on its way there.

    Attributes:
        pair: As its source gives it.
        path: Folder of the entry.
    """

    pair: Pair
    path: Path

    @cached_property
    def stored(self) -> zarr.Group:
        """The arrays, written first where they are not there.

        Raises:
            OutputNotWritableError: They cannot be written.
        """
        import zarr

        if not self.path.is_dir():
            self._store()
        return zarr.open_group(self.path, mode="r")

    def _store(self) -> None:
        with raise_output_errors(self.path):
            part = Path(tempfile.mkdtemp(prefix=".part-", dir=self.path.parent))
        try:
            with raise_output_errors(self.path):
                self._write(part)
                self._publish(part)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _write(self, part: Path) -> None:
        import zarr

        group = zarr.open_group(part, mode="w")
        layers = {"image": self.pair.image, "mask": self.pair.mask}
        arrays = {
            name: group.create_array(
                name,
                shape=layer.shape,
                dtype=layer.dtype,
                chunks=(*layer.shape[:-2], *(max(1, min(side, CHUNK_PX)) for side in layer.shape[-2:])),
                fill_value=np.nan if name == "image" else 0,
                config={"write_empty_chunks": True},
            )
            for name, layer in layers.items()
        }
        # a strip is as high as what the source reads at once, so that nothing is read twice
        first = 0
        for height in self.pair.image.chunks[1]:
            rows = slice(first, first + int(height))
            image, mask = self.pair.read(rows)
            arrays["image"][:, rows], arrays["mask"][rows] = image, mask
            first = rows.stop

    def _publish(self, part: Path) -> None:
        """Give the entry its name, unless another process was faster."""
        part.chmod(0o755)
        try:
            part.rename(self.path)
        except OSError:
            if not self.path.is_dir():
                raise

    def __getstate__(self) -> dict[str, Any]:
        """Without open arrays."""
        return {"pair": self.pair, "path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was pickled."""
        self.__dict__.update(state)


@dataclass(frozen=True)
class Layer:
    """One array of an entry, as dask slices it."""

    entry: CacheEntry
    name: str

    @property
    def _source(self) -> da.Array:
        return self.entry.pair.image if self.name == "image" else self.entry.pair.mask

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return tuple(int(side) for side in self._source.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        return cast("np.dtype[Any]", self._source.dtype)

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        """A part of the array, in memory."""
        return np.asarray(self.entry.stored[self.name][index])
