"""Make labelled imagery of simulated floods, for any number of worlds and each sensor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.catalog.target import BUILDING, WATER
from geoseg.core.area import Area
from geoseg.core.atomic import atomic_folder, cache_folder
from geoseg.core.progress import Progress, Report, silent
from geoseg.core.request import Dates
from geoseg.core.scene import Scene
from geoseg.core.vectors import VectorRole, read_polygon_file, reproject
from geoseg.datasets.cubes import common_bands, image_of, lazy, middle_of
from geoseg.datasets.pair import Georeference, LabelledSet, Pair
from geoseg.errors import BadLabelsError, BadOptionError, UnknownNameError
from geoseg.readers import Cube
from geoseg.simulate import Region, region, regions
from geoseg.sources.search import find_scenes

if TYPE_CHECKING:
    import dask.array as da
    from odc.geo.geobox import GeoBox

SimulatedSensor = Literal["s1", "s2", "planetscope", "aerial"]
Moment = Literal["before", "flood"]

SOURCE = "Simulated by geoseg (Apache-2.0): no such place exists, no such flood was observed."
SEED_STEP = 100_000
"""Between the seeds of two worlds of one region; seed 0 is the region of ``geoseg demo``."""
PERMANENT = 2
"""Code of the simulator's truth for water that stood there before; 1 is flood, 0 dry."""
BUILDINGS = "truth_buildings.tif"
PAIRS_VERSION = 1
"""Raised whenever what is made for a world changes."""


@dataclass(frozen=True)
class World:
    """A simulated region, written to disk.

    Attributes:
        name: Of the region.
        seed: 0 is the region itself; others are other rivers, weather and floods of the same kind of country.
        facts: What it was made from.
        folder: Catalogue of its scenes, with truth rasters beside them.
    """

    name: str
    seed: int
    facts: Region
    folder: Path

    def scenes(self, sensor: str) -> list[Scene]:
        """Its scenes of a sensor, in order of time."""
        ever = Dates(date(1900, 1, 1), datetime.now(UTC).date())
        found = find_scenes(Area.from_bbox("-180,-90,180,90"), ever, sensor, str(self.folder))
        return list(found.scenes)

    def moment(self, scene: Scene) -> Moment:
        """When a scene was taken."""
        return "before" if scene.time.date() == self.facts.before_day else "flood"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedChips:
    """Chips to make.

    Attributes:
        names: Simulated regions; None: all five.
        seeds: Worlds of each region.
        chip_px: Side of a chip; chips lie side by side, and a rim narrower than a chip is left out.
        bands: Bands; None: all that the simulated scenes have.
        moments: ``before``, ``flood``, or both.
    """

    names: Sequence[str] | None = None
    seeds: Sequence[int] = (0,)
    chip_px: int = 256
    bands: Sequence[str] | None = None
    moments: Sequence[Moment] = ("before", "flood")


ALL_CHIPS = SimulatedChips()


def simulated_set(
    sensor: str, wanted: SimulatedChips = ALL_CHIPS, *, folder: Path | None = None, report: Report = silent
) -> LabelledSet:
    """Make chips of simulated floods with exact labels.

    Imagery is read as a map would read it: in the sensor's unit, clouds and what lies outside the swath NaN. The label
    is the truth, also under clouds (where the image is NaN), trees and between walls: water is flood, river, ponds
    and rice under water. ``aerial`` imagery is labelled with its buildings instead, and is of the flood's day only.

    A world takes 10 to 20 s of one core and about 30 MB on disk (all sensors), and is made once.

    Args:
        sensor: ``s1``, ``s2``, ``planetscope`` or ``aerial``.
        wanted: Regions, worlds, chips, bands and moments.
        folder: Where worlds are kept; None: ``simulated`` in the user's cache.
        report: Called with each world.

    Returns:
        Regions are named ``sim-NAME``, whatever the seed.

    Raises:
        UnknownNameError: No such region, or a sensor that is not simulated.
        BadOptionError: No seed, or chips larger than the scenes.
        OutputNotWritableError: A world cannot be written.
    """
    if sensor not in get_args(SimulatedSensor):
        raise UnknownNameError.among("simulated sensor", sensor, get_args(SimulatedSensor))
    seeds, moments = wanted.seeds, wanted.moments
    if not seeds or min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise BadOptionError(f"seeds: expected different whole numbers, 0 or more, got {list(seeds)}.")
    chosen = list(wanted.names) if wanted.names is not None else sorted(regions())
    worlds: list[World] = []
    for name in chosen:
        for seed in seeds:
            report(Progress("simulate", len(worlds), len(chosen) * len(seeds), unit="worlds", note=f"{name} {seed}"))
            worlds.append(make(name, seed, folder))
    looks = [(world, scene) for world in worlds for scene in world.scenes(sensor) if world.moment(scene) in moments]
    if not looks:
        raise BadOptionError(
            f"moments of simulated {sensor}: there is no imagery of {' or '.join(moments) or 'an empty list'}. "
            "Choose before, flood or both; aerial imagery is of the flood only."
        )
    target = BUILDING if sensor == "aerial" else WATER
    used = (
        tuple(wanted.bands)
        if wanted.bands
        else common_bands([scene for _, scene in looks], tuple(sensor_record(sensor).bands))
    )
    pairs = [pair for world, scene in looks for pair in _chips(world, scene, used, wanted.chip_px)]
    return LabelledSet(
        name=f"simulated-{sensor}",
        pairs=tuple(pairs),
        bands=used,
        unit=sensor_record(sensor).unit,
        sensor=sensor,
        classes=target.classes,
        meaning=target,
        sources=(SOURCE,),
        simulated=True,
        notes=("The imagery is simulated: a score on it says nothing about real imagery.",),
    )


