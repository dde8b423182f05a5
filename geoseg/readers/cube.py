"""The Cube: scenes on one grid, lazily, in physical units, with the scene of each pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.scene import Scene, by_nearness, passes
from geoseg.errors import BadOptionError, MissingBandError, RadiometryUnknownError, SceneUnreadableError
from geoseg.readers.access import captured_settings, check_credentials
from geoseg.readers.block_alignment import block_offset
from geoseg.readers.composites import COMPOSITES, check_composite
from geoseg.readers.composites.mosaic import observed
from geoseg.readers.footprint import touches
from geoseg.readers.pixel_size import coarser_note
from geoseg.readers.plan_scene import plan_scene
from geoseg.readers.raster import GridWindow
from geoseg.readers.read_scene import read_bands, read_valid_mask
from geoseg.readers.read_spec import SceneReadSpec

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

MAX_SCENES = NOT_OBSERVED
"""Codes 0..254 name scenes."""

PASSES_BYTES = 2**27
"""Pixels of all passes held at once by a composite that keeps them."""

ObservedBands = tuple[list[NDArray[np.float32]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A scene that could not be read.

    Attributes:
        scene_id: Which.
        reason: Why, on one line, without tokens.
    """

    scene_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pixels:
    """A rectangle of a Cube, in memory.

    Attributes:
        values: float32 (band, y, x), physical units, NaN where not observed.
        source: uint8 (y, x), index into the Cube's scenes, 255 where not observed.
        failures: Scenes that were wanted here and could not be read.
    """

    values: NDArray[np.float32]
    source: NDArray[np.uint8]
    failures: tuple[Failure, ...] = ()


class Thumbnail(NamedTuple):
    """A coarse picture of a whole Cube, and the grid it lies on."""

    pixels: Pixels
    geobox: GeoBox


