"""The folder that holds every simulated region made so far: a static STAC catalogue.

::

    catalog.json            links to every item
    items.json              the same items as one FeatureCollection
    items.parquet           the same as stac-geoparquet
    REGION/                 files and items of one region, appearing whole
    REGION/made.json        what the region was made from, so that it is made again when that changes
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoseg.core.atomic import atomic_file, atomic_folder, cache_folder
from geoseg.core.progress import Progress, Report, silent
from geoseg.simulate.items import STAC_VERSION, Item
from geoseg.simulate.records import Region, region, regions, surfaces

WORLD_VERSION = 2
"""Raised whenever the code of this room changes what it writes."""
STAMP = "made.json"


def demo_folder() -> Path:
    """The catalogue's folder in the user's cache: what ``--catalog demo`` reads."""
    return cache_folder("demo")


def ensure(name: str, folder: Path | None = None, report: Report = silent) -> Path:
    """Make a region unless it is there already, made by this version from these facts.

    Args:
        name: Name of the region.
        folder: The catalogue's folder; None: ``demo_folder()``.
        report: Called with each scene that is done.

    Returns:
        The catalogue's ``catalog.json``.

    Raises:
        UnknownNameError: No such region.
        OutputNotWritableError: The folder cannot be written.
    """
    facts, folder = region(name), folder or demo_folder()
    if not is_made(name, folder):
        with atomic_folder(folder / name) as place:
            _make(name, facts, place, report)
        write_index(folder, _made(folder))
    return folder / "catalog.json"


def is_made(name: str, folder: Path) -> bool:
    """The region is there, as this version would make it."""
    try:
        stamp = json.loads((folder / name / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stamp == _stamp(region(name))) and (folder / "catalog.json").is_file()


def _stamp(facts: Region) -> dict[str, Any]:
    """What a region depends on: the code's version, and every fact."""
    text = facts.model_dump_json() + surfaces().model_dump_json()
    return {"world_version": WORLD_VERSION, "facts_sha256": hashlib.sha256(text.encode()).hexdigest()}


def _make(name: str, facts: Region, place: Path, report: Report) -> None:
    from geoseg.simulate.landscape import make_landscape
    from geoseg.simulate.scenes import SCENES, Scenes

    report(Progress("simulate", 0, SCENES, note=facts.place, unit="scenes"))
    for done, item in enumerate(Scenes(name, make_landscape(facts), place).write(), start=1):
        _write_json(place / f"{item['id']}.json", _as_file(item))
        report(Progress("simulate", done, SCENES, note=facts.place, unit="scenes"))
    _write_json(place / STAMP, _stamp(facts))


def write_index(folder: Path, found: Sequence[tuple[str, Item]]) -> None:
    """Write the files that list a catalogue's items.

    Args:
        folder: The catalogue's folder.
        found: Every item with its path below the folder.
    """
    items = [_as_row(item, Path(where).parent) for where, item in found]
    _write_json(folder / "items.json", {"type": "FeatureCollection", "features": items})
    _write_parquet(folder / "items.parquet", items)
    _write_json(folder / "catalog.json", _catalog([where for where, _ in found]))


def _made(folder: Path) -> list[tuple[str, Item]]:
    """Every item of the regions that are there, with its path below the folder."""
    there = [name for name in regions() if (folder / name / STAMP).is_file()]
    paths = [path for name in there for path in sorted((folder / name).glob("SIMULATED_*.json"))]
    return [(path.relative_to(folder).as_posix(), json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _catalog(hrefs: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "geoseg-demo",
        "title": "Simulated floods (geoseg demo)",
        "description": "Simulated places, simulated floods, simulated imagery. Nothing here was observed.",
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json"},
            *({"rel": "item", "href": f"./{href}", "type": "application/geo+json"} for href in hrefs),
        ],
    }


def _as_file(item: Item) -> Item:
    """The item as a file of its region's folder."""
    links = [{"rel": rel, "href": "../catalog.json", "type": "application/json"} for rel in ("root", "parent")]
    return {**item, "links": links}


def _as_row(item: Item, below: Path) -> Item:
    """The item as a row of a list in the catalogue's folder, its files lying ``below``."""

    def moved(asset: dict[str, Any]) -> dict[str, Any]:
        return {**asset, "href": f"./{(below / asset['href']).as_posix()}"}

    return {**item, "links": [], "assets": {name: moved(asset) for name, asset in item["assets"].items()}}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as part:
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _write_parquet(path: Path, items: list[Item]) -> None:
    from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

    with atomic_file(path) as part:
        to_parquet(parse_stac_items_to_arrow(items), part)
