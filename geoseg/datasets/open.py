"""Open a labelled set by name, folder or record."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import yaml

from geoseg.catalog.datasets import DatasetRecord, ImagePart, PathRule, RasterLabel, dataset, datasets
from geoseg.catalog.records import Record, load_record, record_text, safe_yaml
from geoseg.catalog.sensors import Unit
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.catalog.target import WATER, TargetClass, target_class
from geoseg.datasets.files import open_files
from geoseg.datasets.matching import below, files_below, match
from geoseg.datasets.pair import LabelledSet
from geoseg.datasets.raster_file import read_header
from geoseg.errors import BadLabelsError, BadOptionError, BadRecordError, UnknownNameError

FOLDER_VARIABLE = "GEOSEG_DATA"
"""Environment variable: the folder that holds data sets, each in a folder of its own."""

OWN_RECORD = "dataset.yaml"
"""A record that lies in the folder it describes."""

IMAGES = "(?i:images?|imgs?)"
MASKS = "(?i:masks?|labels?|lbl|gt)"
SUFFIX = r"(?i:tiff?|png|jpe?g|webp|jp2|bmp)"
SPLITS = "train|valid|val|test"


class DatasetFile(DatasetRecord):
    """A record in a file of the user's own.

    Attributes:
        root: Folder of the data, relative to the file.
    """

    root: str = "."


class KnownDataset(Record):
    """A file that gives the folder of a known data set.

    Attributes:
        record: Its name.
        root: Folder of the data, relative to the file.
    """

    record: str
    root: str = "."


class PlainFolderOptions(TypedDict, total=False):
    """Description of a plain folder of images and masks, which has no record.

    Attributes:
        sensor: Sensor of the images.
        bands: Each band of the images, in order; "" for one that is not used.
        unit: Unit of the pixels, once scaled.
        meaning: Target class of class 1, or its name. Default: water.
        scale: Physical value = number x scale. None: 1, or 1/255 for unitless images of 8 bit.
        codes: Number in the masks -> 0 (background), 1 (the target class), None (unlabelled); -1 is unlabelled
            unless named. None: the numbers are the classes.
    """

    sensor: str | None
    bands: Sequence[str] | None
    unit: Unit | None
    meaning: TargetClass | str
    scale: float | None
    codes: Mapping[int, int | None] | None


@dataclass(frozen=True)
class _Plain:
    """The same description with its defaults."""

    sensor: str | None = None
    bands: Sequence[str] | None = None
    unit: Unit | None = None
    meaning: TargetClass | str = WATER
    scale: float | None = None
    codes: Mapping[int, int | None] | None = None

    @property
    def given(self) -> list[str]:
        return [each.name for each in fields(self) if getattr(self, each.name) not in (None, WATER)]

    @property
    def missing(self) -> list[str]:
        return [key for key in ("sensor", "bands", "unit") if getattr(self, key) is None]

    def refuse(self, why: str) -> None:
        if self.given:
            raise BadOptionError(f"{why}, which states its own {' and '.join(self.given)}. Leave that out.")


def open_data(
    data: str | Path,
    *,
    root: Path | None = None,
    **plain: Unpack[PlainFolderOptions],
) -> LabelledSet:
    """Open a labelled set; no pixel is read.

    Args:
        data: A data set's name; a folder that holds a known data set, a ``dataset.yaml``, or images and masks; or a
            YAML file that describes one.
        root: Folder of a data set given by its name. None: ``$GEOSEG_DATA/NAME``.
        plain: Description of a plain folder of images and masks; see :class:`PlainFolderOptions`.

    Returns:
        The set; its ``name`` and ``sources`` state what ``data`` was recognised as.

    Raises:
        UnknownNameError: No such data set, no such sensor.
        BadOptionError: Its folder is not known, or what describes a plain folder is missing.
        BadLabelsError: Names that do not pair, a label that does not fit its image, or no files.
        BadRecordError: A record that is malformed, or does not fit the files.
        SceneUnreadableError: A file whose header cannot be read.
    """
    described = _Plain(**plain)
    path = Path(data)
    if str(data) in datasets():
        described.refuse(f"{data} is a known data set")
        return open_files(str(data), dataset(str(data)), _root(str(data), root))
    if root is not None:
        raise BadOptionError(
            f"--root: expected with the name of a known data set, got {data}. Give its folder as --data instead."
        )
    if path.is_dir():
        return _folder(path, described)
    if path.is_file():
        described.refuse(f"{path} describes a data set")
        return _file(path)
    if path.suffix or len(path.parts) > 1:
        raise BadOptionError(f"Data {path}: there is no such folder or file. Check its name.")
    raise UnknownNameError.among("data set or folder", str(data), datasets())


def _root(name: str, root: Path | None) -> Path:
    record = dataset(name)
    if root is None and (home := os.environ.get(FOLDER_VARIABLE)):
        root = Path(home) / (record.folder or name)
    if root is not None and root.is_dir():
        return root
    missing = f"there is no folder {root}" if root is not None else f"{FOLDER_VARIABLE} is not set"
    raise BadOptionError(
        f"The files of {name} are not here: {missing}. Give its folder itself as the data, or set {FOLDER_VARIABLE} to "
        f"the folder that holds {record.folder or name}. It can be had from {record.get or 'its authors'}."
    )


def _file(path: Path) -> LabelledSet:
    try:
        content = safe_yaml(record_text(path))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadRecordError(
            f"{path}: expected a YAML record of a data set, got a file that is not YAML. See docs/datasets.md."
        ) from None
    if isinstance(content, dict) and "record" in content:
        known = load_record(path, KnownDataset)
        return open_files(known.record, dataset(known.record), _beside(path, known.root))
    described = load_record(path, DatasetFile)
    name = path.absolute().parent.name if path.name == OWN_RECORD else path.stem
    return open_files(name, described, _beside(path, described.root))


def _beside(path: Path, root: str) -> Path:
    folder = path.parent / root
    if not folder.is_dir():
        raise BadRecordError(f"{path}: root: there is no folder {folder}.")
    return folder


def _folder(root: Path, plain: _Plain) -> LabelledSet:
    if (root / OWN_RECORD).is_file():
        plain.refuse(f"{root} holds a {OWN_RECORD}")
        return _file(root / OWN_RECORD)
    files = files_below(root)
    known = [] if plain.given else _recognised(files)
    if len(known) > 1:
        raise BadOptionError(
            f"{root} is ambiguous: its files match {' and '.join(known)}. Set {FOLDER_VARIABLE} and give the name, or "
            "write a file with "
            f"`record: {known[0]}` and `root: {root}` and give that."
        )
    if known:
        return open_files(known[0], dataset(known[0]), root, files)
    images, masks = _plain_rules(root)
    if not any(re.fullmatch(rule.path, each) for each in files for rule in (*images, *masks)):
        raise BadLabelsError(
            f"{root}: expected the layout of a known data set ({', '.join(datasets())}), a {OWN_RECORD}, or folders "
            "images and masks. See docs/datasets.md."
        )
    return open_files(root.absolute().name, _plain_record(root, files, images, masks, plain), root, files)


def _recognised(files: Sequence[str]) -> list[str]:
    return [name for name, record in datasets().items() if record.recognised and match(record, files).pairs]


def _plain_rules(root: Path) -> tuple[tuple[PathRule, ...], tuple[PathRule, ...]]:
    """Match images and masks in folders of their own, with or without folders of splits, and of regions."""
    region = root.absolute().name
    rest = rf"(?:(?P<region>[^/]+)/)?(?P<id>[^/]+)\.{SUFFIX}"

    def rules(folder: str) -> tuple[PathRule, ...]:
        paths = (rf"{folder}/(?P<split>{SPLITS})/{rest}", rf"(?:(?P<split>{SPLITS})/)?{folder}/{rest}")
        return tuple(PathRule(path=path, region=region) for path in paths)

    return rules(IMAGES), rules(MASKS)


def _plain_record(
    root: Path, files: Sequence[str], images: tuple[PathRule, ...], masks: tuple[PathRule, ...], plain: _Plain
) -> DatasetRecord:
    if plain.sensor is None or plain.bands is None or plain.unit is None:
        raise BadOptionError(
            f"{root} is a plain folder of images and masks, and its {', '.join(plain.missing)} is missing: "
            f"give --{' and --'.join(plain.missing)}, or write a {OWN_RECORD} into it."
        )
    sensor_record(plain.sensor)
    meaning, bands = target_class(plain.meaning), tuple(plain.bands)
    named = [band for band in bands if band]
    if len(set(named)) < len(named):
        raise BadOptionError(
            f"--bands {','.join(bands)}: expected each band once, got one twice. Name each band of the files once."
        )
    first = next((each for each in files if any(re.fullmatch(rule.path, each) for rule in images)), None)
    dtype = read_header(below(root, first)).dtypes[0] if first else "float32"
    return DatasetRecord(
        title=f"{root.absolute().name}, a folder of images and masks",
        sensor=plain.sensor,
        unit=plain.unit,
        classes=meaning.classes,
        meaning=meaning,
        licence="not stated",
        images=(ImagePart(paths=images, bands=bands, scale=_scale(dtype, plain.unit, plain.scale, root)),),
        label=RasterLabel(kind="raster", paths=masks, codes=_codes(plain.codes)),
        splits={"valid": "val"},
    )


def _codes(given: Mapping[int, int | None] | None) -> dict[int, int | None]:
    codes = {0: 0, 1: 1} if given is None else dict(given)
    for number, index in codes.items():
        if index not in (None, 0, 1):
            raise BadOptionError(
                f"--codes {number}:{index}: expected class 0 (background), 1 (the class to find) or -1 (unlabelled), "
                f"got {index}."
            )
    return {-1: None, **codes}


def _scale(dtype: str, unit: Unit, scale: float | None, root: Path) -> float:
    if scale is not None:
        return scale
    if dtype == "uint8" and unit == "unitless":
        return 1 / 255
    if np.issubdtype(np.dtype(dtype), np.integer):
        raise BadOptionError(
            f"{root} holds images of {dtype}: expected {unit}, or a scale that converts them. Write a {OWN_RECORD} "
            "into it with their scale (0.0001 for reflectance times 10000)."
        )
    return 1.0
