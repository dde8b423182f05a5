"""Chips of a catalogue's scenes under polygons that a person drew; nothing else of the scenes is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray
from shapely import STRtree, to_geojson, to_wkb, union_all
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.catalog.target import WATER, TargetClass
from geoseg.core.area import Area, check_bbox
from geoseg.core.grid import output_grid
from geoseg.core.request import Dates
from geoseg.core.scene import Found, Scene, passes
from geoseg.datasets.cubes import common_bands, image_of, lazy, middle_of, place_words, shape_of
from geoseg.datasets.pair import UNLABELLED, Georeference, LabelledSet, Pair
from geoseg.datasets.polygons import Polygons, check_classes, read_polygons
from geoseg.errors import AreaTooLargeError, BadOptionError, GeosegError, NoScenesError, ReadError
from geoseg.readers import Cube, refusal
from geoseg.sources.search import find_scenes

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

DEGREES = "EPSG:4326"
EVER = date(1900, 1, 1)

COARSEST_M = 1000.0
"""Largest pixel that labels are drawn into."""
MOST_MEGAPIXELS = 20_000.0
"""Largest grid over what is labelled of a place. Only its labelled windows are ever read."""

"""No imagery is older."""
PROBE_PX = 8
"""Side of the first look at a scene, which tells a dead file from a live one."""


@dataclass(frozen=True)
class OverpassLabels:
    """Scenes of one pass that lie together, and the polygons that they show.

    Attributes:
        scenes: Ordered by (time, id).
        outline: What they cover, degrees.
        shown: Positions of the polygons that lie at least in part in it.
    """

    scenes: tuple[Scene, ...]
    outline: BaseGeometry
    shown: tuple[int, ...]

    @property
    def name(self) -> str:
        """The first scene's id."""
        return self.scenes[0].id

    @property
    def time(self) -> datetime:
        """Of the first scene."""
        return self.scenes[0].time


@dataclass(frozen=True)
class DrawnLabels:
    """Polygons that a person drew.

    Attributes:
        path: GeoPackage, GeoJSON or Shapefile of polygons with a class, or ``FILE|layername=NAME``.
        layer: The layer to read; None: every layer with polygons and the field.
        class_field: Attribute of the polygons that holds the class.
        date: ``YYYY-MM-DD`` or ``FIRST/LAST`` that they hold for; None: any date, if only one pass shows each polygon.
        classes: Name of each class.
        meaning: Target class of class 1.
    """

    path: Path | str
    layer: str | None = None
    class_field: str = "class"
    date: str | None = None
    classes: tuple[str, ...] = WATER.classes
    meaning: TargetClass = WATER


@dataclass(frozen=True)
class ScenePixels:
    """Which imagery is read under labels, and in which windows.

    Attributes:
        catalogs: Folders made by ``geoseg catalog add``, STAC addresses, or catalogue names.
        sensor: Name of the sensor.
        bands: Bands to read; None: those of the sensor that every scene has.
        resolution_m: Pixel size in metres; None: the sensor's, as for a map.
        tile_px: Side of a window.
    """

    catalogs: tuple[str, ...]
    sensor: str
    bands: tuple[str, ...] | None = None
    resolution_m: float | None = None
    tile_px: int = 512


