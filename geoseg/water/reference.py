"""Reference water: where water lies in ordinary years, and where nobody can say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.core.vectors import VectorRole, read_polygon_file, split_layer
from geoseg.errors import BadOptionError, RadiometryUnknownError

if TYPE_CHECKING:
    from geopandas import GeoSeries
    from odc.geo.geobox import GeoBox
    from rasterio.io import DatasetReader

OCCURRENCE_PCT = 50
"""Water in at least half of the clear observations of 1984 to today counts as permanent (JRC Global Surface Water)."""
JRC_UNKNOWN = 255
MONTHS_A_YEAR = 12
_SURVEY_PX = 2048

REFERENCE = VectorRole("reference water", "Reference water is one or more polygons, or a raster.", BadOptionError)

Holds = Literal["mask", "occurrence"]


@dataclass(frozen=True, slots=True)
class WaterMask:
    """Reference water on a grid.

    Attributes:
        water: bool (y, x), permanent water; False where unknown.
        known: bool (y, x), the reference speaks here. What it does not cover is unknown, not free of water.
    """

    water: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @property
    def unknown_px(self) -> int:
        """Pixels that the reference says nothing about."""
        return int(self.known.size - np.count_nonzero(self.known))

    @classmethod
    def from_occurrence(
        cls, occurrence: NDArray[np.generic], nodata: float | None, *, from_pct: float = OCCURRENCE_PCT
    ) -> Self:
        """Water where it was seen in at least ``from_pct`` per cent of the observations.

        Args:
            occurrence: Any number type (y, x), per cent 0..100; NaN, ``nodata`` and anything else: unknown.
            nodata: The value that says "no data", if any.
            from_pct: Per cent.
        """
        known = (occurrence >= 0) & (occurrence <= 100)  # type: ignore[operator]  # False for NaN
        if nodata is not None:
            known &= occurrence != nodata
        return cls(known & (occurrence >= from_pct), known)  # type: ignore[operator]


class ReferenceWater(Protocol):
    """Whatever knows permanent water."""

    def on(self, geobox: GeoBox) -> WaterMask:
        """The reference on a grid, or a window of one."""


def open_reference(path: Path | str) -> ReferenceWater:
    """A person's own reference water: a raster (0/1, or occurrence 0..100), or polygons in any CRS.

    Raises:
        BadOptionError: No such file, neither raster nor vector, without a CRS, or without a polygon.
        RadiometryUnknownError: A raster whose numbers can mean several things.
    """
    import rasterio
    from rasterio.errors import RasterioIOError

    file, layer = split_layer(path)
    if not file.exists():
        raise BadOptionError(f"There is no reference water file {file}.")
    if layer is not None:
        return PolygonReference.open(path)
    try:
        with rasterio.open(file) as raster:
            return RasterReference.of(file, raster)
    except RasterioIOError:
        return PolygonReference.open(path)


@dataclass(frozen=True, slots=True)
class RasterReference:
    """Permanent water from a raster. Read window by window, nearest neighbour. Picklable.

    Attributes:
        path: The raster.
        holds: ``mask``: 0 or 1; ``occurrence``: per cent.
        nodata: Its "no data", declared or found.
    """

    path: Path
    holds: Holds
    nodata: float | None

    @classmethod
    def of(cls, path: Path, raster: DatasetReader) -> Self:
        """Decide what an opened raster holds.

        Raises:
            BadOptionError: Without a CRS, or several bands.
            RadiometryUnknownError: Its numbers can mean several things.
        """
        if raster.crs is None:
            raise BadOptionError(f"{path} has no CRS, so its place on Earth is unknown. Save it with one.")
        if raster.count != 1:
            raise BadOptionError(
                f"{path} has {raster.count} bands; reference water is one band of 0/1 or occurrence 0..100."
            )
        nodata = raster.nodata
        values = _values(raster)
        if nodata is None and raster.dtypes[0] == "uint8" and JRC_UNKNOWN in values:
            nodata = _undeclared(path, values)
        return cls(path, _holds(path, values[values != nodata] if nodata is not None else values), nodata)

    def on(self, geobox: GeoBox) -> WaterMask:
        """The reference on a grid, or a window of one."""
        import rasterio
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        rows, columns = geobox.shape
        grid = {"crs": geobox.crs.to_wkt(), "transform": geobox.affine, "height": rows, "width": columns}
        with (
            rasterio.open(self.path) as raster,
            # an alpha band tells "outside the file" from a value that happens to be the fill
            WarpedVRT(raster, **grid, src_nodata=self.nodata, add_alpha=True, resampling=Resampling.nearest) as warped,
        ):
            values, alpha = warped.read(1), warped.read(2)
        if self.holds == "mask":
            self._check_mask(values[alpha > 0])
            values = values * 100.0
        found = WaterMask.from_occurrence(values, None)
        known = found.known & (alpha > 0)
        return WaterMask(found.water & known, known)

    def _check_mask(self, values: NDArray[np.generic]) -> None:
        """Refuse a raster whose decimated view was all 0 and 1 and which turns out to hold something else."""
        stray = (values != 0) & (values != 1) & (values != JRC_UNKNOWN) & (values == values)  # noqa: PLR0124 - NaN
        if stray.any():
            raise RadiometryUnknownError(
                f"{self.path} looked like a 0/1 mask and holds {values[stray][0]:g} too. "
                "Save permanent water as 1, the rest as 0."
            )


@dataclass(frozen=True, slots=True, eq=False)
class PolygonReference:
    """Permanent water from polygons. A pixel is water where its middle lies in one.

    A vector file does not say how far its author looked; the box around all its polygons is taken as that, so that
    a file which ends half-way across a map leaves the other half unknown instead of free of water.

    Attributes:
        path: The file, with the name of its layer where one was named.
        polygons: In the CRS of its first layer.
        notes: What of the file is used, and what is not.
    """

    path: str
    polygons: GeoSeries
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Read the polygons of every layer, or of the one that ``FILE|layername=NAME`` names.

        Raises:
            BadOptionError: Not a vector file, without a CRS, or without a polygon.
        """
        from geopandas import GeoSeries

        file = read_polygon_file(path, REFERENCE)
        file.check(REFERENCE)
        crs, polygons = file.merged()
        return cls(str(path), GeoSeries(list(polygons), crs=crs), file.notes())

    def on(self, geobox: GeoBox) -> WaterMask:
        """The reference on a grid, or a window of one."""
        from geopandas import GeoSeries
        from rasterio.features import geometry_mask
        from shapely import box

        wkt, shape = geobox.crs.to_wkt(), tuple(geobox.shape)
        around = geobox.extent.to_crs(self.polygons.crs.to_wkt()).boundingbox
        # cut to the surroundings first: what lies half a world away has no place in a UTM zone
        margin = max(around.span_x, around.span_y)
        near = (around.left - margin, around.bottom - margin, around.right + margin, around.top + margin)
        covered = GeoSeries([box(*self.polygons.total_bounds)], crs=self.polygons.crs).clip_by_rect(*near)
        polygons = self.polygons.cx[near[0] : near[2], near[1] : near[3]].clip_by_rect(*near)

        def burnt(shapes: GeoSeries) -> NDArray[np.bool_]:
            shapes = shapes[~shapes.is_empty].segmentize(margin / 100).to_crs(wkt)
            if shapes.empty:
                return np.zeros(shape, bool)
            return np.asarray(geometry_mask(shapes, shape, geobox.affine, invert=True), bool)

        water = burnt(polygons)
        return WaterMask(water, burnt(covered) | water)


