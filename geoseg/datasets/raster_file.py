"""One raster file of a data set: what its header says, and windows of its numbers as they are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geoseg.core.open_raster import block_fault, closing_raster
from geoseg.datasets.pair import Georeference
from geoseg.errors import SceneUnreadableError

SIGNATURES = (
    (rb"II[*+]\0|MM\0[*+]", "GTiff"),
    (rb"\x89PNG", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"\0\0\0\x0cjP  ", "JP2OpenJPEG"),
    (rb"BM", "BMP"),
)
"""First bytes of the formats that are opened, whatever a file is called, and GDAL's name of each. They hold their own
pixels; a format that points to other files (VRT) could name any file of this machine."""

MAX_SIDE_PX = 400_000


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """What a file says about itself.

    Attributes:
        path: Of the file.
        shape: Rows, columns.
        dtypes: One a band, numpy names.
        nodata: One a band; None where the file declares none.
        masked: It has a mask of its own besides nodata and alpha.
        place: None where it has no coordinate system.
    """

    path: Path
    shape: tuple[int, int]
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    masked: bool
    place: Georeference | None

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.dtypes)


def read_header(path: Path) -> RasterHeader:
    """Read a header.

    Raises:
        SceneUnreadableError: No image of a format that is read here, one of complex numbers, or of absurd size.
    """
    with _opened(path) as source:
        if max(source.shape) > MAX_SIDE_PX:
            raise SceneUnreadableError(f"{path} claims {source.width} x {source.height} pixels: it is damaged.")
        if odd := [each for each in source.dtypes if each.startswith("complex")]:
            raise SceneUnreadableError(f"{path} holds complex numbers ({odd[0]}): no unit here is complex.")
        if fault := block_fault(source):
            raise SceneUnreadableError(f"{path} {fault}.")
        flags = source.mask_flag_enums
        return RasterHeader(
            path=path,
            shape=(int(source.height), int(source.width)),
            dtypes=tuple(str(dtype) for dtype in source.dtypes),
            nodata=tuple(source.nodatavals),
            masked=any(MaskFlags.per_dataset in each and MaskFlags.alpha not in each for each in flags),
            place=_place(source),
        )


def read_window(
    raster: RasterHeader, bands: Sequence[int], rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Numbers as stored, and which of them the file itself says are there.

    Args:
        raster: The file.
        bands: 1-based.
        rows: First, and one past the last; inside the file.
        columns: Likewise.

    Returns:
        (band, y, x) in the file's own type, and booleans of the same shape: neither nodata nor masked.

    Raises:
        SceneUnreadableError: Truncated or damaged.
    """
    window = Window.from_slices(rows, columns)
    with _opened(raster.path) as source:
        numbers = source.read(list(bands), window=window)
        there = np.ones(numbers.shape, bool)
        for index, band in enumerate(bands):
            if (nodata := raster.nodata[band - 1]) is not None:
                there[index] = ~np.isnan(numbers[index]) if np.isnan(nodata) else numbers[index] != nodata
        if raster.masked:
            there &= source.read_masks(list(bands), window=window) > 0
    return numbers, there


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with closing_raster(path, [_format(path)]) as source:
            yield source
    except UnicodeError:
        raise SceneUnreadableError(f"The name {str(path)!r} is no UTF-8, and GDAL cannot open it. Rename it.") from None
    except RasterioError as error:
        reason = str(error.__cause__ or error).replace("\n", " ").rstrip(".")[-160:]
        raise SceneUnreadableError(f"{path} cannot be read ({reason}). It may be truncated: fetch it again.") from None


def _format(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise SceneUnreadableError(f"{path} cannot be opened: {error.strerror}.") from None
    for signature, driver in SIGNATURES:
        if re.match(signature, start, re.DOTALL):
            return driver
    raise SceneUnreadableError(
        f"{path} is no image of the formats {', '.join(driver for _, driver in SIGNATURES)}, whatever its name says."
    )


def _place(source: Any) -> Georeference | None:
    if source.crs is None or source.transform == Affine.identity():
        return None
    return Georeference(source.crs.to_string(), source.transform)
