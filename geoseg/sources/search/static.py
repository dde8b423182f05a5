"""Items of a static catalogue: JSON files that link to one another, on this machine or on a server."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from geoseg.errors import SearchFailedError, UnsafeHrefError
from geoseg.sources.search.query import RawItem
from geoseg.sources.search.source_policy import SourcePolicy, checked_href, host_of
from geoseg.sources.search.web import parse_json

MOST_DOCUMENTS = 50_000
LARGEST_FILE = 256 * 2**20
MOST_LOCAL_VALUES = 10_000_000
"""Of a file on this machine: an index of 10,000 items has about 5 million, and takes 1 GB."""

Document = Any
Read = Callable[[str], Document]


def walk(door: str, trust: SourcePolicy, read: Read, first: Document = None) -> Iterator[RawItem]:
    """Every item that can be reached from a catalogue, a collection, an item or a list of items.

    Each document is read once, however they link in circles. A catalogue on this machine is followed through files
    only, one on a server through its own and public hosts only: links elsewhere are passed by.

    Args:
        door: Path or address of the first document.
        trust: Of the catalogue.
        read: Reads one document.
        first: The first document, where it has been read already.

    Raises:
        SearchFailedError: The first document is no STAC, one cannot be read, or there are too many.
    """
    waiting, seen = deque([door]), {door}
    while waiting:
        where = waiting.popleft()
        document = first if where == door and first is not None else read(where)
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "Feature":
            yield RawItem(document, where, trust)
        elif kind == "FeatureCollection" or isinstance(document, list):
            members = document if isinstance(document, list) else document.get("features")
            for item in members if isinstance(members, list) else ():
                yield RawItem(item, where, trust)
        elif kind in ("Catalog", "Collection"):
            for link in _children(document, where, trust):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)
            if len(seen) > MOST_DOCUMENTS:
                raise SearchFailedError(
                    f"The catalogue holds more than {MOST_DOCUMENTS} files: search its .parquet index instead."
                )
        else:
            raise SearchFailedError(f"{_named(where)} is no STAC catalogue, collection or item.")


def read_file(path: str) -> Document:
    """A JSON file.

    Raises:
        SearchFailedError: It is not there, too large, or no JSON.
    """
    try:
        file = Path(path)
        if file.stat().st_size > LARGEST_FILE:
            raise SearchFailedError(
                f"{path} has more than {LARGEST_FILE // 2**20} MB: search a .parquet index instead."
            )
        return parse_json(file.read_bytes(), MOST_LOCAL_VALUES)
    except OSError as error:
        raise SearchFailedError(f"{path} cannot be read: {(error.strerror or type(error).__name__).lower()}.") from None
    except ValueError as error:
        raise SearchFailedError(f"{path} is not JSON that can be read ({error}).") from None


def _children(document: dict[str, Any], where: str, trust: SourcePolicy) -> Iterator[str]:
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") in ("child", "item", "items"):
            try:
                target = checked_href(link.get("href"), where, trust)
            except UnsafeHrefError:
                continue
            if _is_address(target) == _is_address(where):
                yield target


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _named(where: str) -> str:
    return f"A document of {host_of(where)}" if _is_address(where) else where
