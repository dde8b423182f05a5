"""Labels that a person drew: polygons with a class, and those polygons on a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.target import WATER
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadLabelsError, BadOptionError, NotTrainableError

if TYPE_CHECKING:
    import geopandas
    from affine import Affine
    from shapely.geometry.base import BaseGeometry

EDGE_PARTS = 64
"""A straight edge in one coordinate system is a curve in another: this many corners along a polygon's extent."""


@dataclass(frozen=True)
class Polygons:
    """Labelled polygons.

    Attributes:
        source: The file.
        crs: Coordinate system of ``geometries``, as rasterio and pyproj read it.
        geometries: Polygons and multipolygons, valid.
        indices: Class of each: index into ``classes``.
        classes: Name of each class.
        notes: What was left out of the file.
    """

    source: Path
    crs: str
    geometries: tuple[BaseGeometry, ...]
    indices: tuple[int, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to(self, crs: str) -> Polygons:
        """The same in another coordinate system, straight edges bent as they should be."""
        import geopandas
        from shapely import segmentize

        if crs == self.crs:
            return self
        extents = [max(g.bounds[2] - g.bounds[0], g.bounds[3] - g.bounds[1]) for g in self.geometries]
        bent = [segmentize(g, extent / EDGE_PARTS) for g, extent in zip(self.geometries, extents, strict=True)]
        return replace(self, crs=crs, geometries=tuple(geopandas.GeoSeries(bent, crs=self.crs).to_crs(crs)))

    def where(self, keep: Sequence[int]) -> Polygons:
        """Only the polygons of these positions."""
        return replace(
            self,
            geometries=tuple(self.geometries[each] for each in keep),
            indices=tuple(self.indices[each] for each in keep),
        )

    def within(self, outline: BaseGeometry) -> Polygons:
        """The parts inside an outline in the same coordinate system."""
        # where an edge runs along the outline, lines come along with the polygon
        parts = [_surface(geometry.intersection(outline)) for geometry in self.geometries]
        kept = [each for each, part in enumerate(parts) if part.area > 0]
        return replace(self.where(kept), geometries=tuple(parts[each] for each in kept))

    def rasterise(self, transform: Affine, shape: tuple[int, int]) -> tuple[NDArray[np.int16], int]:
        """The polygons on a grid of their own coordinate system. A pixel is inside where its middle is.

        Args:
            transform: From (column, row) to coordinates of ``crs``.
            shape: Rows and columns.

        Returns:
            int16 (y, x), index of the class, ``UNLABELLED`` where nothing was drawn and where polygons of different
            classes contradict each other; and the number of pixels where they do.
        """
        from rasterio.features import rasterize

        mask = np.full(shape, UNLABELLED, dtype=np.int16)
        contradicted = np.zeros(shape, dtype=np.bool_)
        for index in sorted(set(self.indices)):
            own = [g for g, each in zip(self.geometries, self.indices, strict=True) if each == index]
            drawn = rasterize(own, out_shape=shape, transform=transform, dtype="uint8").astype(np.bool_)
            contradicted |= drawn & (mask != UNLABELLED)
            mask[drawn] = index
        mask[contradicted] = UNLABELLED
        return mask, int(contradicted.sum())


BEYOND_EARTH = 1e8
"""No coordinate in metres, feet or degrees is larger than this."""


def read_polygons(path: Path, classes: Sequence[str] = WATER.classes, class_field: str = "class") -> Polygons:
    """Read a GeoPackage, GeoJSON or Shapefile of labelled polygons.

    Args:
        path: The file; of several layers, those that hold polygons.
        classes: Name of each class.
        class_field: Attribute that holds a class's name (case does not matter) or its index.

    Raises:
        BadOptionError: No such file, or no such field.
        BadLabelsError: No vector file, no coordinate system, no polygon, or a value that is no class.
    """
    frames = _layers(Path(path))
    crs = str(frames[0].crs.to_string())
    geometries: list[BaseGeometry] = []
    indices: list[int] = []
    empty = others = 0
    for frame in frames:
        values = _field(frame, class_field, path)
        moved = frame.geometry if frame.crs == frames[0].crs else frame.geometry.to_crs(frames[0].crs)
        for row, (geometry, value) in enumerate(zip(moved, values, strict=True), start=1):
            if geometry is None or geometry.is_empty:
                empty += 1
                continue
            if not all(abs(bound) < BEYOND_EARTH for bound in geometry.bounds):
                raise BadLabelsError(f"{path}, feature {row}, lies nowhere on Earth: {geometry.bounds}. Mend it.")
            surface = _surface(geometry)
            if surface.area == 0:
                others += 1
                continue
            geometries.append(surface)
            indices.append(_index(value, tuple(classes), f"{path}, feature {row}, {class_field!r}"))
    if not geometries:
        raise BadLabelsError(
            f"{path} holds no polygon ({empty} features without geometry, {others} that are points or lines). "
            "Draw areas and give each its class."
        )
    notes = []
    if empty:
        notes.append(f"{path}: {empty} features without geometry were left out.")
    if others:
        notes.append(f"{path}: {others} features that are no areas were left out.")
    return Polygons(Path(path), crs, tuple(geometries), tuple(indices), tuple(classes), tuple(notes))


def check_classes(counts: Mapping[int, int], classes: Sequence[str], where: str) -> None:
    """Refuse labels that nothing can be learnt from.

    Args:
        counts: Labelled pixels (or polygons) by class index.
        classes: Name of each class.
        where: The labels, for the message.

    Raises:
        NotTrainableError: No label, or labels of one class only.
    """
    present = [classes[index] for index, count in sorted(counts.items()) if count > 0 and index != UNLABELLED]
    if not present:
        raise NotTrainableError(f"{where} labels nothing. Draw some {' and some '.join(classes)}.")
    if len(present) == 1:
        missing = [name for name in classes if name not in present]
        raise NotTrainableError(
            f"{where} labels only {present[0]!r}: a model that is shown nothing else learns to say it everywhere. "
            f"Draw some {' or '.join(missing)} as well."
        )


def _layers(path: Path) -> list[geopandas.GeoDataFrame]:
    """Every layer with geometry, each in a coordinate system that is tied to the Earth."""
    import geopandas

    if not path.exists():
        raise BadOptionError(f"There is no labels file {path}.")
    try:
        names = geopandas.list_layers(path)["name"]
        read = [geopandas.read_file(path, layer=name) for name in names]
    except Exception as error:  # noqa: BLE001 - pyogrio raises many kinds; all mean "not a vector file"
        raise BadLabelsError(
            f"{path} is not a vector file that GDAL can read ({type(error).__name__}). "
            "Labels are a GeoPackage, GeoJSON or Shapefile of polygons."
        ) from None
    frames = [frame for frame in read if isinstance(frame, geopandas.GeoDataFrame) and len(frame)]
    if not frames:
        raise BadLabelsError(f"{path} holds no feature. Draw areas and give each its class.")
    if any(frame.crs is None or not (frame.crs.is_geographic or frame.crs.is_projected) for frame in frames):
        raise BadLabelsError(f"{path} has no CRS, so its place on Earth is unknown. Save it with one.")
    return frames


def _field(frame: geopandas.GeoDataFrame, name: str, path: Path) -> list[Any]:
    fields = [str(column) for column in frame.columns if column != frame.geometry.name]
    if name not in fields:
        raise BadOptionError(
            f"{path} has no field {name!r}; it has {', '.join(fields) or 'none'}. "
            "Name the one that holds the class with --class-field."
        )
    return list(frame[name])


def _index(value: Any, classes: tuple[str, ...], where: str) -> int:
    """Index of the class that a value names.

    Raises:
        BadLabelsError: It names none.
    """
    names = [name.casefold() for name in classes]
    text = "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 - NaN alone differs from itself
    if text.casefold() in names:
        return names.index(text.casefold())
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if number in range(len(classes)):
        return int(number)
    allowed = ", ".join(f"{name!r} or {index}" for index, name in enumerate(classes))
    said = f"is {text!r}" if text else "is empty"
    raise BadLabelsError(f"{where} {said}, which is no class. Allowed: {allowed}.")


def _surface(geometry: BaseGeometry) -> BaseGeometry:
    """What of a geometry covers ground, valid: a bow tie becomes two triangles, a line nothing."""
    from shapely import get_parts, make_valid
    from shapely.geometry import MultiPolygon, Polygon

    valid = geometry if geometry.is_valid else make_valid(geometry)
    if isinstance(valid, Polygon | MultiPolygon):
        return valid
    # a collection may hold multipolygons: taken apart twice
    return MultiPolygon([each for part in get_parts(valid) for each in get_parts(part) if isinstance(each, Polygon)])