def labelled_scenes(labels: DrawnLabels, imagery: ScenePixels) -> LabelledSet:
    """Pair the scenes that polygons lie in with those polygons.

    Each pair is a window of ``tile_px`` x ``tile_px`` pixels of one pass, on a UTM grid whose edges are whole multiples
    of the resolution; only windows with a labelled pixel become pairs. No pixel is read but a few of every scene, to
    see that its files are alive.

    Returns:
        A region for each place: visits that show the same polygon belong to one.

    Raises:
        BadOptionError: No such file or field, or polygons that several passes show where no ``date`` was given.
        BadLabelsError: Labels that are no polygons with a class and a place.
        NotTrainableError: Labels of one class only.
        NoScenesError: No scene shows any of the polygons.
        ReadError: Not one scene can be read; says it of the first.
        CatalogError: A catalogue could not be asked.
    """
    catalogs, bands, resolution_m, tile_px = imagery.catalogs, imagery.bands, imagery.resolution_m, imagery.tile_px
    if resolution_m is not None and not 0 < resolution_m <= COARSEST_M:
        raise BadOptionError(f"--resolution is metres above 0 and up to {COARSEST_M:g}, not {resolution_m:g}.")
    record = sensor_record(imagery.sensor)
    drawn = read_polygons(labels.path, labels.classes, labels.class_field, labels.layer)
    check_classes(Counter(drawn.indices), drawn.classes, str(labels.path))
    found = _find(drawn, catalogs, imagery.sensor, Dates.parse(labels.date) if labels.date else None)
    scenes, skipped = _usable(found.scenes, bands)
    chosen = tuple(bands) if bands else common_bands(scenes, tuple(record.bands))
    visits = _visits(scenes, drawn)
    if labels.date is None:
        _check_one_pass(visits, drawn.source)
    if tile_px < 1:
        raise BadOptionError(f"A tile has at least one pixel, not {tile_px}.")
    made, dead = [], dict(skipped)
    for visit in visits:
        grid = LabelledGrid.of(visit, drawn, chosen, resolution_m or record.gsd_m, tile_px)
        alive, broken = grid.probed()
        dead |= broken
        if alive is not None:
            made.append(alive)
    if not made:
        raise ReadError(f"No scene under {labels.path} can be read. {_told(dead)}")
    regions = _regions([grid.visit for grid in made])
    windows = [(grid, window) for grid in made for window in grid.windows()]
    counts: Counter[int] = Counter()
    for _, window in windows:
        counts.update(window.counts)
    check_classes(counts, drawn.classes, f"{labels.path} on the scenes of {' and '.join(catalogs)}")
    return LabelledSet(
        name=drawn.source.stem,
        pairs=tuple(grid.pair(window, regions[grid.visit.name]) for grid, window in windows),
        bands=chosen,
        unit=record.unit,
        sensor=imagery.sensor,
        classes=drawn.classes,
        meaning=labels.meaning,
        sources=_sources(drawn.source, [grid.visit for grid in made]),
        simulated=any(_is_simulated(scene) for grid in made for scene in grid.visit.scenes),
        notes=_notes(drawn, made, dead, windows),
        piece="tile",
    )


# -- which scenes -----------------------------------------------------------------------------------------------------


def _find(drawn: Polygons, catalogs: Sequence[str], sensor: str, dates: Dates | None) -> Found:
    """The scenes of all catalogues that meet the polygons, each once."""
    if not catalogs:
        raise BadOptionError("Labels need imagery: name a catalogue with --scene.")
    area = _area(drawn)
    when = dates or Dates(EVER, datetime.now(UTC).date())
    scenes: dict[tuple[str, str], Scene] = {}
    nothing: list[NoScenesError] = []
    for catalog in catalogs:
        try:
            found = find_scenes(area, when, sensor, catalog)
        except NoScenesError as error:
            nothing.append(error)
            continue
        for scene in found.scenes:
            scenes.setdefault((scene.collection, scene.id), scene)
    if not scenes:
        covered = _covered(catalogs, sensor, when)
        if not covered:
            raise nothing[0]
        where = f"the {len(drawn.geometries)} polygons of {drawn.source} ({_box(area.bbox)})"
        raise NoScenesError(f"None of {where} lies in a scene of {sensor}. {'; '.join(covered)}, degrees W,S,E,N.")
    return Found(tuple(sorted(scenes.values(), key=lambda scene: (scene.time, scene.id))))


def _area(drawn: Polygons) -> Area:
    union = union_all(drawn.to(DEGREES).geometries)
    west, south, east, north = (float(number) for number in union.bounds)
    check_bbox((west, south, east, north))
    return Area((west, south, east, north), str(drawn.source), to_geojson(union))


def _covered(catalogs: Sequence[str], sensor: str, when: Dates) -> list[str]:
    """What each of a person's own catalogues covers."""
    covered = []
    for catalog in catalogs:
        if not Path(catalog).exists():
            continue  # a public catalogue covers the Earth: asking it for everything is no answer
        try:
            everything = find_scenes(Area.from_bbox("-180,-90,180,90"), when, sensor, catalog).scenes
        except GeosegError:
            continue  # the answer is "nothing" either way; a hint is not worth an error
        covered.append(f"{catalog} covers {_box(_bounds(scene.bbox for scene in everything))}")
    return covered


