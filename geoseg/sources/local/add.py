"""Add a person's files to a catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.core.progress import Progress, Report, silent
from geoseg.errors import GeosegError, NotIngestibleError, ReadError, UnsafeHrefError
from geoseg.sources.local.discover import discover
from geoseg.sources.local.hint import another_sensor
from geoseg.sources.local.item import Item, item_of
from geoseg.sources.local.naming import item_id
from geoseg.sources.local.product import Options
from geoseg.sources.local.radiometry import check_units
from geoseg.sources.local.raster import damage_named
from geoseg.sources.local.store import check_target, is_catalogue, merged, read_items, write_catalogue
from geoseg.sources.search.source_policy import SourcePolicy, checked_href


@dataclass(frozen=True, slots=True)
class Refused:
    """A path that was not added, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Added:
    """What an addition did.

    Attributes:
        folder: Of the catalogue.
        items: Added, hrefs absolute, ordered by id.
        replaced: Ids that were there before.
        refused: What was not added.
        total: Items the catalogue holds now.
    """

    folder: Path
    items: tuple[Item, ...]
    replaced: tuple[str, ...]
    refused: tuple[Refused, ...]
    total: int


def add(paths: Sequence[Path], folder: Path, options: Options, *, report: Report = silent) -> Added:
    """Describe the files at ``paths`` as STAC items and add them to the catalogue in ``folder``.

    A file that cannot be added is left out and named in the answer; the others are added. Files are never copied or
    changed: the items point to where they lie.

    Args:
        paths: GeoTIFF files, order and scene folders, or folders of such.
        folder: Of the catalogue; made where it is missing.
        options: What the person said about the files.
        report: Told of every acquisition that is done.

    Raises:
        UsageError: An option that cannot be.
        NotIngestibleError: Nothing at all could be added; or ``folder`` cannot be a catalogue.
        RadiometryUnknownError: The only file's numbers cannot be decided.
        OutputNotWritableError: The folder cannot be written.
    """
    sensor_record(options.sensor)
    check_units(options)
    check_target(folder)
    old = read_items(folder) if is_catalogue(folder) else []
    new, errors = _described(paths, options, old, report)
    if not new:
        raise _nothing_left(errors)
    items = merged(old, new)
    write_catalogue(folder, items)
    known = {(item["collection"], item["id"]) for item in old}
    return Added(
        folder=folder,
        items=tuple(sorted(new, key=lambda item: str(item["id"]))),
        replaced=tuple(sorted(item["id"] for item in new if (item["collection"], item["id"]) in known)),
        refused=tuple(Refused(path, str(error)) for path, error in errors),
        total=len(items),
    )


def _described(
    paths: Sequence[Path], options: Options, old: Sequence[Item], report: Report
) -> tuple[list[Item], list[tuple[Path, GeosegError]]]:
    sources = discover(paths, options.sensor)
    found: list[tuple[Path, Item]] = []
    errors: list[tuple[Path, GeosegError]] = []
    for done, source in enumerate(sources, start=1):
        try:
            with damage_named(source.path):
                item = item_of(source.product(options))
            check_readable(item)
        except (NotIngestibleError, ReadError) as error:
            hint = another_sensor(source.path, options.sensor)
            errors.append((source.path, type(error)(f"{error} {hint}") if hint else error))
        else:
            found.append((source.path, item))
        report(Progress("add", done, len(sources), "file", source.path.name))
    items, twins = _with_own_ids(found, old)
    return items, [*errors, *twins]


def _with_own_ids(
    found: Sequence[tuple[Path, Item]], old: Sequence[Item]
) -> tuple[list[Item], list[tuple[Path, GeosegError]]]:
    """Tell files of one name apart by their folders: two days of an order are each called ``composite``."""
    files = {(item["collection"], item["id"]): _files_of(item) for item in old}
    held = {frozenset(_files_of(item)): str(item["id"]) for item in old}
    names = Counter(item["id"] for _, item in found)
    items: dict[str, Item] = {}
    errors: list[tuple[Path, GeosegError]] = []
    for path, item in found:
        before = files.get((item["collection"], item["id"]))
        name = held.get(frozenset(_files_of(item)), str(item["id"]))
        taken = before is not None and before.isdisjoint(_files_of(item))
        if name == item["id"] and (names[name] > 1 or taken):
            name = item_id(f"{path.parent.name}_{name}")
        if name in items:
            errors.append((path, _named_twice(path, name)))
        else:
            items[name] = {**item, "id": name}
    return list(items.values()), errors


def _files_of(item: Item) -> set[str]:
    return {str(asset["href"]) for asset in item["assets"].values()}


def check_readable(item: Item) -> None:
    """Refuse a file that `geoseg map` would refuse for its name, in the same words.

    Raises:
        NotIngestibleError: See above.
    """
    for asset in item["assets"].values():
        path = asset["href"]
        try:
            read = checked_href(path, path, SourcePolicy(local=True))
        except UnsafeHrefError as error:
            raise NotIngestibleError(
                f"{path} cannot be read under this name: {error} Rename it, or its folder."
            ) from None
        if Path(read) != Path(path):
            raise NotIngestibleError(f"{path} cannot be read under this name: it would be taken for {read}. Rename it.")


def _named_twice(path: Path, name: str) -> NotIngestibleError:
    return NotIngestibleError(
        f"{path} would be named {name}, as another file of this run is. Rename one, or add it to another catalogue."
    )


def _nothing_left(errors: Sequence[tuple[Path, GeosegError]]) -> GeosegError:
    if not errors:
        return NotIngestibleError("Nothing was given to add. Name files or folders.")
    first = errors[0][1]
    if len(errors) == 1:
        return first
    kind = type(first) if len({type(error) for _, error in errors}) == 1 else NotIngestibleError
    return kind(f"Nothing could be added: all {len(errors)} were refused. The first: {first}")