@dataclass(frozen=True)
class Cube:
    """Scenes on one grid: a recipe that travels to dask workers, whose pixels are read tile by tile.

    Made with ``Cube.of``, which decides everything that can be refused. Carries no secret: a worker signs for itself
    and takes credentials from its own environment. On the way to a worker the scenes lose their STAC items, which
    reading does not need.

    Attributes:
        scenes: In the order they are taken; a pixel's source is an index into them.
        geobox: The output grid.
        bands: Names of the bands, in order.
        composite: How scenes are combined: a name of ``COMPOSITES``.
        tile_px: Side of a tile; those at the grid's frame are smaller.
        tile_offset: Pixels (y, x) by which the first tiles begin before the grid, to lie on the files' blocks.
        specs: Read plan of each scene.
        settings: GDAL settings captured where the Cube was made.
        overview: A preview: nearest pixels, from overviews.
    """

    scenes: tuple[Scene, ...]
    geobox: GeoBox
    bands: tuple[str, ...]
    composite: str = "nearest"
    tile_px: int = 1024
    tile_offset: tuple[int, int] = (0, 0)
    specs: tuple[SceneReadSpec, ...] = field(default=(), repr=False)
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    overview: bool = field(default=False, repr=False)

    @classmethod
    def of(
        cls,
        scenes: Sequence[Scene],
        geobox: GeoBox,
        bands: Sequence[str],
        *,
        instant: datetime,
        tile_px: int = 1024,
    ) -> Cube:
        """Plan a Cube; no pixel is opened.

        Args:
            scenes: What to read, in any order.
            geobox: The output grid.
            bands: Names of bands of the scenes' sensor.
            instant: The moment that "nearest" is measured from.
            tile_px: Side of a tile in pixels.

        Raises:
            BadOptionError: More scenes than a map can tell apart, or no band.
            RadiometryUnknownError: The unit of a scene's numbers cannot be decided.
            MissingBandError: A scene lacks a band.
            MissingCredentialsError: A scene wants credentials that the environment does not hold.
        """
        if len(scenes) > MAX_SCENES:
            raise BadOptionError(
                f"{len(scenes)} scenes match, and a map can tell {MAX_SCENES} apart. Narrow --date or --window-days."
            )
        if not bands or tile_px < 1:
            raise BadOptionError(f"A cube needs bands and tiles of 1 pixel or more, got {list(bands)} and {tile_px}.")
        ordered = tuple(by_nearness(scenes, instant))
        specs = tuple(plan_scene(scene, bands) for scene in ordered)
        for spec in specs:
            check_credentials(spec)
        tile_offset = block_offset(ordered[0], geobox, tile_px) if ordered else (0, 0)
        return cls(ordered, geobox, tuple(bands), "nearest", tile_px, tile_offset, specs, captured_settings())

    def with_composite(self, name: str) -> Cube:
        """Return the same scenes, combined otherwise.

        Args:
            name: A name of ``COMPOSITES``.

        Raises:
            BadOptionError: No such composite.
        """
        check_composite(name)
        return replace(self, composite=name)

    @property
    def read_notes(self) -> tuple[str, ...]:
        """What a person should know about how the scenes are read: a cloud mask that is not there, for one."""
        return tuple(note for spec in self.specs for note in spec.notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """``read_notes``, and a sentence where the grid is much finer than the imagery."""
        overview = coarser_note(self.scenes, self.bands, self.geobox)
        return (*self.read_notes, overview) if overview else self.read_notes

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of the grid (y, x)."""
        return int(self.geobox.shape[0]), int(self.geobox.shape[1])

    @property
    def tiles(self) -> tuple[int, int]:
        """Rows and columns of the tile grid."""
        rows, cols = (
            math.ceil((size + tile_offset) / self.tile_px)
            for size, tile_offset in zip(self.geobox.shape, self.tile_offset, strict=True)
        )
        return rows, cols

    def span(self, axis: int, number: int) -> tuple[int, int]:
        """Rows (axis 0) or columns (axis 1) of the grid that tile ``number`` along that axis covers."""
        first = number * self.tile_px - self.tile_offset[axis]
        return max(first, 0), min(first + self.tile_px, int(self.geobox.shape[axis]))

    def tile(self, iy: int, ix: int) -> Pixels:
        """Read one tile. What it holds depends on nothing else that is read, nor on ``tile_px``.

        Args:
            iy: Row of the tile grid.
            ix: Column of the tile grid.

        Raises:
            RadiometryUnknownError: The numbers of the only scene are not in the unit they are said to be in; one of
                several scenes is left out for that, and named among the failures.
            IndexError: There is no such tile.
        """
        if not (0 <= iy < self.tiles[0] and 0 <= ix < self.tiles[1]):
            raise IndexError(f"There is no tile {iy}, {ix} in a grid of {self.tiles[0]} x {self.tiles[1]}.")
        window = GridWindow(self.geobox, self.span(0, iy), self.span(1, ix), self.overview)
        composed = COMPOSITES[self.composite](self.bands, (0, 0))
        return self._by_rows(window) if composed.keeps_passes else self._composed(window)

    def lazy(self) -> xr.Dataset:
        """The whole Cube as dask arrays, one task per tile: ``pixels`` (band, y, x) and ``source`` (y, x).

        Scenes that fail while it computes are missing from it and named in the log; ``tile`` reports them.
        """
        from geoseg.readers.lazy import dataset_of

        return dataset_of(self)

    def thumbnail(self, max_px: int = 1024) -> Thumbnail:
        """A coarse version for looking at: nearest pixels, from overviews where the files have them.

        Args:
            max_px: Longest side.
        """
        grid = self.geobox
        if max(grid.shape) > max_px:
            grid = grid.zoom_to(max_px)
        overview = replace(
            self, geobox=grid, tile_px=max(grid.shape), composite="nearest", tile_offset=(0, 0), overview=True
        )
        return Thumbnail(overview.tile(0, 0), grid)

    def __getstate__(self) -> dict[str, Any]:
        """Without the scenes' STAC items: megabytes that no worker needs."""
        return {**self.__dict__, "scenes": tuple(replace(scene, item={}) for scene in self.scenes)}

    def _composed(self, window: GridWindow) -> Pixels:
        """Feed the scenes of the rectangle to the composite, pass by pass, until it is done."""
        composite, failures = COMPOSITES[self.composite](self.bands, window.shape), []
        for codes in self._passes():
            if composite.is_done:
                break
            composite.begin_pass()
            for code in codes:
                missing = composite.missing_window()
                if missing is None:
                    break
                read = self._read_scene(code, _narrowed(window, missing))
                if isinstance(read, Failure):
                    failures.append(read)
                elif read is not None:
                    composite.feed(missing, *read, code)
        values, source = composite.result()
        return Pixels(values, source, tuple(failures))

    def _read_scene(self, code: int, window: GridWindow) -> ObservedBands | Failure | None:
        """A scene's bands in a rectangle and where they are observed; None where nothing of it is.

        Raises:
            RadiometryUnknownError: The only scene is in another unit than it says; one of several is a failure.
        """
        spec = self.specs[code]
        if not touches(spec.footprint, window):
            return None
        try:
            return _read(spec, window, self.settings)
        except (SceneUnreadableError, MissingBandError) as error:
            return Failure(spec.id, str(error))
        except RadiometryUnknownError as error:
            if len(self.specs) == 1:
                raise
            return Failure(spec.id, str(error))

    def _by_rows(self, window: GridWindow) -> Pixels:
        """The same, a few rows at a time, to bound the memory of a composite that keeps every pass."""
        row_bytes = max(1, len(self._passes()) * len(self.bands) * window.shape[1] * 4)
        step = max(1, PASSES_BYTES // row_bytes)
        first, last = window.rows
        strips = [
            self._composed(replace(window, rows=(row, min(row + step, last)))) for row in range(first, last, step)
        ]
        failures = dict.fromkeys(failure for strip in strips for failure in strip.failures)
        values = np.concatenate([strip.values for strip in strips], axis=1)
        return Pixels(values, np.concatenate([strip.source for strip in strips]), tuple(failures))

    def _passes(self) -> list[list[int]]:
        """Codes of the scenes of each pass, the nearest pass first."""
        place = {scene: code for code, scene in enumerate(self.scenes)}
        groups = [sorted(place[scene] for scene in group) for group in passes(self.scenes)]
        return sorted(groups)


def _narrowed(window: GridWindow, missing_window: tuple[slice, slice]) -> GridWindow:
    rows, cols = (
        (start + inner.start, start + inner.stop)
        for start, inner in zip((window.rows[0], window.cols[0]), missing_window, strict=True)
    )
    return replace(window, rows=rows, cols=cols)


def _read(spec: SceneReadSpec, window: GridWindow, settings: tuple[tuple[str, str], ...]) -> ObservedBands | None:
    """A scene in a rectangle: its bands, and where it was observed; None where nothing of it was."""
    valid = read_valid_mask(spec, window, settings=settings)
    if valid is not None and not valid.any():
        return None
    bands = read_bands(spec, window, settings=settings)
    return bands, observed(bands, valid)
