"""Read reference water: where water lies in ordinary years, and where that is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.core.area import BBox
from geoseg.core.request import ReferenceKind
from geoseg.core.vectors import VectorRole, read_polygon_file, split_layer
from geoseg.errors import BadOptionError, RadiometryUnknownError, SceneUnreadableError

if TYPE_CHECKING:
    from geopandas import GeoSeries
    from odc.geo.geobox import GeoBox
    from rasterio.io import DatasetReader

OCCURRENCE_PCT = 50
"""Water in at least half of the clear observations of 1984 to today counts as permanent (JRC Global Surface Water)."""
JRC_UNKNOWN = 255
PERCENT = ("%", "percent", "per cent", "pct")
_SURVEY_PX = 2048

REFERENCE = VectorRole("reference water", "Reference water is one or more polygons, or a raster.", BadOptionError)


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
        """Number of pixels that the reference does not cover."""
        return int(self.known.size - np.count_nonzero(self.known))

    @classmethod
    def from_occurrence(
        cls, occurrence: NDArray[np.generic], nodata: float | None, *, from_pct: float = OCCURRENCE_PCT
    ) -> Self:
        """Take as water what was water in at least ``from_pct`` per cent of the observations.

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
    """A file of permanent water; in ``gap``, ``{share}`` stands for the share of the flood."""

    @property
    def notes(self) -> tuple[str, ...]:
        """How the file is read."""

    @property
    def gap(self) -> str:
        """Sentence about flood that the file does not cover."""

    def bbox(self) -> BBox:
        """Compute the extent in degrees (WGS 84); east is beyond 180 where it crosses the antimeridian."""

    def on(self, geobox: GeoBox) -> WaterMask:
        """Read the reference on a grid, or on a window of one."""


def open_reference(path: Path | str, kind: ReferenceKind | None = None) -> ReferenceWater:
    """Open a file of reference water: a raster (0/1, or occurrence 0..100), or polygons in any CRS.

    Args:
        path: The file, or ``FILE|layername=NAME``.
        kind: What the values of a raster are; None: a mask where all are 0 or 1, else what the file declares.

    Raises:
        BadOptionError: No such file, neither raster nor vector, without a CRS, or without a polygon; or ``kind`` was
            given for polygons.
        RadiometryUnknownError: A raster whose values can mean several things, or are not of ``kind``.
    """
    from rasterio.errors import RasterioIOError

    from geoseg.core.open_raster import block_fault, closing_raster

    file, layer = split_layer(path)
    if not file.exists():
        raise BadOptionError(f"There is no reference water file {file}.")
    if layer is None:
        try:
            with closing_raster(file) as raster:
                if fault := block_fault(raster):
                    raise BadOptionError(f"{file} {fault}.")
                return RasterReference.of(file, raster, kind)
        except SceneUnreadableError as error:
            raise BadOptionError(str(error)) from None
        except RasterioIOError:
            if _is_vrt(file):
                raise BadOptionError(
                    f"{file} is a GDAL virtual file, made to point to others. Save it with `gdal_translate {file.name} "
                    f"{file.stem}.tif`, and take that."
                ) from None
    polygons = PolygonReference.open(path)
    if kind is not None:
        raise BadOptionError(f"--reference-kind {kind} applies to rasters; {path} holds polygons. Leave it out.")
    return polygons


