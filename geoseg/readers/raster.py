"""One file: opened, checked, and a rectangle of it as physical quantities with NaN where nothing was observed."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio import Env
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geoseg.core.open_raster import block_fault, is_remote, open_raster
from geoseg.errors import MissingBandError, SceneUnreadableError
from geoseg.readers import radiometry
from geoseg.readers.access import gdal_path, redact
from geoseg.readers.read_spec import BandReadSpec, ClippedReadSpec, MaskReadSpec
from geoseg.readers.sampling import Floats, SourceCoords, Span, bilinear, block_mean, nearest, place
from geoseg.readers.unit_check import check_plausible, check_power
from geoseg.readers.validity import masked_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SIDE_PX = 400_000
"""No product has longer sides (NAIP has 12,000, a whole Sentinel-1 pass 60,000): more is an attack or an error."""

STRIP_PX = 2**24
"""File pixels decoded at once where many are averaged into one."""

HANDLES = 8
"""Files kept open per thread: neighbouring tiles share blocks, and GDAL keeps them only while a file is open.
Speed only."""


PER_DATASET = 2
"""GDAL's flag of a mask that all bands share."""


class TransferError(SceneUnreadableError):
    """A remote file did not arrive whole; to ask for it again may help."""


class _OpenFiles(LRUCache[tuple[str, int], DatasetReader]):
    """Open files; the one that was not used for longest is closed first."""

    def popitem(self) -> tuple[tuple[str, int], DatasetReader]:
        """Close a file and forget it."""
        key, dataset = super().popitem()
        dataset.close()
        return key, dataset


class _Handles(threading.local):
    """Open files of one thread."""

    def __init__(self) -> None:
        self.open = _OpenFiles(maxsize=HANDLES)


_handles = _Handles()


@dataclass(frozen=True, slots=True)
class GridWindow:
    """The rectangle of the output grid that is read, and how.

    Attributes:
        grid: The whole output grid.
        rows: Rows of it.
        cols: Columns of it.
        coarse: A preview: nearest pixels, from overviews where the file has them.
    """

    grid: GeoBox
    rows: Span
    cols: Span
    overview: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows[1] - self.rows[0], self.cols[1] - self.cols[0]

    @property
    def geobox(self) -> GeoBox:
        """The rectangle as a grid of its own."""
        return self.grid[slice(*self.rows), slice(*self.cols)]


def read_band(path: str, band: BandReadSpec, window: GridWindow) -> Floats | None:
    """A band in physical units.

    Returns:
        float32 (y, x), NaN where not observed; None where the file does not reach.

    Raises:
        SceneUnreadableError: Dead, truncated, absurd or without a place on Earth.
        MissingBandError: The file has fewer bands.
    """
    with _failing_as_unreadable(path):
        dataset = opened(path)
        if band.index > dataset.count:
            raise MissingBandError(
                f"Band {band.name} should be band {band.index} of {redact(band.href)}, which has {dataset.count}."
            )
        where = place(window.grid, window.rows, window.cols, file_grid(dataset))
        if where.no_overlap:
            return None
        values, spans = _band_around(dataset, band, where, overview=window.overview)
        sampled = (
            nearest(values, spans, where).astype(np.float32) if window.overview else bilinear(values, spans, where)
        )
        return radiometry.to_output_unit(sampled, band.conversion, mixed=not where.pixel_exact)


