"""Read the polygons of a vector file: the one reader behind AOIs, labels, reference water and building footprints.

A file is named as QGIS names it: ``file.gpkg``, or ``file.gpkg|layername=NAME`` for one of its layers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.core.quiet import quiet_gdal
from geoseg.errors import BadOptionError, GeosegError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

BEYOND_EARTH = 1e8
"""No coordinate in metres, feet or degrees is larger than this."""
MOST_FAULTS = 5
"""Faults of a file that a message names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class VectorRole:
    """How messages speak of a vector file.

    Attributes:
        noun: What the file is used as, with its article: ``an AOI``.
        advice: What such a file holds, as a sentence.
        error: Raised for content that cannot be used.
        missing: Raised for a file that does not exist.
        may_be_empty: A file without a feature is sound: nothing was found there.
    """

    noun: str
    advice: str
    error: type[GeosegError]
    missing: type[GeosegError] = BadOptionError
    may_be_empty: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class PolygonLayer:
    """The polygons of one layer.

    Attributes:
        name: Of the layer.
        crs: Coordinate system of ``polygons``, as PROJ reads it; "" where the layer has none.
        polygons: Valid polygons and multipolygons, two-dimensional, none empty.
        features: Number of each polygon's feature in the layer, from 1.
        fields: Attribute values by field name, aligned with ``polygons``.
        without_geometry: Features that have none, or an empty one.
        without_area: Features that are points or lines.
        faults: What makes the layer unusable, each as a clause.
    """

    name: str
    crs: str
    polygons: tuple[BaseGeometry, ...]
    features: tuple[int, ...]
    fields: Mapping[str, tuple[Any, ...]]
    without_geometry: int
    without_area: int
    faults: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class PolygonFile:
    """The layers of a vector file that hold polygons, or faults; at least one, unless its role allows none.

    Attributes:
        source: As the person named it.
        path: The file.
        layers: The layer that was named, or every layer with polygons.
        several: A layer is one of several in the file, so that a message names it.
    """

    source: str
    path: Path
    layers: tuple[PolygonLayer, ...]
    several: bool

    def where(self, layer: PolygonLayer, feature: int) -> str:
        """Name a feature in a message."""
        return f"layer {layer.name!r}, feature {feature}" if self.several else f"feature {feature}"

    def check(self, role: VectorRole, more: Sequence[str] = ()) -> None:
        """Refuse a file with faults, telling them all at once.

        Args:
            role: What the file is used as.
            more: Faults that the caller found, each as a clause.

        Raises:
            GeosegError: ``role.error``.
        """
        faults = [fault for layer in self.layers for fault in layer.faults] + list(more)
        if faults:
            rest = f"; and {len(faults) - MOST_FAULTS} more faults" if len(faults) > MOST_FAULTS else ""
            told = "; ".join(faults[:MOST_FAULTS])
            raise role.error(f"{self.source} cannot be used as {role.noun}: {told}{rest}.")

    def notes(self) -> tuple[str, ...]:
        """Say which layers are read, and which features are not."""
        notes = []
        if len(self.layers) > 1:
            notes.append(
                f"{self.source}: all {len(self.layers)} layers with polygons are used "
                f"({', '.join(layer.name for layer in self.layers)}). For one of them write {self.path}|layername=NAME."
            )
        for layer in self.layers:
            name = f"{self.source}, layer {layer.name!r}" if self.several else self.source
            if layer.without_geometry:
                notes.append(f"{name}: {_features(layer.without_geometry)} without geometry left out.")
            if layer.without_area:
                notes.append(f"{name}: {_features(layer.without_area)} without area (points or lines) left out.")
        return tuple(notes)

    def merged(self) -> tuple[str, tuple[BaseGeometry, ...]]:
        """All polygons in the CRS of the first layer, and that CRS; degrees (WGS 84) where there are none."""
        if not self.layers:
            return "EPSG:4326", ()
        crs = self.layers[0].crs
        return crs, tuple(each for layer in self.layers for each in reproject(layer.polygons, layer.crs, crs))


def split_layer(source: str | Path) -> tuple[Path, str | None]:
    """Take ``file.gpkg|layername=NAME`` apart; a layer by number (``|layerid=1``) is given as ``"#1"``.

    Raises:
        BadOptionError: A part after ``|`` that is neither a layer's name nor its number.
    """
    text = str(source)
    if "|" not in text or Path(text).exists():
        return Path(text), None
    path, *parts = text.split("|")
    layer = None
    for part in parts:
        key, _, value = part.partition("=")
        if key.casefold() == "layername" and value:
            layer = value
        elif key.casefold() == "layerid" and value.isdigit():
            layer = layer or f"#{value}"
        elif key.casefold() != "geometrytype":
            raise BadOptionError(
                f"{text!r} is not understood: expected FILE|layername=NAME, got |{part}. "
                "Export the features that you want to a file of their own."
            )
    return Path(path), layer


