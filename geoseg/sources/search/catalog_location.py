"""What a person typed after ``--catalog``: a name, an address, a file or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from geoseg.catalog.collections import LocalCatalog, collections
from geoseg.core.atomic import cache_folder
from geoseg.errors import BadOptionError, SearchFailedError, UnknownNameError

DEMO = "demo"
DOORS = ("catalog.json", "collection.json", "items.parquet", "items.json")
"""Files of a folder that open it, the first one there."""

Kind = Literal["named", "web", "json", "parquet"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a catalogue is.

    Attributes:
        kind: ``named``: collection records; ``web``: an address, API or static; ``json``, ``parquet``: a local file.
        where: Name of the catalogue or collection record, address, or path.
        shown: As messages name it.
    """

    kind: Kind
    where: str
    shown: str


def names() -> list[str]:
    """Catalogues that have a name."""
    remote = {record.catalog for record in collections().values() if not isinstance(record.source, LocalCatalog)}
    return sorted(remote | {DEMO})


def place_of(catalog: str) -> Place:
    """Resolve what a person typed.

    Raises:
        UnknownNameError: Neither a name, nor an address, nor a file that is there.
        BadOptionError: An address that carries credentials, or a file of another kind.
        SearchFailedError: The demo has not been made, or a folder holds no catalogue.
    """
    if "://" in catalog:
        return _address(catalog)
    if catalog == DEMO:
        return _demo()
    known = collections()
    if catalog in names() or (catalog in known and not isinstance(known[catalog].source, LocalCatalog)):
        return Place("named", catalog, catalog)
    path = Path(catalog).expanduser()
    if _is_there(path):
        return _file(path)
    if path.suffix in (".json", ".geojson", ".parquet") or catalog.startswith((".", "/", "~")):
        raise BadOptionError(f"There is no catalogue {catalog}. Make one with `geoseg catalog add`.")
    raise UnknownNameError.among("catalogue", catalog, [*names(), *_collection_names()])


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the system, for one
        return False


def _collection_names() -> list[str]:
    return [name for name, record in collections().items() if not isinstance(record.source, LocalCatalog)]


def _address(url: str) -> Place:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise BadOptionError("--catalog holds an address that cannot be read.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadOptionError(f"--catalog takes an http or https address, not one of scheme {parts.scheme!r}.")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadOptionError(
            f"The address of the catalogue on {host} carries credentials or a query, which would end up in records. "
            "Give it without them."
        )
    if parts.path.endswith(".parquet"):
        raise BadOptionError(f"stac-geoparquet is read from a local file: download the index from {host} first.")
    return Place("web", url.rstrip("/"), host)


def _file(path: Path) -> Place:
    if path.is_dir():
        doors = [path / name for name in DOORS if (path / name).is_file()]
        if not doors:
            raise SearchFailedError(
                f"The folder {path} holds no {', '.join(DOORS[:-1])} or {DOORS[-1]}. "
                "Make a catalogue of it with `geoseg catalog add`."
            )
        path = doors[0]
    path = path.absolute()
    match path.suffix.lower():
        case ".json" | ".geojson":
            return Place("json", str(path), str(path))
        case ".parquet" | ".geoparquet":
            return Place("parquet", str(path), str(path))
    raise BadOptionError(
        f"{path} is no catalogue: a .json, a .parquet, or a folder holding one is. For images: `geoseg catalog add`."
    )


def _demo() -> Place:
    door = cache_folder(DEMO) / "catalog.json"
    if not door.is_file():
        raise SearchFailedError("The demo catalogue has not been made here yet. Run `geoseg demo` once: it writes it.")
    return Place("json", str(door), DEMO)
