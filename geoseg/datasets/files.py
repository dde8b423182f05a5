"""A record and a folder become a labelled set: headers are read, pixels are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from geoseg.catalog.datasets import DatasetRecord, ImagePart, PolygonLabel, RasterLabel
from geoseg.datasets.alignment import Grid, coarseness, ground_sampling, middle, overlaps, shift
from geoseg.datasets.image_file import ImageFile
from geoseg.datasets.label_file import PolygonLabelFile, RasterLabelFile
from geoseg.datasets.matching import Matched, below, check_paired, files_below, listed_splits, match
from geoseg.datasets.pair import UNLABELLED, LabelledSet, Pair
from geoseg.datasets.raster_file import RasterHeader, read_header
from geoseg.errors import BadLabelsError, BadRecordError

CHUNK_PX = 1024
"""Side of what is read at once of a large image."""

COARSEST = 2.0
"""A label whose pixels are longer than this many of the image's says too little about each of them."""


def open_files(name: str, record: DatasetRecord, root: Path, files: Sequence[str] | None = None) -> LabelledSet:
    """The data set that lies below a folder.

    Args:
        name: Of the set.
        record: How its files lie, and what they mean.
        root: The folder.
        files: What it holds, where that is known already (:func:`~geoseg.datasets.matching.files_below`).

    Returns:
        Pairs in the order of split, region and id.

    Raises:
        BadLabelsError: Names that do not pair, or a label that does not fit its image.
        BadRecordError: The record names bands that the files do not have.
        SceneUnreadableError: A file whose header cannot be read.
        UnsafeHrefError: A link out of the folder.
    """
    files = files_below(root) if files is None else files
    matches = match(record, files)
    if not record.incomplete:
        check_paired(matches, root)
    if not matches.pairs:
        raise BadLabelsError(f"{root} holds no image with a label as {name} names them. See docs/datasets.md.")
    ids = [pair.key.name for pair in matches.pairs]
    if twice := [each for each, count in Counter(ids).items() if count > 1]:
        raise BadRecordError(f"{name} has two pairs named {twice[0]}: its record must take more of the path into id.")
    splits = listed_splits(record, root, files)
    # one after the other: what rasterio warns of in one thread cannot be silenced while others change the filters
    pairs = tuple(_pair(record, root, matched, splits) for matched in matches.pairs)
    return LabelledSet(
        name=name,
        pairs=pairs,
        bands=record.bands,
        unit=record.unit,
        sensor=record.sensor,
        classes=record.classes,
        meaning=record.meaning,
        sources=(f"{name}: {record.source}",),
        simulated=record.simulated,
        notes=_officially(name, record, pairs, splits),
    )


def _officially(name: str, record: DatasetRecord, pairs: Sequence[Pair], splits: dict[str, str]) -> tuple[str, ...]:
    """Of a data set with official lists: how many images are in which split, or that nobody knows."""
    if not record.split_files:
        return ()
    are = f"{name}: the {len(pairs)} images are those of {record.title}"
    if not splits:
        return (
            f"{are}. The lists of its official splits do not lie beside them, so that a test image may be among those "
            "learned from: quote no score on the official test split for a model that learned here.",
        )
    counts = Counter(pair.split or "in no list" for pair in pairs)
    told = ", ".join(f"{count} {split}" for split, count in counts.most_common())
    return (f"{are}; by their official lists: {told}.",)


def _pair(record: DatasetRecord, root: Path, matched: Matched, splits: dict[str, str]) -> Pair:
    rasters = [read_header(below(root, path)) for path in matched.images]
    grid = Grid(rasters[0].shape, next((raster.place for raster in rasters if raster.place), None))
    parts = [_image(raster, part, grid) for raster, part in zip(rasters, record.images, strict=True)]
    mask = _label(record.label, root, matched, grid, rasters[0].path)
    for array, part in zip(parts, record.images, strict=True):
        if part.unlabelled:
            mask = da.blockwise(_only_seen, "yx", mask, "yx", array, "byx", dtype=mask.dtype, concatenate=True)
    region = matched.key.region
    split = matched.key.split or splits.get(matched.key.id, "")
    return Pair(
        id=matched.key.name,
        region=record.region_groups.get(region, region),
        split=record.splits.get(split, split),
        image=parts[0] if len(parts) == 1 else da.concatenate(parts),
        mask=mask,
        place=grid.place,
        gsd_m=record.gsd_m or ground_sampling(grid),
        latlon=middle(grid),
    )