def _values(raster: DatasetReader) -> NDArray[np.generic]:
    """Distinct values of a raster seen at no more than 2048 x 2048, NaN left out."""
    step = max(raster.height / _SURVEY_PX, raster.width / _SURVEY_PX, 1)
    seen = raster.read(1, out_shape=(int(raster.height // step) or 1, int(raster.width // step) or 1))
    found: NDArray[np.generic] = np.unique(seen)
    return found[~np.isnan(found)] if found.dtype.kind == "f" else found


def _undeclared(path: Path, values: Iterable[float]) -> float:
    """255 beside 0/1 or 0..100 is the JRC's "no data", often undeclared; beside 0 alone it may as well be water."""
    if set(values) == {0, JRC_UNKNOWN}:
        raise RadiometryUnknownError(
            f"{path} holds 0 and 255 and declares no nodata: 255 may be water or no data. "
            "Save it as 0/1, or declare its nodata."
        )
    return JRC_UNKNOWN


def _holds(path: Path, values: NDArray[np.generic]) -> Holds:
    numbers = sorted(float(value) for value in values)
    whole = all(number.is_integer() for number in numbers)
    if set(numbers) <= {0.0, 1.0}:
        return "mask"
    if whole and numbers[0] >= 0 and MONTHS_A_YEAR < numbers[-1] <= 100:
        return "occurrence"
    raise RadiometryUnknownError(
        f"{path} holds {len(numbers)} values from {numbers[0]:g} to {numbers[-1]:g}: neither a 0/1 mask nor clearly an "
        "occurrence in per cent (0..100). Save permanent water as 1, the rest as 0."
    )