def read_mask(path: str, mask: MaskReadSpec | ClippedReadSpec, window: GridWindow) -> NDArray[np.uint8] | None:
    """Which pixels the mask says were seen.

    Returns:
        uint8 (y, x), 1 seen, 0 hidden or beyond the mask's file; None where the file does not reach. Where several
        pixels of the file make up one of the output, one hidden pixel hides it.

    Raises:
        SceneUnreadableError: Dead, truncated, absurd or without a place on Earth.
    """
    with _failing_as_unreadable(path):
        dataset = opened(path)
        where = place(window.grid, window.rows, window.cols, file_grid(dataset))
        if where.no_overlap:
            return None

        def valid(window: Window, shape: tuple[int, int]) -> NDArray[np.uint8]:
            seen = ~masked_pixels(dataset, mask, window, shape)
            if isinstance(mask, MaskReadSpec) and shape == (window.height, window.width):
                for place in {rule.band for rule in mask.rules if rule.band <= dataset.count}:
                    if any(seen[block].any() for block in _unstored(dataset, place, window)):
                        raise SceneUnreadableError(_UNSTORED.format(redact(mask.href).rsplit("/", 1)[-1]))
            return seen.view(np.uint8)

        values, spans = _Layer(dataset, valid, _least, 0, window.overview).around(where)
        return nearest(values, spans, where).astype(np.uint8, copy=False)


def _least(values: NDArray[np.uint8], factors: tuple[int, int]) -> NDArray[np.uint8]:
    fy, fx = factors
    least = values[::fy, ::fx].copy()
    for part in (values[dy::fy, dx::fx] for dy in range(fy) for dx in range(fx)):
        np.minimum(least, part, out=least)
    return least


def _band_around(
    dataset: DatasetReader, band: BandReadSpec, where: SourceCoords, *, overview: bool
) -> tuple[Floats, _Spans]:
    declared = dataset.nodatavals[band.index - 1]
    jointly = declared == 0 and band.unit == "unitless" and band.all_zero_is_nodata
    conversion = band.conversion if jointly else radiometry.with_file_nodata(band.conversion, declared)
    flags = set(dataset.mask_flag_enums[band.index - 1])
    masked = bool(flags & {MaskFlags.per_dataset, MaskFlags.alpha}) and MaskFlags.all_valid not in flags

    beside = _mask_beside(dataset, band) if band.declares_mask and not masked else None
    undeclared = not masked and beside is None and dataset.nodatavals[band.index - 1] is None

    def physical(window: Window, shape: tuple[int, int]) -> Floats:
        numbers = dataset.read(band.index, window=window, out_shape=shape)
        values = radiometry.apply_scale_offset(numbers, conversion)
        if masked:
            unseen = dataset.read_masks(band.index, window=window, out_shape=shape) == 0
            np.copyto(values, np.float32(np.nan), where=unseen)
        elif beside:
            unseen = opened(beside[0], placed=False).read(beside[1], window=window, out_shape=shape) == 0
            np.copyto(values, np.float32(np.nan), where=unseen)
        if undeclared and shape == (window.height, window.width) and any(_unstored(dataset, band.index, window)):
            raise SceneUnreadableError(_UNSTORED.format(redact(band.href).rsplit("/", 1)[-1]))
        if band.all_zero_is_nodata:
            np.copyto(values, np.float32(np.nan), where=_all_zero(dataset, numbers, band, window))
        check_power(values, band)
        if not overview:
            check_plausible(values, band)
        if band.unit in ("dB", "reflectance") and band.valid_range:
            radiometry.mask_outside(values, band.valid_range, conversion)
        return radiometry.to_averaging_domain(values, conversion, mixed=not where.pixel_exact)

    return _Layer(dataset, physical, block_mean, math.nan, overview).around(where)


_UNSTORED = (
    "{} lacks the bytes of a tile or strip and declares no nodata, so that tile was not read. Fetch the file again; "
    "where it is whole, declare its nodata with `gdal_edit.py -a_nodata 0`."
)


