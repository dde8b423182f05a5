"""Labels that a person drew: polygons with a class, and those polygons on a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.target import WATER
from geoseg.core.vectors import PolygonFile, PolygonLayer, VectorRole, polygons_of, read_polygon_file, reproject
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadLabelsError, BadOptionError, NotTrainableError

if TYPE_CHECKING:
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
        from shapely import segmentize

        if crs == self.crs:
            return self
        extents = [max(g.bounds[2] - g.bounds[0], g.bounds[3] - g.bounds[1]) for g in self.geometries]
        bent = [segmentize(g, extent / EDGE_PARTS) for g, extent in zip(self.geometries, extents, strict=True)]
        return replace(self, crs=crs, geometries=reproject(bent, self.crs, crs))

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
        parts = [polygons_of(geometry.intersection(outline)) for geometry in self.geometries]
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


LABELS = VectorRole(
    "labels", "Labels are a GeoPackage, GeoJSON or Shapefile of polygons, each with its class.", BadLabelsError
)


def read_polygons(
    path: Path | str,
    classes: Sequence[str] = WATER.classes,
    class_field: str = "class",
    layer: str | None = None,
) -> Polygons:
    """Read a GeoPackage, GeoJSON or Shapefile of labelled polygons.

    Args:
        path: The file, or ``FILE|layername=NAME``.
        classes: Name of each class.
        class_field: Attribute that holds a class's name or its index. Case matters in neither.
        layer: Name of the layer; None: every layer that has polygons and the field.

    Returns:
        The polygons of a class. Those whose class is empty are left out, and counted in a note.

    Raises:
        BadOptionError: No such file, layer or field.
        BadLabelsError: Not a vector file, without a CRS, without a polygon, or with values that name no class; all
            faults at once.
    """
    file = read_polygon_file(path, LABELS, layer)
    names = {each.name: _field_of(each.fields, class_field) for each in file.layers}
    with_field = tuple(each for each in file.layers if names[each.name] is not None)
    if not with_field:
        raise BadOptionError(_no_field(file, class_field))
    kept: list[tuple[PolygonLayer, list[int], list[int]]] = []
    faults: list[str] = []
    notes = [
        f"{file.source}, layer {each.name!r}: no field {class_field!r}, so the layer is left out."
        for each in file.layers
        if names[each.name] is None
    ]
    file = replace(file, layers=with_field)
    for each in file.layers:
        field = str(names[each.name])
        rows, indices, empty = _classes_of(each, field, file, classes, faults)
        if rows:
            kept.append((each, rows, indices))
        if empty:
            where = f"{file.source}, layer {each.name!r}" if file.several else file.source
            count = "1 polygon" if empty == 1 else f"{empty} polygons"
            notes.append(f"{where}: {count} without a value in {field!r} left out.")
    if faults:
        faults.append(f"allowed are {', '.join(f'{name!r} or {index}' for index, name in enumerate(classes))}")
    file.check(LABELS, faults)
    if not kept:
        raise BadLabelsError(f"{file.source}: no polygon has a value in {class_field!r}. Give each its class.")
    used = replace(file, layers=tuple(each for each, _, _ in kept))
    crs = kept[0][0].crs
    geometries: list[BaseGeometry] = []
    for each, rows, _ in kept:
        geometries += reproject([each.polygons[row] for row in rows], each.crs, crs)
    return Polygons(
        source=used.path,
        crs=crs,
        geometries=tuple(geometries),
        indices=tuple(index for _, _, indices in kept for index in indices),
        classes=tuple(classes),
        notes=(*used.notes(), *notes),
    )


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


def _field_of(fields: Mapping[str, Any], name: str) -> str | None:
    """The field that a person means: as spelled, else the only one that differs in case alone."""
    alike = [each for each in fields if each.casefold() == name.casefold()]
    if name in fields:
        return name
    return alike[0] if len(alike) == 1 else None


def _no_field(file: PolygonFile, name: str) -> str:
    """Say which fields there are instead, layer by layer."""
    there = "; ".join(
        (f"layer {layer.name!r} has {', '.join(layer.fields) or 'none'}" if file.several else "it has ")
        + ("" if file.several else ", ".join(layer.fields) or "none")
        for layer in file.layers
    )
    return f"{file.source} has no field {name!r}: {there}. Name the one that holds the class with --class-field."


def _classes_of(
    layer: PolygonLayer, field: str, file: PolygonFile, classes: Sequence[str], faults: list[str]
) -> tuple[list[int], list[int], int]:
    """Look up the class of each polygon of a layer; values that name none are added to ``faults``.

    Returns:
        Positions of the polygons that have a class, the index of each one's class, and how many have none.
    """
    rows: list[int] = []
    indices: list[int] = []
    empty = 0
    for row, (value, feature) in enumerate(zip(layer.fields[field], layer.features, strict=True)):
        text = "" if value is None or value != value else str(value).strip()  # noqa: PLR0124 - NaN alone differs from itself
        index = _index(text, classes)
        if not text:
            empty += 1
        elif index is None:
            faults.append(f"{file.where(layer, feature)} has {field!r} {text[:40]!r}, which is not a class")
        else:
            rows.append(row)
            indices.append(index)
    return rows, indices, empty


def _index(text: str, classes: Sequence[str]) -> int | None:
    """Index of the class that a text names, or gives as a number; None where it does neither."""
    names = [name.casefold() for name in classes]
    if text.casefold() in names:
        return names.index(text.casefold())
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number in range(len(classes)) else None
