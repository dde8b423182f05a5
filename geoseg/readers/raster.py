"""One file: opened, checked, and a rectangle of it as physical quantities with NaN where nothing was observed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from geoseg.errors import MissingBandError, SceneUnreadableError
from geoseg.readers import radiometry
from geoseg.readers.access import scrubbed
from geoseg.readers.recipe import BandRecipe, MaskRecipe
from geoseg.readers.sampling import Floats, Place, Span, bilinear, block_mean, nearest, place
from geoseg.readers.validity import hidden_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from rasterio.io import DatasetReader

MAX_SIDE_PX = 400_000
"""No product has longer sides (NAIP has 12,000, a whole Sentinel-1 pass 60,000): more is an attack or an error."""

MAX_BLOCK_PX = 2**27
"""A block that alone would take a quarter of a gigabyte and more to decode."""

STRIP_PX = 2**24
"""File pixels decoded at once where many are averaged into one."""

HANDLES = 8
"""Files kept open per thread: neighbouring tiles share blocks, and GDAL keeps them only while a file is open."""


class _Handles(threading.local):
    """Open files of one thread, oldest dropped first."""

    def __init__(self) -> None:
        self.open: OrderedDict[tuple[str, int], DatasetReader] = OrderedDict()


_handles = _Handles()


@dataclass(frozen=True, slots=True)
class Sight:
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
    coarse: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows[1] - self.rows[0], self.cols[1] - self.cols[0]

    @property
    def geobox(self) -> GeoBox:
        """The rectangle as a grid of its own."""
        return self.grid[slice(*self.rows), slice(*self.cols)]


def read_band(path: str, band: BandRecipe, sight: Sight) -> Floats | None:
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
                f"Band {band.name} should be band {band.index} of {scrubbed(band.href)}, which has {dataset.count}."
            )
        where = place(sight.grid, sight.rows, sight.cols, file_grid(dataset))
        if where.misses:
            return None
        values, spans = _band_around(dataset, band, where, coarse=sight.coarse)
        sampled = nearest(values, spans, where).astype(np.float32) if sight.coarse else bilinear(values, spans, where)
        return radiometry.finished(sampled, band.conversion, mixed=not where.exact)


def read_mask(path: str, mask: MaskRecipe, sight: Sight) -> NDArray[np.uint8] | None:
    """Which pixels the mask says were seen.

    Returns:
        uint8 (y, x), 1 seen, 0 hidden or beyond the mask's file; None where the file does not reach. Where several
        pixels of the file make up one of the output, one hidden pixel hides it.

    Raises:
        SceneUnreadableError: Dead, truncated, absurd or without a place on Earth.
    """
    with _failing_as_unreadable(path):
        dataset = opened(path)
        where = place(sight.grid, sight.rows, sight.cols, file_grid(dataset))
        if where.misses:
            return None

        def seen(window: Window, shape: tuple[int, int]) -> NDArray[np.uint8]:
            return (~hidden_pixels(dataset, mask, window, shape)).view(np.uint8)

        values, spans = _around(dataset, where, seen, _least, fill=0, coarse=sight.coarse)
        return nearest(values, spans, where).astype(np.uint8, copy=False)


def _least(values: NDArray[np.uint8], factors: tuple[int, int]) -> NDArray[np.uint8]:
    fy, fx = factors
    least = values[::fy, ::fx].copy()
    for part in (values[dy::fy, dx::fx] for dy in range(fy) for dx in range(fx)):
        np.minimum(least, part, out=least)
    return least


def _band_around(dataset: DatasetReader, band: BandRecipe, where: Place, *, coarse: bool) -> tuple[Floats, _Spans]:
    conversion = radiometry.with_file_nodata(band.conversion, dataset.nodatavals[band.index - 1])
    flags = set(dataset.mask_flag_enums[band.index - 1])
    masked = bool(flags & {MaskFlags.per_dataset, MaskFlags.alpha}) and MaskFlags.all_valid not in flags

    def physical(window: Window, shape: tuple[int, int]) -> Floats:
        numbers = dataset.read(band.index, window=window, out_shape=shape)
        values = radiometry.started(numbers, conversion, mixed=not where.exact)
        if masked:
            unseen = dataset.read_masks(band.index, window=window, out_shape=shape) == 0
            np.copyto(values, np.float32(np.nan), where=unseen)
        return values

    return _around(dataset, where, physical, block_mean, fill=np.nan, coarse=coarse)


_Spans = tuple[Span, Span]


def _around(
    dataset: DatasetReader,
    where: Place,
    read: Callable[[Window, tuple[int, int]], NDArray],  # type: ignore[type-arg]
    reduce: Callable[[NDArray, tuple[int, int]], NDArray],  # type: ignore[type-arg]
    *,
    fill: float,
    coarse: bool,
) -> tuple[NDArray, _Spans]:  # type: ignore[type-arg]
    """The (reduced) file around the output pixels; ``fill`` where the spans stick out of it."""
    spans = where.spans()
    inside = [(max(0, span[0]), min(size, span[1])) for span, size in zip(spans, where.shape, strict=True)]
    step = max(1, STRIP_PX // max(1, (inside[1][1] - inside[1][0]) * where.reduce_yx[0] * where.reduce_yx[1]))
    if where.reduce_yx == (1, 1) or coarse:
        step = max(1, inside[0][1] - inside[0][0])
    strips = [
        _strip(dataset, (row, min(row + step, inside[0][1])), inside[1], where, read, reduce, fill, coarse=coarse)
        for row in range(inside[0][0], inside[0][1], step)
    ]
    values = strips[0] if len(strips) == 1 else np.concatenate(strips)
    missing = [(i[0] - s[0], s[1] - i[1]) for i, s in zip(inside, spans, strict=True)]
    return (np.pad(values, missing, constant_values=fill) if np.any(missing) else values), spans


def _strip(
    dataset: DatasetReader,
    rows: Span,
    cols: Span,
    where: Place,
    read: Callable[[Window, tuple[int, int]], NDArray],  # type: ignore[type-arg]
    reduce: Callable[[NDArray, tuple[int, int]], NDArray],  # type: ignore[type-arg]
    fill: float,
    *,
    coarse: bool,
) -> NDArray:  # type: ignore[type-arg]
    (fy, fx), shape = where.reduce_yx, (rows[1] - rows[0], cols[1] - cols[0])
    window = Window(cols[0] * fx, rows[0] * fy, shape[1] * fx, shape[0] * fy)
    if coarse:
        return read(_within(window, dataset), shape)
    if (fy, fx) == (1, 1):
        return read(window, shape)
    cut = _within(window, dataset)
    values = read(cut, (int(cut.height), int(cut.width)))
    # the file's last block may be smaller than a whole one: what is missing there was not observed
    short = [(0, int(window.height - cut.height)), (0, int(window.width - cut.width))]
    return reduce(np.pad(values, short, constant_values=fill) if np.any(short) else values, (fy, fx))


def _within(window: Window, dataset: DatasetReader) -> Window:
    return Window(
        window.col_off,
        window.row_off,
        min(window.width, dataset.width - window.col_off),
        min(window.height, dataset.height - window.row_off),
    )


# -- files -----------------------------------------------------------------------------------------------------


def opened(path: str) -> DatasetReader:
    """The file, kept open by this thread; a local file that was written anew is opened anew.

    Raises:
        SceneUnreadableError: Absurd, or without a place on Earth.
    """
    local = Path(path)
    key = (path, local.stat().st_mtime_ns if not path.startswith("/vsi") else 0)
    if key in _handles.open:
        _handles.open.move_to_end(key)
        return _handles.open[key]
    dataset = _open_checked(path)
    _handles.open[key] = dataset
    while len(_handles.open) > HANDLES:
        _handles.open.popitem(last=False)[1].close()
    return dataset


def _open_checked(path: str) -> DatasetReader:
    import warnings

    with warnings.catch_warnings():
        # a file without a place on Earth is refused below, in our own words
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(path)
    fault = _fault(dataset)
    if fault:
        dataset.close()
        raise SceneUnreadableError(f"{scrubbed(path.removeprefix('/vsicurl/'))} {fault}.")
    return dataset


def _fault(dataset: DatasetReader) -> str | None:
    height, width = dataset.shape
    if max(height, width) > MAX_SIDE_PX:
        return f"claims an absurd size of {width} x {height} pixels"
    if max(y * x for y, x in dataset.block_shapes) > MAX_BLOCK_PX:
        return f"is stored in absurdly large blocks of {dataset.block_shapes[0]} pixels"
    if dataset.crs is None or dataset.transform.is_identity:
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

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End: translate."""
        if isinstance(error, SceneUnreadableError) or not isinstance(error, RasterioError | OSError):
            return
        name = scrubbed(self.path.removeprefix("/vsicurl/")).rsplit("/", 1)[-1]
        reason = scrubbed(str(error.__cause__ or error))
        raise SceneUnreadableError(f"{name} cannot be read: {reason.removesuffix('.')}.") from None