def _unstored(dataset: DatasetReader, index: int, window: Window) -> Iterator[tuple[slice, slice]]:
    """Blocks of a band that the file holds no bytes of, which GDAL reads as nodata or 0: their pixels in a window."""
    if dataset.driver != "GTiff":
        return
    high, wide = dataset.block_shapes[index - 1]
    top, left = int(window.row_off), int(window.col_off)
    bottom, right = top + int(window.height), left + int(window.width)
    for row in range(top // high, -(-bottom // high)):
        for column in range(left // wide, -(-right // wide)):
            if dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=index) is None:
                yield (
                    slice(max(row * high - top, 0), (row + 1) * high - top),
                    slice(max(column * wide - left, 0), (column + 1) * wide - left),
                )


def _mask_beside(dataset: DatasetReader, band: BandReadSpec) -> tuple[str, int]:
    """The mask of a remote image in a ``.msk`` file beside it: its path, and the place of the band's mask in it.

    Raises:
        SceneUnreadableError: There is none, or it does not belong to the image.
    """
    name = redact(band.href).rsplit("/", 1)[-1]
    path, mark, query = dataset.name.partition("?")
    path = f"{path}.msk{mark}{query}"
    advice = "Download both, and add them with `geoseg catalog add`."
    try:
        mask = opened(path, placed=False)
    except RasterioError as error:
        if "404" not in str(error):
            raise
        raise SceneUnreadableError(
            f"{name} has no mask, although its item declares one (geoseg:mask), and {name}.msk beside it cannot be "
            f"read ({redact(str(error)).removesuffix('.')}). {advice}"
        ) from None
    flags = mask.tags().get(f"INTERNAL_MASK_FLAGS_{band.index}", "")
    place = 1 if flags.isdecimal() and int(flags) & PER_DATASET else band.index
    if not flags.isdecimal() or mask.shape != dataset.shape or place > mask.count:
        raise SceneUnreadableError(f"{name}.msk is not the mask of {name}: its size or bands differ. {advice}")
    return path, place


def _all_zero(dataset: DatasetReader, numbers: NDArray[Any], band: BandReadSpec, window: Window) -> NDArray[np.bool_]:
    """Where every band that is read and lies on this file's grid holds exactly 0: fill that nobody declared."""
    zero: NDArray[np.bool_] = numbers == 0
    for href, index in band.all_zero_is_nodata:
        if not zero.any():
            break
        if (href, index) == (band.href, band.index):
            continue
        opened(dataset.name)  # the latest used, so that opening others does not close it
        other = dataset if href == band.href else opened(gdal_path(href))
        if index <= other.count and file_grid(other) == file_grid(dataset):
            zero &= other.read(index, window=window, out_shape=zero.shape) == 0
    return zero


_Spans = tuple[Span, Span]


@dataclass(frozen=True, slots=True)
class _Layer:
    """How a rectangle of a file becomes values that can be sampled.

    Attributes:
        dataset: The file.
        read: Values of a window, resized to a shape.
        reduce: Whole blocks to one value each.
        fill: What lies beyond the file.
        coarse: Blocks are replaced by their nearest pixel, from overviews, instead of reduced.
    """

    dataset: DatasetReader
    read: Callable[[Window, tuple[int, int]], NDArray[Any]]
    reduce: Callable[[NDArray[Any], tuple[int, int]], NDArray[Any]]
    fill: float
    overview: bool

    def around(self, where: SourceCoords) -> tuple[NDArray[Any], _Spans]:
        """The (reduced) file around the output pixels, strip by strip where many of its pixels make one."""
        spans = where.spans()
        rows, cols = ((max(0, s[0]), min(size, s[1])) for s, size in zip(spans, where.shape, strict=True))
        fy, fx = where.reduce_yx
        step = (
            max(1, STRIP_PX // ((cols[1] - cols[0]) * fx * fy)) if fy * fx > 1 and not self.overview else where.shape[0]
        )
        starts = range(rows[0], rows[1], step)
        strips = [self._strip((row, min(row + step, rows[1])), cols, (fy, fx)) for row in starts]
        values = strips[0] if len(strips) == 1 else np.concatenate(strips)
        beyond = [(inner[0] - s[0], s[1] - inner[1]) for inner, s in zip((rows, cols), spans, strict=True)]
        return self._padded(values, beyond), spans

    def _strip(self, rows: Span, cols: Span, factors: tuple[int, int]) -> NDArray[Any]:
        """Rows and columns of the reduced file."""
        (fy, fx), shape = factors, (rows[1] - rows[0], cols[1] - cols[0])
        whole = Window(cols[0] * fx, rows[0] * fy, shape[1] * fx, shape[0] * fy)
        window = _within(whole, self.dataset)
        if self.overview or factors == (1, 1):
            return self.read(window, shape)
        values = self.read(window, (int(window.height), int(window.width)))
        # the file's last block may be cut short by its edge: what is missing there was not observed
        short = [(0, int(whole.height - window.height)), (0, int(whole.width - window.width))]
        return self.reduce(self._padded(values, short), factors)

    def _padded(self, values: NDArray[Any], width: list[Span]) -> NDArray[Any]:
        return np.pad(values, width, constant_values=self.fill) if np.any(width) else values


def _within(window: Window, dataset: DatasetReader) -> Window:
    return Window(
        window.col_off,
        window.row_off,
        min(window.width, dataset.width - window.col_off),
        min(window.height, dataset.height - window.row_off),
    )


# -- files -----------------------------------------------------------------------------------------------------


def opened(path: str, *, placed: bool = True) -> DatasetReader:
    """The file, kept open by this thread; a local file that was written anew is opened anew.

    Args:
        path: As GDAL opens it.
        placed: It must have a place on Earth; the mask of an image has none.

    Raises:
        SceneUnreadableError: Absurd, or without a place on Earth.
    """
    local = Path(path)
    key = (path, 0 if is_remote(path) else local.stat().st_mtime_ns)
    if key not in _handles.open:
        _handles.open[key] = _open_checked(path, placed=placed)
    return _handles.open[key]


def read_anew(path: str) -> None:
    """Forget what was fetched of a remote file, and of all others that this thread has open: it may be garbled."""
    paths = {path, *(name for name, _ in _handles.open if is_remote(name))}
    for key in [key for key in _handles.open if is_remote(key[0])]:
        _handles.open.pop(key).close()
    # GDAL drops its cache of a file when one is closed that was opened under this setting
    with Env(CPL_VSIL_CURL_NON_CACHED="/vsicurl/:/vsis3/"):
        for each in paths:
            with suppress(RasterioError, SceneUnreadableError):
                open_raster(each).close()


def _open_checked(path: str, *, placed: bool) -> DatasetReader:
    dataset = open_raster(path)
    fault = _fault(dataset, placed=placed)
    if fault:
        dataset.close()
        raise SceneUnreadableError(f"{redact(path.removeprefix('/vsicurl/'))} {fault}.")
    return dataset


def _fault(dataset: DatasetReader, *, placed: bool) -> str | None:
    height, width = dataset.shape
    if max(height, width) > MAX_SIDE_PX:
        return f"claims an absurd size of {width} x {height} pixels"
    if fault := block_fault(dataset):
        return fault
    if placed and (dataset.crs is None or dataset.transform.is_identity):
        return "has no CRS or no transform, so its place on Earth is unknown"
    return None


def file_grid(dataset: DatasetReader) -> GeoBox:
    """The grid of a file."""
    return GeoBox(dataset.shape, dataset.transform, dataset.crs)


class _failing_as_unreadable:  # noqa: N801 - reads as a statement
    """Turns what rasterio and the system raise into one error without an address's secrets."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> None:
        """End: translate."""
        if isinstance(error, SceneUnreadableError) or not isinstance(error, RasterioError | OSError):
            return
        name = redact(self.path.removeprefix("/vsicurl/")).rsplit("/", 1)[-1]
        reason = redact(str(error.__cause__ or error))
        kind = TransferError if is_remote(self.path) and "404" not in reason else SceneUnreadableError
        raise kind(f"{name} cannot be read: {reason.removesuffix('.')}.") from None
