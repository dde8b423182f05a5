"""Which files of a folder belong together."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from geoseg.catalog.datasets import DatasetRecord, PathRule, PolygonLabel
from geoseg.errors import BadLabelsError, BadRecordError, UnsafeHrefError

MOST_FILES = 1_000_000
FEW = 3


@dataclass(frozen=True, order=True)
class Key:
    """What the files of one pair have in common, as their paths tell it.

    Attributes:
        split: "" where neither path nor rule tells it.
        region: Likewise.
        id: Of the pair, in its region.
        name: Of the pair, in its set: the id, after the region where the path tells that elsewhere.
    """

    split: str
    region: str
    id: str
    name: str = field(compare=False)


@dataclass(frozen=True)
class Matched:
    """Files of one pair, relative to the root.

    Attributes:
        key: What they have in common.
        images: One for each part of the record.
        label: The label.
        hidden: Where nothing could be seen; "": no such file.
    """

    key: Key
    images: tuple[str, ...]
    label: str
    hidden: str = ""


@dataclass(frozen=True)
class Matches:
    """Files of a folder as a record sees them.

    Attributes:
        pairs: Complete, in the order of their keys.
        lonely_images: Images without a label, or that lack a part.
        lonely_labels: Labels without an image.
    """

    pairs: tuple[Matched, ...]
    lonely_images: tuple[str, ...]
    lonely_labels: tuple[str, ...]


def files_below(root: Path) -> list[str]:
    """Every file below ``root``, relative, with ``/``; neither hidden ones nor what linked folders hold; sorted.

    Raises:
        BadLabelsError: So many that this is no data set.
    """
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = [each for each in folders if not each.startswith(".")]
        below = Path(folder).relative_to(root)
        found += [(below / each).as_posix() for each in files if not each.startswith(".")]
        if len(found) > MOST_FILES:
            raise BadLabelsError(f"{root} holds more than {MOST_FILES:,} files. Name the data set's own folder.")
    return sorted(found)


def match(record: DatasetRecord, files: Sequence[str]) -> Matches:
    """Sort files into pairs.

    Raises:
        BadLabelsError: Two files play the same part of one pair.
    """
    parts = [_keyed(part.paths, files) for part in record.images]
    labels = _keyed(record.label.paths, files)
    hidden = _keyed(record.label.hidden, files) if isinstance(record.label, PolygonLabel) else {}
    whole = set(labels).intersection(*parts)
    pairs = [
        Matched(key, tuple(part[key] for part in parts), labels[key], hidden.get(key, "")) for key in sorted(whole)
    ]
    lonely_images = sorted(path for part in parts for key, path in part.items() if key not in whole)
    lonely_labels = sorted(path for key, path in labels.items() if key not in whole)
    return Matches(tuple(pairs), tuple(lonely_images), tuple(lonely_labels))


def check_paired(matches: Matches, root: Path) -> None:
    """Refuse files that do not pair.

    Raises:
        BadLabelsError: Names the first few on both sides.
    """
    if matches.lonely_images or matches.lonely_labels:
        raise BadLabelsError(
            f"In {root} {len(matches.lonely_images)} image files have no label ({_few(matches.lonely_images)}) and "
            f"{len(matches.lonely_labels)} labels have no whole image ({_few(matches.lonely_labels)}). "
            "Give both the same name, or move out what does not belong there."
        )


def below(root: Path, relative: str) -> Path:
    """The file, which lies below ``root`` whatever links say.

    Raises:
        UnsafeHrefError: It is a link to somewhere else.
    """
    path = root / relative
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link to itself
        inside = False
    if not inside:
        raise UnsafeHrefError(f"{path} is a link out of {root}. Copy the file into it.")
    return path


@lru_cache(maxsize=8)
def _lists(root: Path, path: str, line: str, files: tuple[str, ...]) -> dict[str, str]:
    splits = {}
    for each in files:
        if (found := re.fullmatch(path, each)) is None:
            continue
        try:
            for text in below(root, each).read_text(encoding="utf-8").splitlines():
                if hit := re.search(line, text):
                    splits[hit["id"]] = found["split"]
        except (re.error, IndexError, UnicodeDecodeError) as error:
            raise BadRecordError(
                f"The list of splits {root / each} cannot be read as its record says: {error}."
            ) from None
    return splits


def listed_splits(record: DatasetRecord, root: Path, files: Sequence[str]) -> dict[str, str]:
    """Split of each id that the record, or a list that the data set ships, names."""
    splits = {id_: split for split, ids in record.split_lists.items() for id_ in ids}
    for each in record.split_files:
        splits |= _lists(root, each.path, each.line, tuple(files))
    return splits


def _keyed(rules: Sequence[PathRule], files: Sequence[str]) -> dict[Key, str]:
    keyed: dict[Key, str] = {}
    for path in files:
        key = _key(rules, path)
        if key is None:
            continue
        if key in keyed:
            raise BadLabelsError(
                f"{keyed[key]} and {path} are the same part of {key.id}. Keep one of them below the folder, or name "
                "a folder further down."
            )
        keyed[key] = path
    return keyed


def _key(rules: Sequence[PathRule], path: str) -> Key | None:
    for rule in rules:
        if found := re.fullmatch(rule.path, path):
            told = found.groupdict(default="")
            region, id_ = told.get("region", ""), told["id"]
            name = id_ if region in id_ else f"{region}-{id_}"
            return Key(told.get("split") or rule.split, region or rule.region, id_, name)
    return None


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths[:FEW]) + (", ..." if len(paths) > FEW else "") if paths else "none"
