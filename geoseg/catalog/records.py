"""Where the fact files are, and how one becomes a typed record."""

from __future__ import annotations

import os
from collections.abc import Container
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from geoseg.errors import BadRecordError, GeosegError, UnknownNameError

CATALOG_PATH = "GEOSEG_CATALOG_PATH"
"""Environment variable: folders of a person's own records, separated as ``PATH`` is."""

LARGEST_RECORD = 1_000_000
"""Bytes. No honest record comes near; YAML's aliases can blow up a larger one."""


class Record(BaseModel):
    """A frozen record; a key it does not know is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


@cache
def facts_folder(kind: str) -> Path:
    """The folder of ``data_catalog`` or ``configs``: inside an installed package, or beside it in a checkout.

    Raises:
        BadRecordError: Neither is there: the installation is broken.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_facts" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise BadRecordError(f"geoseg's folder {kind!r} is missing: the installation is broken, install it again.")


def safe_yaml(text: str) -> Any:
    """What a text says, nothing in it executed.

    Raises:
        yaml.YAMLError: It is no YAML; also where a date, a number or its depth is beyond what can be.
    """
    try:
        return yaml.safe_load(text)
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from None


def record_text(path: Path, refusal: type[GeosegError] = BadRecordError) -> str:
    """The text of a file that a person wrote, UTF-8, of at most 1 MB; a device or a pipe is never opened.

    Args:
        path: Of the file, or of a link to it.
        refusal: Error that a refusal is raised as.

    Raises:
        BadRecordError: Or ``refusal``: it is no regular file, or larger.
        OSError: It cannot be read.
        UnicodeDecodeError: It is no text.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise refusal(f"{path} is a device or a pipe, not a file: give a file of YAML.")
    with path.open("rb") as file:  # a folder says so itself here
        content = file.read(LARGEST_RECORD + 1)
    if len(content) > LARGEST_RECORD:
        raise refusal(f"{path} is larger than {LARGEST_RECORD:,} bytes, as no such record is: give another file.")
    return content.decode("utf-8")


def load_record(path: Path, model: type[R]) -> R:
    """Read one YAML file as a record.

    Raises:
        BadRecordError: No file, not YAML, or not what ``model`` describes; names the file and the first fault.
    """
    try:
        content = safe_yaml(record_text(path))
        return model.model_validate(content)
    except yaml.YAMLError as error:
        raise BadRecordError(f"{path} is not YAML: {error}.".replace("\n", " ")) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadRecordError(f"{path}: {where}: {first['msg']} ({error.error_count()} faults in all).") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecordError(f"{path} cannot be read as a text file in UTF-8: {error}.") from None


def user_folders() -> tuple[Path, ...]:
    """Folders of records that a person adds with ``$GEOSEG_CATALOG_PATH``, laid out as ``data_catalog`` is.

    Raises:
        BadRecordError: The variable names something that is not a folder.
    """
    folders = [Path(part).expanduser() for part in os.environ.get(CATALOG_PATH, "").split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise BadRecordError(f"{CATALOG_PATH} names {folder}, which is not a folder. Correct it, or unset it.")
    return tuple(folders)


def load_folder(kind: str, model: type[R], taken: Container[str] = ()) -> dict[str, R]:
    """Load every record of ``KIND/**/*.yaml``: those of the package, then those of ``$GEOSEG_CATALOG_PATH``.

    Args:
        kind: Folder of the kind of records (``sensors``, ``collections``, ``models``).
        model: What a record must be.
        taken: Names that a person's records must not have either.

    Returns:
        Records by their path below the folder, without the suffix, sorted in each folder.

    Raises:
        BadRecordError: A file is not such a record, or has the name of one that is there already.
    """
    records: dict[str, R] = {}
    for root in (facts_folder("data_catalog"), *user_folders()):
        for path in sorted((root / kind).rglob("*.yaml")):
            name = path.relative_to(root / kind).with_suffix("").as_posix()
            if name in records or name in taken:
                raise BadRecordError(
                    f"{path}: the name {name!r} is taken by another record of {kind}. Rename the file."
                )
            records[name] = load_record(path, model)
    return records


def pick(kind: str, name: str, records: dict[str, R]) -> R:
    """The record of that name.

    Raises:
        UnknownNameError: No such record; the nearest names are offered.
    """
    if name not in records:
        raise UnknownNameError.among(kind, name, records)
    return records[name]