def _is_vrt(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(100).lstrip().startswith(b"<VRTDataset")


@dataclass(frozen=True, slots=True)
class RasterReference:
    """Permanent water from a raster. Read window by window, nearest neighbour. Picklable.

    Attributes:
        path: The raster.
        holds: ``mask``: 0 or 1; ``occurrence``: per cent.
        nodata: Its "no data", declared or found.
        notes: What the file declares, where that decided.
    """

    path: Path
    holds: ReferenceKind
    nodata: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, raster: DatasetReader, kind: ReferenceKind | None = None) -> Self:
        """Decide what an opened raster holds.

        Raises:
            BadOptionError: Without a CRS, or several bands.
            RadiometryUnknownError: Its values can mean several things, or are not of ``kind``.
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
        numbers = sorted(float(value) for value in values if nodata is None or value != nodata)
        declared = _declared_occurrence(raster)
        holds = _holds(path, numbers, kind, declared)
        if kind is None and holds == "occurrence":
            said = f"{path.name}: read as water occurrence in per cent, because the file declares {declared}."
            return cls(path, holds, nodata, (f"{said} Permanent water is {OCCURRENCE_PCT} % or more.",))
        return cls(path, holds, nodata)

    @property
    def gap(self) -> str:
        """Sentence about flood that the raster does not cover."""
        return f"For {{share}} of the flood {self.path.name} says nothing: some may be permanent."

    def bbox(self) -> BBox:
        """Compute the extent in degrees."""
        from geoseg.core.open_raster import closing_raster

        with closing_raster(self.path) as raster:
            return _to_degrees(raster.crs.to_wkt(), tuple(raster.bounds))

    def on(self, geobox: GeoBox) -> WaterMask:
        """Read the reference on a grid; unknown where the raster has no data or does not reach."""
        from rasterio.enums import Resampling
        from rasterio.vrt import WarpedVRT

        from geoseg.core.open_raster import closing_raster

        rows, columns = geobox.shape
        grid = {"crs": geobox.crs.to_wkt(), "transform": geobox.affine, "height": rows, "width": columns}
        with (
            closing_raster(self.path) as raster,
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
                f"{self.path} cannot be used as a mask of permanent water: expected only 0 and 1, got "
                f"{values[stray][0]:g}. Save permanent water as 1, the rest as 0; or, for occurrence in per cent, "
                "add --reference-kind occurrence."
            )


@dataclass(frozen=True, slots=True, eq=False)
class PolygonReference:
    """Permanent water from polygons: a pixel is water where its middle lies in one.

    A vector file does not state which area it describes. Within the box around all its polygons it is taken as
    complete; beyond that box permanent water is unknown, so that a file which ends half-way across a map leaves the
    other half unknown instead of free of water.

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

    @property
    def gap(self) -> str:
        """Sentence about flood beyond the box around all polygons."""
        name = Path(self.path).name
        return (
            f"{{share}} of the flood lies outside the bounding box of the polygons in {name}. If the file does not "
            "hold all permanent water there, some of it may be permanent."
        )

    def bbox(self) -> BBox:
        """Compute the extent in degrees."""
        west, south, east, north = (float(number) for number in self.polygons.total_bounds)
        return _to_degrees(self.polygons.crs.to_wkt(), (west, south, east, north))

    def on(self, geobox: GeoBox) -> WaterMask:
        """Read the reference on a grid, or on a window of one."""
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
    """List the distinct values of a raster decimated to at most 2048 x 2048 pixels, NaN left out."""
    step = max(raster.height / _SURVEY_PX, raster.width / _SURVEY_PX, 1)
    seen = raster.read(1, out_shape=(int(raster.height // step) or 1, int(raster.width // step) or 1))
    found: NDArray[np.generic] = np.unique(seen)
    return found[~np.isnan(found)] if found.dtype.kind == "f" else found


def _undeclared(path: Path, values: Iterable[float]) -> float:
    """Take 255 beside 0/1 or 0..100 as the JRC's undeclared "no data"; beside 0 alone it may as well be water."""
    if set(values) == {0, JRC_UNKNOWN}:
        raise RadiometryUnknownError(
            f"{path} holds 0 and 255 and declares no nodata: 255 may be water or no data. "
            "Save it as 0/1, or declare its nodata."
        )
    return JRC_UNKNOWN


def _declared_occurrence(raster: DatasetReader) -> str | None:
    """Name what declares that a raster is water occurrence in per cent: its description, or a unit of per cent.

    A unit alone is not believed beside a description of something else, such as tree cover in per cent.
    """
    unit = str(raster.units[0] or raster.tags(1).get("units") or "").strip()
    told = (raster.descriptions[0], raster.tags(1).get("long_name"), raster.tags().get("TIFFTAG_IMAGEDESCRIPTION"))
    description = next((str(text).strip() for text in told if text), "")
    if "occurrence" in description.casefold():
        return f"{description[:60]!r}"
    if unit.casefold() in PERCENT and (not description or "water" in description.casefold()):
        return f"the unit {unit!r}"
    return None


def _holds(path: Path, numbers: list[float], kind: ReferenceKind | None, declared: str | None) -> ReferenceKind:
    """Decide what the values of a raster mean: nothing is taken for occurrence because of its range alone.

    Raises:
        RadiometryUnknownError: Undecided, or not of ``kind``.
    """
    is_mask = set(numbers) <= {0.0, 1.0}
    if kind is None and is_mask and not (declared and 1.0 in numbers):
        return "mask"
    held = f"{len(numbers)} values from {numbers[0]:g} to {numbers[-1]:g}" if numbers else "no value"
    if kind is None and declared is None:
        raise RadiometryUnknownError(
            f"{path} cannot be used as reference water: expected a mask of 0 and 1, got {held}. If they are water "
            "occurrence in per cent, add --reference-kind occurrence; otherwise save permanent water as 1, the rest "
            "as 0."
        )
    if kind is None and is_mask:
        raise RadiometryUnknownError(
            f"{path} declares {declared}, and its values are 0 and 1 only: a mask, or occurrence up to 1 %. Add "
            "--reference-kind mask or --reference-kind occurrence."
        )
    if kind == "mask" and not is_mask:
        raise RadiometryUnknownError(
            f"{path} cannot be used with --reference-kind mask: expected 0 and 1, got {held}. Save permanent water "
            "as 1, the rest as 0."
        )
    if kind == "mask":
        return "mask"
    if numbers and (numbers[0] < 0 or numbers[-1] > 100):
        raise RadiometryUnknownError(
            f"{path} cannot be used as water occurrence: expected per cent 0..100, got {held}. Save permanent water "
            "as 1, the rest as 0."
        )
    if any(not number.is_integer() for number in numbers) and numbers[-1] <= 1:
        raise RadiometryUnknownError(
            f"{path} cannot be used as water occurrence: expected per cent 0..100, got shares up to {numbers[-1]:g}. "
            "Multiply them by 100."
        )
    return "occurrence"


def _to_degrees(wkt: str, bounds: tuple[float, float, float, float]) -> BBox:
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(wkt, "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(*bounds, densify_pts=21)
    return west, south, east + 360 if east < west else east, north