def read_polygon_file(source: str | Path, role: VectorRole, layer: str | None = None) -> PolygonFile:
    """Read the polygons of a GeoPackage, GeoJSON, Shapefile, or whatever else GDAL reads.

    Geometry collections are taken apart, polygons that cross themselves are made valid, and what cannot be used is
    kept as ``faults`` for :meth:`PolygonFile.check`.

    Args:
        source: The file, or ``FILE|layername=NAME``.
        role: What the file is used as.
        layer: Name of a layer; None: the one that ``source`` names, or every layer.

    Raises:
        BadOptionError: Two different layers are named, or one that the file does not have.
        GeosegError: ``role.missing``: no such file. ``role.error``: not a vector file, or one without a polygon.
    """
    path, named = split_layer(source)
    if layer and named and layer != named:
        raise BadOptionError(f"{source} names a layer and --layer {layer} another one. Name one of them.")
    layer = layer or named
    if not path.exists():
        raise role.missing(f"There is no file {path} to use as {role.noun}.")
    names = _layer_names(path, role)
    chosen = [_choose(layer, names, path)] if layer else names
    read = [_read_layer(path, name, role, several=len(names) > 1) for name in chosen]
    layers = tuple(each for each in read if each.polygons or each.faults)
    empty, flat = (sum(getattr(each, key) for each in read) for key in ("without_geometry", "without_area"))
    if not layers and (flat or not role.may_be_empty):
        counts = ((empty, "without geometry"), (flat, "without area (points or lines)"))
        told = ", ".join(f"{_features(count)} {kind}" for count, kind in counts if count)
        raise role.error(f"{source} holds no polygon{f' ({told})' * bool(told)}. {role.advice}")
    return PolygonFile(str(source), path, layers, len(names) > 1)