def _bounds(boxes: Iterable[tuple[float, float, float, float]]) -> tuple[float, ...]:
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _box(bounds: Iterable[float]) -> str:
    return ",".join(f"{number:.4f}" for number in bounds)


def _usable(scenes: Sequence[Scene], bands: Sequence[str] | None) -> tuple[list[Scene], dict[str, str]]:
    """Those whose bands can be read, as far as that is known without opening them, and why the others cannot.

    Raises:
        ReadError: None can.
    """
    reasons = {} if bands is None else {s.id: why for s in scenes if (why := refusal(s, bands))}
    kept = [scene for scene in scenes if scene.id not in reasons]
    if not kept:
        raise ReadError(f"No scene under the labels can be read. {_told(reasons)}")
    return kept, reasons


def _visits(scenes: Sequence[Scene], drawn: Polygons) -> list[OverpassLabels]:
    """Scenes by pass and by place, with the polygons that they show; those that show none are left out."""
    tree = STRtree(drawn.to(DEGREES).geometries)
    made = []
    for group in passes(scenes):
        for together in _neighbours(group):
            outline = union_all([_outline(scene) for scene in together])
            shown = tuple(sorted(int(each) for each in tree.query(outline, predicate="intersects")))
            if shown:
                made.append(OverpassLabels(tuple(together), outline, shown))
    return made


def _neighbours(scenes: Sequence[Scene]) -> list[list[Scene]]:
    """Scenes by connected outline: files of one date may lie on different continents."""
    from shapely import get_parts

    parts = get_parts(union_all([_outline(scene) for scene in scenes]))
    inside = [[scene for scene in scenes if _outline(scene).intersection(part).area > 0] for part in parts]
    return sorted((group for group in inside if group), key=lambda group: (group[0].time, group[0].id))


def _outline(scene: Scene) -> BaseGeometry:
    from shapely.geometry import box

    geometry = scene.item.get("geometry")
    return shape(geometry) if geometry else box(*scene.bbox)


def _check_one_pass(visits: Sequence[OverpassLabels], labels: Path) -> None:
    """What was drawn on one image need not be true of another day's."""
    days: dict[int, set[str]] = {}
    for visit in visits:
        for polygon in visit.shown:
            days.setdefault(polygon, set()).add(f"{visit.time:%Y-%m-%d}")
    shown = Counter(polygon for visit in visits for polygon in visit.shown)
    twice = [polygon for polygon, count in shown.items() if count > 1]
    if twice:
        seen = sorted(set().union(*(days[polygon] for polygon in twice)))
        raise BadOptionError(
            f"Several passes ({', '.join(seen[:5])}{'...' if len(seen) > 5 else ''}) show the same polygons of "
            f"{labels}, and water moves: say with --date which they were drawn on."
        )


def _regions(visits: Sequence[OverpassLabels]) -> dict[str, str]:
    """Region of each visit by its name: visits that share a polygon see one place, which is held out as one."""
    places: list[tuple[set[int], list[str]]] = []
    for visit in visits:
        polygons, names = set(visit.shown), [visit.name]
        for other in [place for place in places if place[0] & polygons]:
            polygons |= other[0]
            names = other[1] + names
            places.remove(other)
        places.append((polygons, names))
    return {name: names[0] for _, names in places for name in names}


# -- windows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelledWindow:
    """A part of a visit's grid.

    Attributes:
        row: First row of the grid.
        column: First column of the grid.
        geobox: Its own grid.
        polygons: Those that reach into it, in the grid's coordinate system.
        counts: Labelled pixels by class.
        contradicted: Pixels that polygons of different classes claim.
    """

    row: int
    column: int
    geobox: GeoBox
    polygons: Polygons
    counts: Mapping[int, int]
    contradicted: int


