"""Simulated files laid out as a known data set's are, so that a configuration runs end to end without the data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geoseg.catalog.datasets import DatasetRecord, dataset
from geoseg.core.atomic import atomic_folder
from geoseg.core.progress import Progress, Report, silent
from geoseg.datasets.cubes import image_of
from geoseg.datasets.pair import Georeference
from geoseg.datasets.simulated import SOURCE, World, cube_of, make, starts, truth_of
from geoseg.errors import UnknownNameError
from geoseg.readers import Cube
from geoseg.simulate import regions

# as FloodDuo's file names have them (github.com/Sk-2103/FloodDuo); nothing simulated here is of these places
EVENTS = (
    *("Bangladesh", "Bolivia", "Cambodia", "Colombia", "Ghana", "Nepal", "Nigeria", "Paraguay", "Somalia", "Spain"),
    *("US-Alabama", "US-Arkansas", "US-Carolina", "US-Dakota", "US-Kansas", "US-Nebraska", "US-Oklahoma", "US-Texas"),
    "Uzbekistan",
)
SITES = 4
"""Quarters of one world: each stands for an event."""
SPLITS = ("train", "train", "val", "train", "test")
"""Of the files, or of the tiles, in turn."""
FIRST_TILE = 90_000_000
"""No tile of Massachusetts Buildings has such a number."""
S2_BANDS = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22")


@dataclass(frozen=True)
class Chip:
    """A chip to be written.

    Attributes:
        images: Sensor -> float32 (band, y, x) in the sensor's unit, NaN where not observed; all on one grid.
        mask: int16 (y, x), 0 or 1.
        place: Where it lies.
    """

    images: Mapping[str, NDArray[np.float32]]
    mask: NDArray[np.int16]
    place: Georeference


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInSize:
    """Amount of data to simulate.

    Attributes:
        seeds: Worlds of each simulated region; ``floodplanet`` repeats its events with other worlds.
        chip_px: Side of a chip. The real ones have 1024 (FloodPlanet) and 1500 (Massachusetts, often cut to 256).
        chips: Chips of a site, or of a tile, at most: those that hold most of both classes.
    """

    seeds: Sequence[int] = (0,)
    chip_px: int = 128
    chips: int = 4


SMALL = StandInSize()


def write_stand_in(
    name: str, folder: Path, size: StandInSize = SMALL, *, worlds: Path | None = None, report: Report = silent
) -> Path:
    """Write simulated chips as the files of a data set.

    ``floodplanet`` writes the three releases by sensor (``floodplanet``, ``floodplanet-s1``, ``floodplanet-s2``) into
    one folder, as they lie in one: 19 events, each a quarter of a simulated world, radar and Sentinel-2 on
    PlanetScope's grid. Every record gets a YAML file that describes it as simulated; ``dataset.yaml`` is the one that
    was asked for.

    Args:
        name: ``floodplanet``, ``floodplanet-reflectance`` or ``massachusetts``.
        folder: Gets the files; one that is there is replaced.
        size: Worlds and chips.
        worlds: Where simulated worlds are kept; None: the user's cache.
        report: Called with each world.

    Returns:
        ``folder``.

    Raises:
        UnknownNameError: No stand-in of that name.
        OutputNotWritableError: The folder cannot be written.
    """
    writers: dict[str, Callable[[Path, list[World], int, int], Sequence[str]]] = {
        "floodplanet": _floodplanet,
        "floodplanet-reflectance": _floodplanet_reflectance,
        "massachusetts": _massachusetts,
    }
    if name not in writers:
        raise UnknownNameError.among("stand-in", name, writers)
    made: list[World] = []
    wanted = [(region, seed) for seed in size.seeds for region in sorted(regions())]
    for region, seed in wanted:
        report(Progress("simulate", len(made), len(wanted), unit="worlds", note=f"{region} {seed}"))
        made.append(make(region, seed, worlds))
    with atomic_folder(folder) as part:
        for record in writers[name](part, made, size.chip_px, size.chips):
            _describe(part, record, "dataset.yaml" if record == name else f"{record}.yaml")
    return folder


# -- layouts ----------------------------------------------------------------------------------------------------------


def _floodplanet(folder: Path, worlds: list[World], chip_px: int, chips: int) -> Sequence[str]:
    """REGION/PS, S1, S2 and labels: codes 0 nodata, 1 dry, 2 inundated; PlanetScope stretched chip by chip."""
    looks = {"planetscope": ("blue", "green", "red", "nir"), "s1": ("vv", "vh"), "s2": S2_BANDS}
    for event, number, chip in _events(worlds, looks, chip_px, chips):
        name = f"{event}_{number:03d}.tif"
        seen = ~np.isnan(chip.images["planetscope"]).any(axis=0)
        codes = np.where(seen, chip.mask + 1, 0).astype(np.uint8)
        _write(folder / event / "PS" / name, _stretched(chip.images["planetscope"]), chip.place, nodata=0)
        _write(folder / event / "S1" / name, chip.images["s1"], chip.place, nodata=float("nan"))
        numbers = np.nan_to_num(np.clip(np.round(chip.images["s2"] * 1e4), 1, 65535), nan=0).astype(np.uint16)
        _write(folder / event / "S2" / name, numbers, chip.place)
        _write(folder / event / "labels" / name, codes[None], chip.place)
    return "floodplanet", "floodplanet-s1", "floodplanet-s2"


def _floodplanet_reflectance(folder: Path, worlds: list[World], chip_px: int, chips: int) -> Sequence[str]:
    """SPLIT/image and SPLIT/mask, FP_REGION_SITE_N.tif: float32 reflectance, 0 where nothing was seen; masks 0, 1."""
    looks = {"planetscope": ("blue", "green", "red", "nir")}
    for event, number, chip in _events(worlds, looks, chip_px, chips):
        split, name = SPLITS[number % len(SPLITS)], f"FP_{event}_SIM_{number:03d}.tif"
        image = np.nan_to_num(chip.images["planetscope"], nan=0)
        _write(folder / split / "image" / name, image, chip.place)
        _write(folder / split / "mask" / name, chip.mask.astype(np.uint8)[None], chip.place)
    return ("floodplanet-reflectance",)


def _massachusetts(folder: Path, worlds: list[World], chip_px: int, chips: int) -> Sequence[str]:
    """SPLIT and SPLIT_labels, TILE_yY_xX.tif: 8-bit RGB and 0 or 1."""
    for number, world in enumerate(worlds):
        split, tile = SPLITS[number % len(SPLITS)], f"{FIRST_TILE + number}_15"
        for row, column, chip in _chips(world, {"aerial": ("red", "green", "blue")}, chip_px, chips, quarter=None):
            name = f"{tile}_y{row:04d}_x{column:04d}.tif"
            picture = np.round(np.nan_to_num(chip.images["aerial"], nan=0) * 255).astype(np.uint8)
            _write(folder / split / name, picture, chip.place)
            _write(folder / f"{split}_labels" / name, chip.mask.astype(np.uint8)[None], chip.place)
    return ("massachusetts",)


# -- chips ------------------------------------------------------------------------------------------------------------


def _events(
    worlds: list[World], looks: Mapping[str, Sequence[str]], chip_px: int, chips: int
) -> Iterator[tuple[str, int, Chip]]:
    """Chips with the event that their quarter of a world stands for, and their number in it."""
    sites = [(world, quarter) for world in worlds for quarter in range(SITES)]
    numbers = dict.fromkeys(EVENTS, 0)
    for site, (world, quarter) in enumerate(sites):
        turn, event = divmod(site, len(EVENTS))
        if turn and len(sites) < (turn + 1) * len(EVENTS):
            return  # a quarter too many: the events keep equally many sites
        for _, _, chip in _chips(world, looks, chip_px, chips, quarter=quarter):
            yield EVENTS[event], numbers[EVENTS[event]], chip
            numbers[EVENTS[event]] += 1


def _chips(
    world: World, looks: Mapping[str, Sequence[str]], chip_px: int, chips: int, *, quarter: int | None
) -> Iterator[tuple[int, int, Chip]]:
    """Chips of the flood's day on the grid of the first sensor, the same ground seen by all."""
    scenes = {sensor: next(s for s in world.scenes(sensor) if world.moment(s) == "flood") for sensor in looks}
    first = next(iter(looks))
    grid: GeoBox = cube_of(scenes[first], looks[first]).geobox
    cubes = {
        sensor: Cube.of([scene], grid, looks[sensor], instant=scene.time, tile_px=chip_px)
        for sensor, scene in scenes.items()
    }
    rows, columns = (int(side) for side in grid.shape)
    top = left = 0
    if quarter is not None:
        rows, columns = rows // 2, columns // 2
        top, left = rows * (quarter // 2), columns * (quarter % 2)
    corners = [(top + y, left + x) for y in starts(rows, chip_px) for x in starts(columns, chip_px)]
    windows = {(y, x): grid[y : y + chip_px, x : x + chip_px] for y, x in corners}
    labels = {
        corner: truth_of(scenes[first], "flood", geobox).compute(scheduler="synchronous")
        for corner, geobox in windows.items()
    }
    # where both classes are: a small stand-in of dry corners would teach nothing
    telling = sorted(corners, key=lambda corner: abs(float(labels[corner].mean()) - 0.5))[:chips]
    for row, column in sorted(telling):
        geobox, mask = windows[row, column], labels[row, column]
        images = {s: image_of(cube, geobox).compute(scheduler="synchronous") for s, cube in cubes.items()}
        yield row, column, Chip(images, mask, Georeference(str(geobox.crs), geobox.affine))


def _stretched(image: NDArray[np.float32]) -> NDArray[np.uint16]:
    """1 to 255 between the chip's own lowest and highest value, band by band; 0 where not observed."""
    seen = ~np.isnan(image).any(axis=0)
    numbers = np.zeros(image.shape, np.uint16)
    for band, values in zip(numbers, image, strict=True):
        if seen.any():
            low, high = float(values[seen].min()), float(values[seen].max())
            band[seen] = np.round(1 + 254 * (values[seen] - low) / max(high - low, 1e-9))
    return numbers


# -- files ------------------------------------------------------------------------------------------------------------


def _write(path: Path, pixels: NDArray[Any], place: Georeference, nodata: float | None = None) -> None:
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    count, rows, columns = pixels.shape
    size = {"count": count, "height": rows, "width": columns, "dtype": pixels.dtype.name, "nodata": nodata}
    with rasterio.open(
        path, "w", driver="GTiff", crs=place.crs, transform=place.transform, compress="deflate", **size
    ) as file:
        file.write(pixels)
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION=SOURCE)


def _describe(folder: Path, name: str, file: str) -> None:
    """The data set's own record, but for what would make anybody take this for the data set."""
    real: DatasetRecord = dataset(name)
    record = real.model_copy(
        update={
            "title": f"Simulated stand-in for {real.title}",
            "licence": "Apache-2.0",
            "origin": (SOURCE,),
            "get": "",
            "folder": "",
            "simulated": True,
            "limits": ("Only the layout of the files is the data set's: the places and the pixels are simulated.",),
        }
    )
    text = yaml.safe_dump(record.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)
    (folder / file).write_text(text, encoding="utf-8")
