"""Labels on the grid of their image, read window by window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from geoseg.catalog.datasets import PolygonLabel, RasterLabel
from geoseg.core.vectors import VectorRole, read_polygon_file
from geoseg.datasets.alignment import Grid, Shift, inside, onto, transformer
from geoseg.datasets.label_codes import classes_of
from geoseg.datasets.pair import UNLABELLED, Georeference
from geoseg.datasets.raster_file import RasterHeader, read_window
from geoseg.datasets.window import Window, window_of
from geoseg.errors import BadLabelsError

OUTLINES = VectorRole("labels", "Labels of a data set are polygons.", BadLabelsError, BadLabelsError, may_be_empty=True)


@dataclass(frozen=True)
class RasterLabelFile:
    """Looks like an array (y, x), int16 class or ``UNLABELLED``; reads when sliced.

    Attributes:
        raster: The file.
        label: What its numbers mean.
        grid: Of the image.
        shift: Where the image's pixels lie in the file; None: on other pixels, the nearest is taken.
    """

    raster: RasterHeader
    label: RasterLabel
    grid: Grid
    shift: Shift | None

    dtype = np.dtype(np.int16)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.grid.shape

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[np.int16]:
        """A window of it.

        Raises:
            SceneUnreadableError: Truncated or damaged.
            BadLabelsError: It holds a number without a meaning.
        """
        window = window_of(key, self.shape)
        classes = self._nearest(window) if self.shift is None else self._shifted(window, self.shift)
        return np.asarray(classes[window.rest])

    def _shifted(self, window: Window, shift: Shift) -> NDArray[np.int16]:
        classes = np.full(window.shape, UNLABELLED, np.int16)
        there = window.moved(shift.rows, shift.columns).clipped(self.raster.shape)
        if not there.empty:
            classes[there.moved(-shift.rows, -shift.columns).within(window)] = self._stored(there)
        return classes

    def _nearest(self, window: Window) -> NDArray[np.int16]:
        """The label's pixel that holds each centre: the same however the image is cut into windows."""
        assert self.grid.place is not None
        assert self.raster.place is not None
        classes = np.full(window.shape, UNLABELLED, np.int16)
        rows, columns = np.meshgrid(np.arange(*window.rows) + 0.5, np.arange(*window.columns) + 0.5, indexing="ij")
        rows, columns = onto(self.grid.place, self.raster.place, rows, columns)
        covered = inside(rows, columns, self.raster.shape)
        if not covered.any():
            return classes
        there_rows, there_columns = rows[covered].astype(int), columns[covered].astype(int)
        there = Window(
            (int(there_rows.min()), int(there_rows.max()) + 1), (int(there_columns.min()), int(there_columns.max()) + 1)
        )
        classes[covered] = self._stored(there)[there_rows - there.rows[0], there_columns - there.columns[0]]
        return classes

    def _stored(self, window: Window) -> NDArray[np.int16]:
        numbers, there = read_window(self.raster, [self.label.band], window.rows, window.columns)
        return classes_of(numbers[0], there[0], self.label.codes, str(self.raster.path))


@dataclass(frozen=True)
class PolygonLabelFile:
    """Looks like an array (y, x), int16 class or ``UNLABELLED``; draws the polygons when first sliced.

    Attributes:
        path: GeoJSON.
        label: What the polygons mean.
        grid: Of the image; it has a place.
        hidden: GeoJSON of where nothing could be seen; None: no such file.
    """

    path: Path
    label: PolygonLabel
    grid: Grid
    hidden: Path | None

    dtype = np.dtype(np.int16)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.grid.shape

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[np.int16]:
        """A window of it.

        Raises:
            BadLabelsError: No GeoJSON, or geometries that are no areas.
        """
        assert self.grid.place is not None
        inner, outer = (UNLABELLED if each is None else each for each in (self.label.inside, self.label.outside))
        window = window_of(key, self.shape)
        classes = np.where(_drawn(self.path, self.shape, self.grid.place), np.int16(inner), np.int16(outer))
        if self.hidden is not None:
            classes[_drawn(self.hidden, self.shape, self.grid.place)] = UNLABELLED
        rows, columns = (slice(*span) for span in (window.rows, window.columns))
        return np.asarray(classes[rows, columns][window.rest], dtype=np.int16)


@lru_cache(maxsize=16)
def _drawn(path: Path, shape: tuple[int, int], place: Georeference) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a polygon of the file."""
    areas, system = polygons(path)
    if system != place.crs and areas:
        change = transformer(system, place.crs)
        areas = list(shapely.transform(areas, lambda points: np.column_stack(change.transform(*points.T))))
    if not areas:
        return np.zeros(shape, bool)
    drawn = rasterize(((area, 1) for area in areas), shape, transform=place.transform, all_touched=False, dtype="uint8")
    return np.asarray(drawn, dtype=bool)


def polygons(path: Path) -> tuple[list[BaseGeometry], str]:
    """Read the polygons of a label file, and their CRS.

    Raises:
        BadLabelsError: Not a vector file, or geometries that are not areas.
    """
    file = read_polygon_file(path, OUTLINES)
    lines = [f"{layer.without_area} of its features are points or lines" for layer in file.layers if layer.without_area]
    file.check(OUTLINES, lines)
    system, areas = file.merged()
    return list(areas), system