@dataclass(frozen=True)
class LabelledGrid:
    """A visit and its polygons on one grid.

    Attributes:
        visit: The scenes.
        cube: They, on the whole grid.
        polygons: In the grid's coordinate system, cut at the outline of the scenes.
        tile_px: Side of a window.
    """

    visit: OverpassLabels
    cube: Cube
    polygons: Polygons
    tile_px: int

    @classmethod
    def of(
        cls, visit: OverpassLabels, drawn: Polygons, bands: Sequence[str], resolution_m: float, tile_px: int
    ) -> LabelledGrid:
        """Lay the grid: what is labelled, padded on all sides to whole tiles."""
        shown = drawn.where(visit.shown).to(DEGREES).within(visit.outline)
        west, south, east, north = _bounds(g.bounds for g in shown.geometries) if shown.geometries else (0, 0, 0, 0)
        if not shown.geometries:
            west, south, east, north = visit.outline.bounds
        try:
            tight = output_grid((west, south, east, north), resolution_m, limit_megapixels=MOST_MEGAPIXELS)
        except AreaTooLargeError:
            raise BadOptionError(
                f"At {resolution_m:g} m a pixel the area that {drawn.source} labels in {visit.name} is over "
                f"{MOST_MEGAPIXELS:,.0f} megapixels. Choose a coarser --resolution, or draw closer together."
            ) from None
        grid = _padded(tight, tile_px)
        crs = str(grid.crs)
        # cut in degrees to find the grid, but drawn from the file's own coordinates: not turned twice
        outline = Polygons(drawn.source, DEGREES, (visit.outline,), (0,), drawn.classes).to(crs).geometries[0]
        polygons = drawn.where(visit.shown).to(crs).within(outline)
        cube = Cube.of(visit.scenes, grid, bands, instant=visit.time, tile_px=tile_px)
        return cls(visit, cube, polygons, tile_px)

    def probed(self) -> tuple[LabelledGrid | None, dict[str, str]]:
        """The same without scenes whose files are dead (None where all are), and why they are, by scene."""
        dead = {scene.id: why for scene in self.visit.scenes if (why := self._dead(scene))}
        if not dead:
            return self, dead
        scenes = tuple(scene for scene in self.visit.scenes if scene.id not in dead)
        if not scenes:
            return None, dead
        cube = Cube.of(scenes, self.cube.geobox, self.cube.bands, instant=self.visit.time, tile_px=self.tile_px)
        return replace(self, visit=replace(self.visit, scenes=scenes), cube=cube), dead

    def _dead(self, scene: Scene) -> str | None:
        """Read a few pixels of a scene under a label."""
        from odc.geo.geobox import GeoBox

        outline = Polygons(self.polygons.source, DEGREES, (_outline(scene),), (0,), ()).to(self.polygons.crs)
        seen = self.polygons.within(outline.geometries[0]).geometries
        if not seen:
            return None
        point = seen[0].representative_point()
        step = float(self.cube.geobox.resolution.x) * PROBE_PX / 2
        box = (point.x - step, point.y - step, point.x + step, point.y + step)
        around = GeoBox.from_bbox(box, crs=self.polygons.crs, resolution=abs(step) * 2 / PROBE_PX)
        try:
            cube = Cube.of([scene], around, self.cube.bands, instant=scene.time, tile_px=2 * PROBE_PX)
            failures = replace(cube, tile_px=max(around.shape), tile_offset=(0, 0)).tile(0, 0).failures
        except ReadError as error:
            return str(error)
        return failures[0].reason if failures else None

    def windows(self) -> Iterator[LabelledWindow]:
        """Windows that hold a labelled pixel, row by row."""
        for (row, column), reaching in sorted(self._reached.items()):
            y, x = row * self.tile_px, column * self.tile_px
            geobox = self.cube.geobox[y : y + self.tile_px, x : x + self.tile_px]
            polygons = self.polygons.where(reaching)
            mask, contradicted = polygons.rasterise(geobox.affine, shape_of(geobox))
            indices, numbers = np.unique(mask[mask != UNLABELLED], return_counts=True)
            if len(indices):
                counts = dict(zip(indices.tolist(), numbers.tolist(), strict=True))
                yield LabelledWindow(y, x, geobox, polygons, counts, contradicted)

    @cached_property
    def _reached(self) -> dict[tuple[int, int], list[int]]:
        """Polygons by the row and column of each window that their boxes reach into."""
        rows, columns = (size // self.tile_px for size in shape_of(self.cube.geobox))
        to_pixel = ~self.cube.geobox.affine
        reached: dict[tuple[int, int], list[int]] = {}
        for position, geometry in enumerate(self.polygons.geometries):
            left, bottom, right, top = geometry.bounds
            (first_x, first_y), (last_x, last_y) = to_pixel * (left, top), to_pixel * (right, bottom)
            for row in range(max(0, int(first_y // self.tile_px)), min(rows, int(last_y // self.tile_px) + 1)):
                for column in range(
                    max(0, int(first_x // self.tile_px)), min(columns, int(last_x // self.tile_px) + 1)
                ):
                    reached.setdefault((row, column), []).append(position)
        return reached

    def pair(self, window: LabelledWindow, region: str) -> Pair:
        """The window, lazily."""
        geobox, size = window.geobox, shape_of(window.geobox)
        polygons = window.polygons
        name = f"polygons-{tokenize(place_words(geobox), polygons.indices, to_wkb(polygons.geometries))}"
        return Pair(
            id=f"{self.visit.name}-{window.row}-{window.column}",
            region=region,
            split="",
            image=image_of(self.cube, geobox),
            mask=lazy(partial(_labels, polygons, geobox), name, size, np.int16),
            place=Georeference(str(geobox.crs), geobox.affine),
            gsd_m=abs(float(geobox.resolution.x)),
            time=self.visit.time,
            latlon=middle_of(geobox),
        )


def _padded(tight: GeoBox, tile_px: int) -> GeoBox:
    """At least as large, whole tiles on either side, the surplus shared between opposite edges."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    rows, columns = shape_of(tight)
    tall, wide = math.ceil(rows / tile_px) * tile_px, math.ceil(columns / tile_px) * tile_px
    moved = tight.affine * Affine.translation(-((wide - columns) // 2), -((tall - rows) // 2))
    return GeoBox((tall, wide), moved, tight.crs)


def _labels(polygons: Polygons, geobox: GeoBox) -> NDArray[np.int16]:
    return polygons.rasterise(geobox.affine, shape_of(geobox))[0]


# -- what is said about it --------------------------------------------------------------------------------------------


def _is_simulated(scene: Scene) -> bool:
    return bool(scene.item.get("properties", {}).get("geoseg:simulated"))


def _sources(labels: Path, visits: Sequence[OverpassLabels]) -> tuple[str, ...]:
    """A line per collection; what its items do not say about a licence is not known here."""
    lines = [f"{Path(labels).name}: polygons drawn by the person who trained the model."]
    for name in sorted({scene.collection for visit in visits for scene in visit.scenes}):
        scenes = [scene for visit in visits for scene in visit.scenes if scene.collection == name]
        licences = sorted({str(scene.item.get("properties", {}).get("license", "not stated")) for scene in scenes})
        lines.append(f"{len(scenes)} scenes of {name} (licence: {', '.join(licences)}).")
    return tuple(lines)


def _told(reasons: Mapping[str, str]) -> str:
    first = [f"{name}: {why}" for name, why in list(reasons.items())[:3]]
    more = f" And {len(reasons) - 3} more." if len(reasons) > 3 else ""
    return f"{' '.join(first)}{more}"


def _notes(
    drawn: Polygons,
    made: Sequence[LabelledGrid],
    dead: Mapping[str, str],
    windows: Sequence[tuple[LabelledGrid, LabelledWindow]],
) -> tuple[str, ...]:
    notes = [*drawn.notes, *(f"Scene {name} was left out: {why}" for name, why in dead.items())]
    unseen = set(range(len(drawn.indices))) - {each for grid in made for each in grid.visit.shown}
    if unseen:
        notes.append(f"{len(unseen)} of {len(drawn.indices)} polygons of {drawn.source} lie outside every scene.")
    contradicted = sum(window.contradicted for _, window in windows)
    if contradicted:
        notes.append(
            f"Polygons of different classes overlap on {contradicted} pixels of {drawn.source}: left unlabelled."
        )
    return tuple(dict.fromkeys([*notes, *(note for grid in made for note in grid.cube.notes)]))
