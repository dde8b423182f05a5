"""Open raster files that other people made, so that GDAL opens these files and nothing else.

GDAL follows what a file says: a VRT that lies beside it as ``.msk`` or ``.ovr``, or ``OVERVIEW_FILE`` in its metadata,
make it fetch any address, those of the local network included. So the formats are an allow-list, files beside a local
file are looked at before GDAL sees them, files beside a remote one are never looked for, and the network is closed
but for the file that was asked for. All of geoseg opens strange files here.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rasterio import Env
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from geoseg.core.redact import scrubbed_text
from geoseg.errors import SceneUnreadableError

DRIVERS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG")
"""Formats that hold their own pixels. Never VRT and the like: files that name other files could name any of them."""

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIDECARS = (".msk", ".ovr")
"""Endings of files beside an image that GDAL opens as images, with every driver it has."""

FOREIGN_KEYS = {"OVERVIEWS": ("OVERVIEW_FILE",), "GEOLOCATION": ("X_DATASET", "Y_DATASET")}
"""Metadata domains and keys that name another file, which GDAL opens."""

NO_NETWORK = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "none"}
"""GDAL settings under which no remote file is opened."""

LARGEST_BLOCK = 256 * 2**20
"""Bytes of one block, decoded, with all bands that are stored in it. A whole Sentinel-2 band has 230 MB."""

MOST_BLOCKS = 5_000_000

SETTLED_NS = 2 * 10**9
"""A folder that changed later than this may change again without a new time stamp."""


def open_raster(path: Path | str, drivers: Sequence[str] = DRIVERS) -> DatasetReader:
    """Open a raster file for reading with the formats allowed, and make sure that GDAL opens no other for it.

    A mask, overviews and metadata in files beside a local file are read too, where they are TIFFs (or ``.aux.xml``)
    that name no further file. Beside a remote file none is read.

    Args:
        path: A file of this machine, or a path of GDAL (``/vsicurl/...``, ``/vsis3/...``).
        drivers: GDAL's names of the formats.

    Raises:
        SceneUnreadableError: It names other files, or has one beside it that GDAL must not open.
        RasterioError: GDAL cannot open it.
    """
    name = str(path)
    if not is_remote(name):
        for beside in _beside(name):
            _check_beside(beside)
    return _open_alone(name, drivers)


@contextmanager
def closing_raster(path: Path | str, drivers: Sequence[str] = DRIVERS) -> Iterator[DatasetReader]:
    """Open a local raster file as ``open_raster`` does, with the network closed for as long as it is open."""
    with Env(**NO_NETWORK), open_raster(path, drivers) as dataset:
        yield dataset


def is_remote(path: str) -> bool:
    """GDAL reaches the path through one of its virtual file systems."""
    return path.startswith("/vsi")


def _open_alone(path: str, drivers: Sequence[str]) -> DatasetReader:
    options = (
        {"CPL_VSIL_CURL_ALLOWED_FILENAME": path, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
        if is_remote(path)
        else {**NO_NETWORK, "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE", "GDAL_PAM_ENABLED": "YES"}
    )
    with Env(**options), warnings.catch_warnings():
        # an image without a place on Earth is refused, or welcome, by who opens it
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = DatasetReader(path, driver=list(drivers))
    # the metadata are asked for before overviews are: asking for overviews opens what the metadata name
    for domain, keys in FOREIGN_KEYS.items():
        named = [key for key in dataset.tags(ns=domain) if key.upper() in keys]
        if named:
            dataset.close()
            raise SceneUnreadableError(
                f"{_name(path)} names another file in its metadata ({named[0]}), which GDAL would open. Remove the "
                "entry, or rewrite the file with `gdal_translate -co COPY_SRC_MDD=NO`."
            )
    return dataset


def _check_beside(path: Path) -> None:
    """Refuse a mask or overview file that is no TIFF, or that names other files.

    Raises:
        SceneUnreadableError: See above.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise SceneUnreadableError(f"{path} cannot be opened: {error.strerror}.") from None
    if start not in TIFF:
        raise SceneUnreadableError(
            f"{path} is not a TIFF, although it lies beside an image as its mask or overview. Remove it, or write it "
            "as a GeoTIFF."
        )
    try:
        with _open_alone(str(path), ["GTiff"]) as dataset:
            fault = block_fault(dataset)
    except RasterioError as error:
        raise SceneUnreadableError(f"{path} cannot be read: {error}. Remove it, or fetch it again.") from None
    if fault:
        raise SceneUnreadableError(f"{path} {fault}.")


def _beside(path: str) -> list[Path]:
    """Files that GDAL would open as the mask or the overviews of a local file, or of those in turn."""
    whole = Path(path).absolute()  # links are not followed: GDAL looks beside the name it is given
    folder, start = whole.parent, f"{whole.name.lower()}."
    try:
        changed_ns = folder.stat().st_mtime_ns
        settled = time.time_ns() - changed_ns > SETTLED_NS
        names = _sidecars(folder, changed_ns) if settled else _listed(folder)
    except OSError:
        return []
    return [folder / each for each in names if each.lower().startswith(start)]


@lru_cache(maxsize=64)
def _sidecars(folder: Path, mtime_ns: int) -> tuple[str, ...]:
    return _listed(folder)


def _listed(folder: Path) -> tuple[str, ...]:
    return tuple(name for name in os.listdir(folder) if name.lower().endswith(SIDECARS))  # noqa: PTH208 - names


def block_fault(dataset: DatasetReader) -> str | None:
    """What is wrong with how a file is cut into blocks: a file of a few megabytes can hold blocks of gigabytes.

    Returns:
        The end of a sentence that begins with the file's name, without full stop; None: nothing.
    """
    tags = dataset.tags(ns="IMAGE_STRUCTURE")
    together = dataset.count if tags.get("INTERLEAVE", "").lower() == "pixel" else 1
    for (high, wide), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        size = high * wide * _bytes(dtype) * together
        if size > LARGEST_BLOCK:
            return (
                f"is stored in blocks of {high} x {wide} pixels, {size / 2**20:,.0f} MB each: reading any pixel would "
                f"take all of it (at most {LARGEST_BLOCK // 2**20} MB). Rewrite it with `gdal_translate -co TILED=YES`"
            )
        if -(-dataset.height // high) * -(-dataset.width // wide) > MOST_BLOCKS:
            return (
                f"is stored in more than {MOST_BLOCKS:,} blocks of {high} x {wide} pixels. Rewrite it with "
                "`gdal_translate -co TILED=YES`"
            )
    return None


def _bytes(dtype: Any) -> int:
    return 4 if str(dtype) == "complex_int16" else np.dtype(dtype).itemsize


def _name(path: str) -> str:
    return scrubbed_text(path.removeprefix("/vsicurl/"))