def _only_seen(mask: NDArray[np.int16], image: NDArray[np.float32]) -> NDArray[np.int16]:
    """The label where every band was observed, nothing elsewhere."""
    return np.where(np.isnan(image).any(axis=0), np.int16(UNLABELLED), mask)


def _image(raster: RasterHeader, part: ImagePart, grid: Grid) -> da.Array:
    if raster.count != len(part.bands):
        raise BadRecordError(
            f"{raster.path} has {raster.count} bands, and {len(part.bands)} are named "
            f"({', '.join(band or 'unused' for band in part.bands)}). Name every band of the file, in order."
        )
    where = shift(grid, Grid(raster.shape, raster.place))
    if where is None:
        raise BadLabelsError(
            f"{raster.path} lies on other pixels than the rest of its image. Resample it onto their grid first."
        )
    used = sum(1 for band in part.bands if band)
    whole = part.unseen.startswith("black-")
    return _lazy(ImageFile(raster, part, (used, *grid.shape), where), raster.path, whole=whole)


def _label(label: RasterLabel | PolygonLabel, root: Path, matched: Matched, grid: Grid, image: Path) -> da.Array:
    path = below(root, matched.label)
    if isinstance(label, PolygonLabel):
        if grid.place is None:
            raise BadLabelsError(f"{path} holds polygons, and {image} does not say where it lies. Georeference it.")
        hidden = below(root, matched.hidden) if matched.hidden else None
        return _lazy(PolygonLabelFile(path, label, grid, hidden), path, whole=True)
    raster = read_header(path)
    if label.band > raster.count:
        raise BadRecordError(f"{path} has {raster.count} bands, and the label should be band {label.band}.")
    own = Grid(raster.shape, raster.place)
    where = shift(grid, own)
    if where is None:
        _check_reprojectable(grid, own, path, image)
    elif not _meets(grid, own, where.rows, where.columns):
        raise BadLabelsError(f"{path} does not overlap {image}. Check which label belongs to it.")
    return _lazy(RasterLabelFile(raster, label, grid, where), path)


def _meets(grid: Grid, own: Grid, rows: int, columns: int) -> bool:
    first, last = (rows, columns), (rows + grid.shape[0], columns + grid.shape[1])
    return all(min(b, side) > max(a, 0) for a, b, side in zip(first, last, own.shape, strict=True))


def _check_reprojectable(grid: Grid, own: Grid, path: Path, image: Path) -> None:
    """Refuse a label on another grid where the nearest pixel of it would be no answer."""
    if grid.place is None or own.place is None:
        raise BadLabelsError(
            f"{path} has {own.shape[0]} x {own.shape[1]} pixels and {image} has {grid.shape[0]} x {grid.shape[1]}, "
            "and not both say where they lie. Georeference them, or cut them to the same size."
        )
    if not overlaps(grid, own):
        raise BadLabelsError(f"{path} does not overlap {image}. Check its coordinate system.")
    if (coarse := coarseness(grid, own)) > COARSEST:
        raise BadLabelsError(
            f"Pixels of {path} are {coarse:.1f} times as long as those of {image}, and more than {COARSEST:g} times "
            "would be guessing. Resample the image to the label's resolution."
        )


def _lazy(source: Any, path: Path, *, whole: bool = False) -> da.Array:
    """A dask array over something that reads when it is sliced; named after the file's state, not its content."""
    state = path.stat()
    name = f"{path.stem}-{tokenize(source, state.st_mtime_ns, state.st_size)}"
    chunks = source.shape if whole else (*source.shape[:-2], *(min(side, CHUNK_PX) for side in source.shape[-2:]))
    # without meta dask would slice the source to learn its type
    meta = np.empty((0,) * source.ndim, source.dtype)
    return da.from_array(source, chunks=chunks, name=name, asarray=False, fancy=False, meta=meta)
