"""One raster file, looked at once: its grid, its bands, and whether it is whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import CRSError, RasterioError
from rasterio.windows import Window

from geoseg.core.open_raster import block_fault, closing_raster
from geoseg.errors import NotIngestibleError, SceneUnreadableError

SIGNATURES = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\0\0\0\x0cjP  ": "JP2OpenJPEG",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
"""First bytes of the formats that are opened, and GDAL's name of each. Formats that point to other files (VRT) stay
closed, whatever a file is called: a file must not name where pixels come from."""

ZIP = b"PK\x03\x04"
SAMPLE_PX = 128
SAMPLES_A_SIDE = 4


@dataclass(frozen=True, slots=True)
class RasterFile:
    """What a file says about itself.

    Attributes:
        path: Absolute.
        driver: GDAL's name of the format.
        crs: Never missing.
        transform: Pixel corner (column, row) to CRS units; may be rotated.
        shape: Rows, columns.
        dtypes: One a band, numpy names.
        nodata: One a band; None where the file declares none.
        scales: One a band, 1 where the file declares none.
        offsets: One a band, 0 where the file declares none.
        descriptions: One a band, "" where the file has none.
        colours: One a band, lower-case names (``red``, ``alpha``, ``gray``, ``undefined``).
        mask: What else tells which pixels were observed: an ``alpha`` band, an ``internal`` mask, or ``none``.
        tags: The file's own metadata.
    """

    path: Path
    driver: str
    crs: CRS
    transform: Affine
    shape: tuple[int, int]
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    descriptions: tuple[str, ...]
    colours: tuple[str, ...]
    mask: Literal["none", "alpha", "internal"]
    tags: dict[str, str]

    @property
    def count(self) -> int:
        """Number of bands, an alpha band included."""
        return len(self.dtypes)

    @property
    def rescaled(self) -> bool:
        """The file itself declares a scale or offset."""
        return any(scale != 1 for scale in self.scales) or any(offset != 0 for offset in self.offsets)

    @property
    def integer(self) -> bool:
        """Every band holds integers."""
        return all(np.issubdtype(np.dtype(dtype), np.integer) for dtype in self.dtypes)


def look_at(path: Path) -> RasterFile:
    """Read a file's header, and check that every block it promises lies inside it.

    Raises:
        NotIngestibleError: Not an image, truncated, or without a place on Earth.
    """
    with damage_named(path), opened(path) as source:
        _check_place(path, source)
        if fault := block_fault(source):
            raise NotIngestibleError(f"{path} {fault}.")
        _check_whole(path, source)
        return RasterFile(
            path=path.absolute(),
            driver=source.driver,
            crs=source.crs,
            transform=source.transform,
            shape=(source.height, source.width),
            dtypes=tuple(str(dtype) for dtype in source.dtypes),
            nodata=tuple(source.nodatavals),
            scales=tuple(source.scales),
            offsets=tuple(source.offsets),
            descriptions=tuple(text or "" for text in source.descriptions),
            colours=tuple(colour.name for colour in source.colorinterp),
            mask=_mask_of(source),
            tags=dict(source.tags()),
        )


def sample(raster: RasterFile) -> NDArray[np.float64]:
    """Pixels from up to 16 small windows spread evenly over the file, never the whole of it.

    Returns:
        float64 (band, pixel), digital numbers as stored, NaN where the file's nodata or mask says not observed.

    Raises:
        NotIngestibleError: A window cannot be decoded.
    """
    parts = []
    with damage_named(raster.path), opened(raster.path) as source:
        for window in _windows(raster.shape):
            try:
                pixels = source.read(window=window)
                seen = source.read_masks(window=window) > 0
            except RasterioError as error:
                raise NotIngestibleError(f"{raster.path} is damaged: {_reason(error)}. Fetch it again.") from None
            parts.append(np.where(seen, pixels, np.nan).reshape(raster.count, -1))
    return np.concatenate(parts, axis=1, dtype=np.float64)


def _windows(shape: tuple[int, int]) -> Iterator[Window]:
    rows, columns = (sorted({_start(i, length) for i in range(SAMPLES_A_SIDE)}) for length in shape)
    for row in rows:
        for column in columns:
            yield Window(column, row, min(SAMPLE_PX, shape[1] - column), min(SAMPLE_PX, shape[0] - row))


def _start(index: int, length: int) -> int:
    """The first pixel of the ``index``-th of evenly spread windows; all 0 where one window holds the whole length."""
    return max(0, length - SAMPLE_PX) * index // (SAMPLES_A_SIDE - 1)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Raise what GDAL and PROJ say of a damaged file as a refusal of that file: their errors share no base class.

    Raises:
        NotIngestibleError: See above.
    """
    try:
        yield
    except (RasterioError, CPLE_BaseError, CRSError, ProjError, OverflowError, MemoryError) as error:
        raise NotIngestibleError(f"{path} is damaged: {_reason(error)}. Fetch it again.") from None


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a person's file, in the format that its first bytes say.

    Raises:
        NotIngestibleError: There is none, in no format that is read, or it makes GDAL open other files.
    """
    if not path.is_file():
        raise NotIngestibleError(f"There is no file {path}.")
    with ExitStack() as stack:
        try:
            source = stack.enter_context(closing_raster(path, [_format(path)]))
        except SceneUnreadableError as error:
            raise NotIngestibleError(str(error)) from None
        except RasterioError as error:
            raise NotIngestibleError(
                f"{path} is not a whole GeoTIFF or JPEG 2000 ({_reason(error)}). If it is one, fetch it "
                "again: it may be truncated."
            ) from None
        yield source


def _format(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(16)
    if start.startswith(ZIP):
        raise NotIngestibleError(f"{path} is a ZIP archive: unzip it, and add the folder that comes out.")
    for signature, driver in SIGNATURES.items():
        if start.startswith(signature):
            return driver
    raise NotIngestibleError(f"{path} is neither a GeoTIFF nor a JPEG 2000 file, whatever its name says.")


def _check_place(path: Path, source: Any) -> None:
    if source.crs is None or source.transform == Affine.identity():
        points = len(source.gcps[0])
        if points:
            raise NotIngestibleError(
                f"{path} lies on no map grid: it has {points} ground control points and no terrain "
                "correction. For Sentinel-1 GRD take the RTC product "
                "(planetary-computer/sentinel-1-rtc), or terrain-correct it first."
            )
        raise NotIngestibleError(
            f"{path} has no CRS or no grid, so its place on Earth is unknown. Take the georeferenced "
            "original, or give it one with `gdal_translate -a_srs EPSG:N -a_ullr LEFT TOP RIGHT BOTTOM`."
        )
    if not all(map(math.isfinite, source.transform)) or source.transform.is_degenerate:
        raise NotIngestibleError(
            f"{path} has a grid whose pixels have no area (geotransform {source.transform.to_gdal()}), so its place on "
            "Earth is unknown. Give it a grid with `gdal_translate -a_ullr LEFT TOP RIGHT BOTTOM`."
        )
    if any(np.issubdtype(np.dtype(dtype), np.complexfloating) for dtype in source.dtypes):
        raise NotIngestibleError(f"{path} holds complex numbers ({source.dtypes[0]}): detect and calibrate it first.")


def _check_whole(path: Path, source: Any) -> None:
    """Compare each block's place with the file's length: a cut-off file opens well and fails when it is read."""
    if source.driver != "GTiff":
        return
    length = path.stat().st_size
    for band, (high, wide) in enumerate(source.block_shapes, start=1):
        for row in range(-(-source.height // high)):
            for column in range(-(-source.width // wide)):
                start = source.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band)
                size = source.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=band)
                if start and size and int(start) + int(size) > length:
                    raise NotIngestibleError(
                        f"{path} is truncated: it ends at byte {length:,}, before its pixels do. Fetch it again."
                    )


def _mask_of(source: Any) -> Literal["none", "alpha", "internal"]:
    if ColorInterp.alpha in source.colorinterp:
        return "alpha"
    if any(MaskFlags.per_dataset in flags for flags in source.mask_flag_enums):
        return "internal"
    return "none"


def _reason(error: Exception) -> str:
    """GDAL's own words without the path, which every message here names already."""
    return str(error.__cause__ or error).replace("\n", " ").rstrip(".")[-160:]
