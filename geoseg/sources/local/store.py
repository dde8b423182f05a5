"""A catalogue folder: read, merged, and written so that a killed run leaves the old one or the new one of every file.

::

    DIR/catalog.json                  the door for STAC clients, written last
    DIR/local-s1/collection.json
    DIR/local-s1/ITEM.json
    DIR/items.json                    every item, as `rustac serve` takes it; merging starts from here
    DIR/items.parquet                 the same as stac-geoparquet
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.core.atomic import atomic_file, atomic_folder, raise_output_errors
from geoseg.errors import NotIngestibleError, SearchFailedError
from geoseg.sources.local.item import STAC_VERSION, Item, collection_id
from geoseg.sources.local.naming import item_id

CATALOG, ITEMS, PARQUET = "catalog.json", "items.json", "items.parquet"
CATALOG_ID = "geoseg-local"
"""By which a catalogue of ours is told from another program's."""


def is_catalogue(folder: Path) -> bool:
    """``geoseg catalog add`` has written there."""
    return (folder / ITEMS).is_file() and (folder / CATALOG).is_file()


def read_items(folder: Path) -> list[Item]:
    """Every item of a catalogue, hrefs as absolute paths.

    Raises:
        SearchFailedError: The folder holds no catalogue of ours, or a damaged one.
    """
    path = folder / ITEMS
    if not path.is_file():
        raise SearchFailedError(f"{folder} holds no {ITEMS}: it is no catalogue made by `geoseg catalog add`.")
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        return [_with_hrefs(_checked(item), folder, absolute=True) for item in features]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SearchFailedError(
            f"{path} is no list of STAC items. Make the catalogue again in an empty folder."
        ) from None


def _checked(item: Item) -> Item:
    """The item, if its names can be names of files: what is read here is written again.

    Raises:
        ValueError: They cannot.
    """
    if item_id(item["id"]) != item["id"] or item["collection"] != collection_id(item["properties"]["geoseg:sensor"]):
        raise ValueError(item["id"])
    return item


def merged(old: Iterable[Item], new: Iterable[Item]) -> list[Item]:
    """Both, ordered by (collection, id); a new item takes the place of an old one of its collection and id."""
    items = {(item["collection"], item["id"]): item for item in (*old, *new)}
    return [items[key] for key in sorted(items)]


def write_catalogue(folder: Path, items: Sequence[Item]) -> None:
    """Write ``items`` as the whole of a catalogue.

    Hrefs to files inside ``folder`` are written relative, others absolute. A new folder appears with everything in
    it; in one that exists only our own files are replaced, each whole, the door last.

    Raises:
        OutputNotWritableError: The folder cannot be written.
    """
    folder = folder.absolute()
    with raise_output_errors(folder):
        fresh = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    with atomic_folder(folder) if fresh else nullcontext(folder) as place:
        for name in sorted({item["collection"] for item in items}):
            members = [item for item in items if item["collection"] == name]
            for item in members:
                _write_json(place / name / f"{item['id']}.json", _as_file(item, folder))
            _write_json(place / name / "collection.json", _collection(name, members))
        _write_parquet(place / PARQUET, [_with_hrefs(item, folder, absolute=False) for item in items])
        features = [_with_hrefs(item, folder, absolute=False) for item in items]
        _write_json(place / ITEMS, {"type": "FeatureCollection", "features": features})
        _write_json(place / CATALOG, _catalog(sorted({item["collection"] for item in items})))


# -- what the files hold --------------------------------------------------------------------------------------------


def _catalog(collections: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": CATALOG_ID,
        "title": "Imagery added with geoseg",
        "description": "A person's own files, described by `geoseg catalog add`.",
        "links": [
            _link("root", f"./{CATALOG}"),
            *(_link("child", f"./{name}/collection.json") for name in collections),
        ],
    }


def _collection(name: str, items: Sequence[Item]) -> dict[str, Any]:
    west, south, east, north = zip(*(item["bbox"] for item in items), strict=True)
    times = sorted(item["properties"]["datetime"] for item in items)
    sensor = items[0]["properties"]["geoseg:sensor"]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": name,
        "title": f"{sensor_record(sensor).title} (own files)",
        "description": "A person's own files, described by `geoseg catalog add`.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "links": [
            _link("root", f"../{CATALOG}"),
            _link("parent", f"../{CATALOG}"),
            *(_link("item", f"./{item['id']}.json", "application/geo+json") for item in items),
        ],
    }


def _as_file(item: Item, folder: Path) -> Item:
    """The item as its own file holds it, one folder below the catalogue."""
    links = [
        _link("root", f"../{CATALOG}"),
        _link("parent", "./collection.json"),
        _link("collection", "./collection.json"),
    ]
    return {**_with_hrefs(item, folder, absolute=False, prefix="../"), "links": links}


def _link(rel: str, href: str, media: str = "application/json") -> dict[str, str]:
    return {"rel": rel, "href": href, "type": media}


def _with_hrefs(item: Item, folder: Path, *, absolute: bool, prefix: str = "./") -> Item:
    folder = folder.absolute()
    assets = {}
    for name, asset in item["assets"].items():
        path = Path(folder, asset["href"]).resolve() if absolute else Path(asset["href"])
        inside = not absolute and path.is_relative_to(folder)
        assets[name] = {**asset, "href": f"{prefix}{path.relative_to(folder).as_posix()}" if inside else str(path)}
    return {**item, "assets": assets}


# -- writing --------------------------------------------------------------------------------------------------------


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as part:
        # allow_nan=False: "NaN" is no JSON, and half of all readers would stop at it
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _write_parquet(path: Path, items: Sequence[Item]) -> None:
    from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

    with atomic_file(path) as part:
        to_parquet(parse_stac_items_to_arrow([_with_numbers(item) for item in items]), part)


def _with_numbers(item: Item) -> Item:
    """The item with every nodata a float: a column of a table has one type, and JSON's word "nan" beside 0 has two."""
    assets = {}
    for name, asset in item["assets"].items():
        bands = [
            {**band, "nodata": float(band["nodata"])} if "nodata" in band else band for band in asset["raster:bands"]
        ]
        assets[name] = {**asset, "raster:bands": bands}
    return {**item, "assets": assets}


def check_target(folder: Path) -> None:
    """Refuse a place where no catalogue can be.

    Raises:
        NotIngestibleError: It is a file, or holds a ``catalog.json`` that is not ours.
    """
    if folder.exists() and not folder.is_dir():
        raise NotIngestibleError(f"{folder} is a file: -o takes the folder of a catalogue.")
    if (folder / CATALOG).exists() and not is_catalogue(folder):
        raise NotIngestibleError(f"{folder} holds a {CATALOG} that geoseg did not write. Choose another folder for -o.")
