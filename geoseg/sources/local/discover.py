"""What lies at the paths a person gave: which files are one acquisition, and which are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from geoseg.errors import NotIngestibleError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.plain import group_plain
from geoseg.sources.local.planetscope import group_planet, is_planet, stray
from geoseg.sources.local.product import LocalProduct, Options
from geoseg.sources.local.raster import look_at
from geoseg.sources.local.sentinel2 import group_sentinel2

RASTERS = {".tif", ".tiff", ".jp2"}
PICTURES = {".png", ".jpg", ".jpeg"}


class ProductFiles(Protocol):
    """Files that are one acquisition."""

    @property
    def path(self) -> Path:
        """What a person knows it by."""

    def product(self, options: Options) -> LocalProduct:
        """Decide what the files hold, or refuse them."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A path with nothing to add; asking for its product says why."""

    path: Path
    reason: str

    def product(self, options: Options) -> LocalProduct:
        """Refuse.

        Raises:
            NotIngestibleError: Always.
        """
        raise NotIngestibleError(self.reason)


def discover(paths: Sequence[Path], sensor: str) -> list[ProductFiles]:
    """Every acquisition at ``paths`` (files, and folders with all below them), in the order of their names.

    Args:
        paths: What a person gave.
        sensor: Name of a sensor record; decides which layouts of folders are looked for.
    """
    files: dict[Path, None] = {}
    unusable = []
    for path in paths:
        found = _rasters(path)
        if isinstance(found, Unusable):
            unusable.append(found)
        else:
            files |= dict.fromkeys(found)
    sources: list[ProductFiles] = [*unusable, *_grouped(list(files), sensor)]
    return sorted(sources, key=lambda source: str(source.path))


def _rasters(path: Path) -> list[Path] | Unusable:
    path = path.absolute()
    if path.is_file():
        return [path]
    if not path.is_dir():
        return Unusable(path, f"There is no file or folder {path}.")
    files = [each for each in sorted(path.rglob("*")) if each.is_file() and not each.name.startswith(".")]
    rasters = [each for each in files if each.suffix.lower() in RASTERS]
    if rasters:
        return rasters
    pictures = [each for each in files if each.suffix.lower() in PICTURES]
    if pictures and (why := _no_place(pictures[0])):
        # one look for all of them: a thousand pictures without a place want one sentence, not a thousand
        return Unusable(path, f"{path} holds {len(pictures)} pictures and no GeoTIFF. {why}")
    if pictures:
        return pictures
    return Unusable(path, f"{path} holds no GeoTIFF or JPEG 2000 file.")


def _no_place(picture: Path) -> str:
    """Why a picture has no place on Earth; "" where it has one."""
    try:
        look_at(picture)
    except NotIngestibleError as error:
        return str(error)
    return ""


def _grouped(files: list[Path], sensor: str) -> list[ProductFiles]:
    products = layout(sensor).products
    if products == "sentinel-2":
        scenes, rest = group_sentinel2(files)
        return [*scenes, *group_plain(rest, sensor)]
    if products == "planet":
        named = [path for path in files if is_planet(path)]
        rest = [path for path in files if not is_planet(path)]
        return [*group_planet(named), *map(_stray, stray(named)), *group_plain(rest, sensor)]
    return list(group_plain(files, sensor))


def _stray(path: Path) -> Unusable:
    return Unusable(path, f"{path} is no AnalyticMS image, and none of its scene lies beside it. Add the image itself.")