# -- worlds -----------------------------------------------------------------------------------------------------------


def make(name: str, seed: int = 0, folder: Path | None = None) -> World:
    """Make a world on disk, unless this version of it is there.

    Args:
        name: Of the region.
        seed: Which world of it.
        folder: Where worlds are kept; None: ``simulated`` in the user's cache.

    Raises:
        UnknownNameError: No such region.
        OutputNotWritableError: It cannot be written.
    """
    from geoseg.simulate.catalogue import WORLD_VERSION, write_index
    from geoseg.simulate.landscape import make_landscape
    from geoseg.simulate.records import surfaces
    from geoseg.simulate.scenes import Scenes

    facts = varied(region(name), seed)
    words = f"{PAIRS_VERSION} {WORLD_VERSION} {facts.model_dump_json()} {surfaces().model_dump_json()}"
    digest = hashlib.sha256(words.encode()).hexdigest()[:12]
    place = (folder or cache_folder("simulated")) / f"{name}-{seed}-{digest}"
    if not place.is_dir():
        with atomic_folder(place) as part:
            items = list(Scenes(name, make_landscape(facts), part).write())
            _write_buildings(part)
            for item in items:
                links = [{"rel": "root", "href": "./catalog.json", "type": "application/json"}]
                text = json.dumps({**item, "links": links}, indent=1, allow_nan=False)
                (part / f"{item['id']}.json").write_text(text + "\n", encoding="utf-8")
            write_index(part, [(f"{item['id']}.json", item) for item in items])
    return World(name, seed, facts, place)


def varied(facts: Region, seed: int) -> Region:
    """Vary the facts of a region: other ground, and water, wind, clouds, sun and radar within plausible bounds."""
    if seed == 0:
        return facts
    rng = np.random.default_rng([facts.seed, seed])

    def about(value: float, least: float, most: float) -> float:
        return round(float(value * rng.uniform(least, most)), 3)

    changes: dict[str, Any] = {"seed": facts.seed + SEED_STEP * seed, "stage_m": about(facts.stage_m, 0.8, 1.2)}
    river = {"half_width_m": about(facts.river.half_width_m, 0.7, 1.3)}
    river["wavelength_m"] = about(facts.river.wavelength_m, 0.85, 1.2)
    clouds = {
        "before_pct": about(facts.clouds.before_pct, 0.2, 2),
        "flood_pct": about(facts.clouds.flood_pct, 0.2, 1.6),
    }
    sun = {"zenith_deg": float(np.clip(facts.sun.zenith_deg + rng.uniform(-12, 12), 12, 65))}
    sun["azimuth_deg"] = (facts.sun.azimuth_deg + float(rng.uniform(-30, 30))) % 360
    radar = {"incidence_deg": float(rng.uniform(31, 45)), "wind_db": float(rng.uniform(1, 9))}
    parts = {"river": river, "clouds": clouds, "sun": sun, "radar": radar}
    changes |= {part: getattr(facts, part).model_copy(update=update) for part, update in parts.items()}
    changes["swath_cut"] = facts.swath_cut if rng.random() < 0.5 else 0.0
    return Region.model_validate(facts.model_copy(update=changes).model_dump())