def reproject(geometries: Sequence[BaseGeometry], source: str, target: str) -> tuple[BaseGeometry, ...]:
    """Transform corners from one CRS to another; x before y in both. What has no place there becomes infinite."""
    import numpy as np
    import shapely
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    if source == target or not geometries:
        return tuple(geometries)
    try:
        transformer = Transformer.from_crs(source, target, always_xy=True)
    except ProjError:
        return tuple(shapely.transform(each, lambda xy: np.full_like(xy, np.inf)) for each in geometries)
    moved = shapely.transform(
        np.array(geometries, dtype=object), lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    return tuple(moved)


def polygons_of(geometry: BaseGeometry) -> BaseGeometry:
    """Extract the valid surface of a geometry: a bow tie becomes two triangles, a line nothing.

    Returns:
        A polygon or multipolygon, empty where the geometry covers no ground.
    """
    from shapely import get_parts, make_valid
    from shapely.geometry import MultiPolygon, Polygon

    if geometry.geom_type == "GeometryCollection":
        surfaces = [surface for part in get_parts(geometry) if not (surface := polygons_of(part)).is_empty]
        return surfaces[0] if len(surfaces) == 1 else _union(surfaces)
    valid = geometry if geometry.is_valid else make_valid(geometry)
    if isinstance(valid, Polygon | MultiPolygon):
        return valid
    # a collection may hold multipolygons: taken apart twice
    return MultiPolygon([each for part in get_parts(valid) for each in get_parts(part) if isinstance(each, Polygon)])


def _union(surfaces: Sequence[BaseGeometry]) -> BaseGeometry:
    from shapely import union_all

    return union_all(surfaces)


def _features(count: int) -> str:
    return f"{count} feature" if count == 1 else f"{count} features"


def _layer_names(path: Path, role: VectorRole) -> list[str]:
    """The layers that have a geometry: the styles that QGIS keeps in a GeoPackage have none."""
    import pyogrio

    if path.is_file() and re.match(rb"\s*<OGR\w+", _head(path, role)):
        raise role.error(f"{path} is a GDAL virtual file, made to point to others. Save it as GeoPackage.")
    try:
        with quiet_gdal():
            return [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    except Exception as error:  # noqa: BLE001 - pyogrio raises many kinds; all mean "not a vector file"
        raise role.error(f"{path} is not a vector file that GDAL can read ({_reason(error)}). {role.advice}") from None


def _head(path: Path, role: VectorRole) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(200)
    except OSError as error:
        raise role.error(f"{path} cannot be opened ({error.strerror}).") from None


def _choose(layer: str, names: Sequence[str], path: Path) -> str:
    """The layer that a person means; case does not matter where no layer is spelled exactly so."""
    if re.fullmatch(r"#\d+", layer) and int(layer[1:]) < len(names):
        return names[int(layer[1:])]
    alike = [name for name in names if name.casefold() == layer.casefold()]
    if layer in names or len(alike) == 1:
        return layer if layer in names else alike[0]
    raise BadOptionError(f"{path} has no layer {layer!r}. Its layers: {', '.join(names) or 'none'}.")


def _read_layer(path: Path, name: str, role: VectorRole, *, several: bool) -> PolygonLayer:
    import numpy as np
    import shapely
    from pyogrio.raw import read

    try:
        with quiet_gdal():
            meta, _, stored, columns = read(path, layer=name, force_2d=True)
    except Exception as error:  # noqa: BLE001 - as above; a damaged file fails here
        raise role.error(f"{path} cannot be read ({_reason(error)}). Save it again.") from None
    fields = [str(field) for field in meta["fields"]]
    stored = np.array([] if stored is None else stored, dtype=object)
    with np.errstate(invalid="ignore"):  # coordinates that are NaN are told as faults
        decoded = shapely.from_wkb(stored, on_invalid="ignore")
    said = f"layer {name!r}, " if several else ""
    crs, no_crs = _sound_crs(meta["crs"], path, said)
    faults: list[str] = []
    kept: list[tuple[int, BaseGeometry]] = []
    without_geometry = without_area = 0
    for row, (geometry, wkb) in enumerate(zip(decoded, stored, strict=True)):
        if wkb is None or (geometry is not None and geometry.is_empty):
            without_geometry += 1
        elif fault := _fault(geometry, wkb):
            faults.append(f"{said}feature {row + 1} {fault}")
        elif (surface := polygons_of(geometry)).area > 0:
            kept.append((row, surface))
        else:
            without_area += 1
    return PolygonLayer(
        name=name,
        crs=crs,
        polygons=tuple(surface for _, surface in kept),
        features=tuple(row + 1 for row, _ in kept),
        fields={field: tuple(values[row] for row, _ in kept) for field, values in zip(fields, columns, strict=True)},
        without_geometry=without_geometry,
        without_area=without_area,
        # a layer of points needs no CRS: it is not read
        faults=(*no_crs, *faults) if kept or faults else (),
    )


def _fault(geometry: BaseGeometry | None, wkb: bytes) -> str | None:
    """Why a geometry cannot be used, as a clause."""
    import numpy as np
    import shapely

    if geometry is None:
        try:
            with np.errstate(invalid="ignore"):
                shapely.from_wkb(wkb)
        except shapely.errors.ShapelyError as error:
            if "closed" in str(error) or "LinearRing" in str(error):
                return "has a ring that is not closed (its last corner must repeat its first)"
        return "has a geometry that cannot be read"
    corners = shapely.get_coordinates(geometry)
    if not np.isfinite(corners).all():
        return "has a coordinate that is not finite (infinite or NaN)"
    if np.abs(corners).max(initial=0) > BEYOND_EARTH:
        return f"lies nowhere on Earth (coordinate {corners.flat[np.abs(corners).argmax()]:g})"
    return None


def _sound_crs(crs: str | None, path: Path, said: str) -> tuple[str, tuple[str, ...]]:
    """The CRS of a layer where it is tied to the Earth; else "" and the fault."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    name = _geojson_crs(path) or crs
    if not name:
        return "", (f"{said}it has no CRS, so its position on Earth is unknown (save it with one)",)
    try:
        system = CRS.from_user_input(name)
    except CRSError:
        return "", (f"{said}its CRS {name[:60]!r} is unknown to PROJ",)
    if not (system.is_geographic or system.is_projected):
        return "", (f"{said}it has no CRS on Earth, only {system.name!r} (save it with one)",)
    if not _is_of_earth(system):
        return "", (f"{said}its CRS {system.name!r} is not of the Earth",)
    return str(crs), ()


def _geojson_crs(path: Path) -> str | None:
    """The CRS that a GeoJSON file names: GDAL takes degrees in its place, without a word, where it is unknown."""
    if path.suffix.casefold() not in (".geojson", ".json") or not path.is_file():
        return None
    found = re.search(rb'"crs"\s*:\s*\{[^{}]*\{[^{}]*"name"\s*:\s*("(?:[^"\\]|\\.)*")', path.read_bytes())
    try:
        return str(json.loads(found[1])) if found else None
    except ValueError:
        return None


def _is_of_earth(system: Any) -> bool:
    """Tell a CRS of the Earth from one of the Moon or of Mars, by the radius of its ellipsoid."""
    geodetic = system.geodetic_crs
    return geodetic is None or geodetic.ellipsoid is None or 6.3e6 < geodetic.ellipsoid.semi_major_metre < 6.5e6


def _reason(error: Exception) -> str:
    """The first sentence of a library's message, on one line."""
    text = str(error).replace("\n", " ").split(";")[0].strip().rstrip(".")
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__
