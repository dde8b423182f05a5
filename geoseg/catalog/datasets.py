"""Data sets: what labelled imagery exists, how its files lie, and what the numbers in them mean."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from pydantic import Field, field_validator, model_validator

from geoseg.catalog.cards import BEFORE
from geoseg.catalog.records import Record, load_folder, pick
from geoseg.catalog.sensors import Unit
from geoseg.catalog.target import Target

MOST_CLASSES = 255
"""A map's codes are bytes, and 255 is not observed."""


class PathRule(Record):
    """Which files play a part, told by their paths.

    Attributes:
        path: Regular expression that the whole path below the data set's root matches (``/`` between folders), with
            the named groups ``id``, ``region`` and ``split``, as far as the path tells them.
        region: Of files whose path does not tell it.
        split: Likewise.
    """

    path: str
    region: str = ""
    split: str = ""

    @field_validator("path")
    @classmethod
    def _compiles(cls, path: str) -> str:
        try:
            groups = re.compile(path).groupindex
        except re.error as error:
            raise ValueError(f"{path!r} is no regular expression: {error}") from None
        if "id" not in groups:
            raise ValueError(f"{path!r} has no group named id")
        return path


class ImagePart(Record):
    """One file of an image; all parts of a pair lie on one grid.

    Attributes:
        paths: Where the file lies; the first rule that matches counts.
        bands: Name of each band of the file, in order; "" is not used.
        scale: Physical value = number x scale + offset.
        offset: In the physical unit.
        nodata: Number that means "not observed", besides what the file itself declares.
        alpha: Which band (1-based) is 0 where nothing was observed.
        unseen: What else marks pixels that nobody observed: ``black`` - pixels whose bands are all 0; ``black-edge`` -
            whole rows or columns of such pixels at the image's edge; ``black-area`` - connected areas of at least
            ``UNSEEN_AREA_PX`` such pixels that touch the image's edge.
        unlabelled: The label says nothing where this part was not observed.
    """

    paths: tuple[PathRule, ...] = Field(min_length=1)
    bands: tuple[str, ...] = Field(min_length=1)
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    alpha: int | None = Field(default=None, ge=1)
    unseen: Literal["", "black", "black-edge", "black-area"] = ""
    unlabelled: bool = False

    @model_validator(mode="after")
    def _alpha_is_a_band(self) -> ImagePart:
        if self.alpha is not None and self.alpha > len(self.bands):
            raise ValueError(f"alpha is band {self.alpha}, and bands names {len(self.bands)}")
        return self


class RasterLabel(Record):
    """Labels as pixels.

    Attributes:
        paths: Where the file lies.
        band: Of the file, 1-based.
        codes: Stored number -> index of its class, or null where nobody said. Any other number is refused.
    """

    kind: Literal["raster"]
    paths: tuple[PathRule, ...] = Field(min_length=1)
    band: int = Field(default=1, ge=1)
    codes: dict[int, int | None] = Field(min_length=1)


class PolygonLabel(Record):
    """Labels as GeoJSON polygons; a pixel belongs to a polygon that holds its centre.

    Attributes:
        paths: Where the file lies.
        inside: Class of a pixel inside a polygon; null: nobody said.
        outside: Class of a pixel outside all of them; null: nobody said.
        hidden: Files of polygons in which nothing could be seen: unlabelled. A pair may lack one.
    """

    kind: Literal["polygons"]
    paths: tuple[PathRule, ...] = Field(min_length=1)
    inside: int | None = 1
    outside: int | None = None
    hidden: tuple[PathRule, ...] = ()


class SplitFile(Record):
    """Lists of ids in text files.

    Attributes:
        path: Regular expression of the list's path, with the group ``split``.
        line: Regular expression that is searched in each line, with the group ``id``.
    """

    path: str
    line: str


class DatasetRecord(Record):
    """A labelled data set.

    Attributes:
        title: One line.
        sensor: Sensor record; several joined by ``+``; ``unknown`` where nobody says.
        unit: Of the pixels, once scaled.
        classes: Name of each class; index 0 is the background.
        meaning: Target class of class 1.
        gsd_m: Ground sampling in metres. None: the file's own, where it has one.
        licence: As stated where the data come from.
        origin: Whom to cite.
        get: Where the data can be had.
        folder: Below ``$GEOSEG_DATA``; "": the record's name.
        limits: Traps, plainly.
        images: Files that make up an image, in the order of their bands.
        label: What a person says it shows.
        recognised: A folder laid out like this is taken for this data set without its being named.
        incomplete: Images without a label, and labels without an image, are part of the data set and left out.
        splits: Other names of splits -> ours (``valid`` -> ``val``).
        split_files: Lists of ids, where the data set ships such.
        split_lists: Split -> ids.
        region_groups: Region -> the group it belongs to (a country of several sites).
        simulated: The imagery is of a place that does not exist.
    """

    title: str
    sensor: str
    unit: Unit
    classes: tuple[str, ...] = Field(min_length=2, max_length=MOST_CLASSES)
    meaning: Target
    gsd_m: float | None = Field(default=None, gt=0)
    licence: str
    origin: tuple[str, ...] = ()
    get: str = ""
    folder: str = ""
    limits: tuple[str, ...] = ()
    images: tuple[ImagePart, ...] = Field(min_length=1)
    label: RasterLabel | PolygonLabel = Field(discriminator="kind")
    recognised: bool = True
    incomplete: bool = False
    splits: dict[str, str] = {}
    split_files: tuple[SplitFile, ...] = ()
    split_lists: dict[str, tuple[str, ...]] = {}
    region_groups: dict[str, str] = {}
    simulated: bool = False

    @model_validator(mode="after")
    def _fits(self) -> DatasetRecord:
        if len(set(self.bands)) != len(self.bands):
            raise ValueError(f"a band occurs twice in {', '.join(self.bands)}")
        named = (
            self.label.codes.values()
            if isinstance(self.label, RasterLabel)
            else (self.label.inside, self.label.outside)
        )
        if wrong := [index for index in named if index is not None and not 0 <= index < len(self.classes)]:
            raise ValueError(f"the label names class {wrong[0]}, and there are classes 0 to {len(self.classes) - 1}")
        return self

    @property
    def bands(self) -> tuple[str, ...]:
        """Every band that is used, in order."""
        return tuple(band for part in self.images for band in part.bands if band)

    @property
    def wants_pre_event(self) -> bool:
        """Part of the imagery is from before the flood."""
        return any(band.startswith(BEFORE) for band in self.bands)

    @property
    def source(self) -> str:
        """One line for a model card: what it is, from whom, under which licence."""
        return f"{self.title} ({'; '.join(self.origin) or 'origin not stated'}). Licence: {self.licence}"


@cache
def datasets() -> dict[str, DatasetRecord]:
    """Every data set record by name."""
    return load_folder("datasets", DatasetRecord)


def dataset(name: str) -> DatasetRecord:
    """The data set of that name.

    Raises:
        UnknownNameError: No such data set.
    """
    return pick("data set", name, datasets())