FOOTPRINTS = VectorRole("building footprints", "Footprints are polygons.", BadLabelsError, may_be_empty=True)


def _write_buildings(folder: Path) -> None:
    """Rasterize building outlines on the grid of the aerial image: uint8, 1 where a pixel's middle lies in one."""
    import rasterio
    from rasterio.features import rasterize

    with rasterio.open(folder / "aerial_flood.tif") as file:
        crs, transform, shape = file.crs, file.transform, file.shape
    file = read_polygon_file(folder / "buildings.geojson", FOOTPRINTS)
    file.check(FOOTPRINTS)
    system, outlines = file.merged()
    outlines = reproject(outlines, system, crs.to_wkt())
    burnt = np.zeros(shape, np.uint8)
    if len(outlines):
        burnt = rasterize(outlines, out_shape=shape, transform=transform, dtype="uint8")
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "compress": "deflate", "crs": crs}
    with rasterio.open(
        folder / BUILDINGS, "w", height=shape[0], width=shape[1], transform=transform, **profile
    ) as file:
        file.write(burnt, 1)


# -- chips ------------------------------------------------------------------------------------------------------------


def cube_of(scene: Scene, bands: Sequence[str]) -> Cube:
    """Read a scene on its own finest grid."""
    from affine import Affine
    from odc.geo.geobox import GeoBox

    properties = scene.item["properties"]
    grid = GeoBox(properties["proj:shape"], Affine(*properties["proj:transform"]), properties["proj:code"])
    return Cube.of([scene], grid, bands, instant=scene.time)


def truth_of(scene: Scene, moment: Moment, geobox: GeoBox) -> da.Array:
    """Read the label of a window of a scene's own grid: int16 (y, x), 1 water or building, 0 neither."""
    assets = scene.item["assets"]
    if scene.sensor == "aerial":
        path, least = Path(assets["data"]["href"]).with_name(BUILDINGS), 1
    else:
        any_file = Path(next(iter(assets.values()))["href"])
        pixel = f"{abs(float(scene.item['properties']['proj:transform'][0])):g}m"
        path, least = any_file.with_name(f"truth_{pixel}.tif"), PERMANENT if moment == "before" else 1
    stat = path.stat()
    bounds = tuple(geobox.boundingbox.bbox)
    name = f"truth-{tokenize(str(path), stat.st_size, stat.st_mtime_ns, bounds, least)}"
    size = int(geobox.shape[0]), int(geobox.shape[1])
    return lazy(partial(_truth, path, bounds, least), name, size, np.int16)


def _truth(path: Path, bounds: tuple[float, float, float, float], least: int) -> NDArray[np.int16]:
    import rasterio
    from rasterio.windows import from_bounds

    with rasterio.open(path) as file:
        window = from_bounds(*bounds, transform=file.transform).round_offsets().round_lengths()
        codes: NDArray[np.uint8] = file.read(1, window=window)
    return (codes >= least).astype(np.int16)


def _chips(world: World, scene: Scene, bands: Sequence[str], chip_px: int) -> list[Pair]:
    cube = cube_of(scene, bands)
    rows, columns = (starts(int(size), chip_px) for size in cube.geobox.shape)
    return [_chip(world, scene, cube, (row, column), chip_px) for row in rows for column in columns]


def _chip(world: World, scene: Scene, cube: Cube, corner: tuple[int, int], chip_px: int) -> Pair:
    moment, (row, column) = world.moment(scene), corner
    geobox = cube.geobox[row : row + chip_px, column : column + chip_px]
    return Pair(
        id=f"sim-{world.name}-{world.seed}-{scene.sensor}-{moment}-{row}-{column}",
        region=f"sim-{world.name}",
        split="",
        image=image_of(cube, geobox),
        mask=truth_of(scene, moment, geobox),
        place=Georeference(str(geobox.crs), geobox.affine),
        gsd_m=abs(float(geobox.resolution.x)),
        time=scene.time,
        latlon=middle_of(geobox),
    )


def starts(size: int, chip_px: int) -> list[int]:
    """List the first pixels of as many chips as fit side by side, centred, where the river is.

    Raises:
        BadOptionError: Not one fits.
    """
    count = size // chip_px if chip_px > 0 else 0
    if count == 0:
        raise BadOptionError(
            f"chip_px: expected 1 to {size}, the side of a simulated scene, got {chip_px}. Choose smaller chips."
        )
    return [(size - count * chip_px) // 2 + chip_px * number for number in range(count)]
