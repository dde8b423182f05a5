"""Where labelled images come from, several data sets together, as a recipe's file or a command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from geoseg.catalog.records import Record
from geoseg.catalog.sensors import Unit
from geoseg.datasets.open import PlainFolderOptions, open_data
from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.errors import BadOptionError, NotTrainableError

SIMULATED = "simulated-"
"""``simulated-s1`` is the embedded simulator's imagery of that sensor."""


class TrainingSource(Record):
    """One origin of labelled images.

    Attributes:
        data: Name of a data set, a folder, a record's file, or ``simulated-SENSOR``.
        root: Folder of a data set that is given by name.
        labels: Vector file of polygons, in place of ``data``.
        layer: Its layer that is read; None: every layer with polygons and the field.
        scenes: Catalogues that show what the polygons lie in.
        date: Of the scenes.
        class_field: Attribute of the polygons that holds the class.
        sensor: Of a folder without a record, or of the scenes.
        unit: Of a folder without a record.
        codes: Of a folder without a record: number in its masks -> class; null: unlabelled.
        bands: Bands to read, in order; of a folder without a record, each band of its files. None: all.
        regions: Only these; empty: all.
        without_regions: Not these.
        splits: Only these; empty: all.
        every: Only each so-many-th image, for a quick look.
        seeds: Worlds of each region, of simulated data.
        resolution_m: Pixel size that scenes are read at, metres; None: the sensor's, as for a map.
        weight: How often training draws from this source, relative to the others; shared among its images. None: as
            often as it has images.
    """

    data: str | None = None
    root: Path | None = None
    labels: Annotated[str, BeforeValidator(str)] | None = None
    layer: str | None = None
    scenes: tuple[str, ...] = ()
    date: str | None = None
    class_field: str = "class"
    sensor: str | None = None
    unit: Unit | None = None
    codes: dict[int, int | None] | None = None
    bands: tuple[str, ...] | None = None
    regions: tuple[str, ...] = ()
    without_regions: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    every: int = 1
    seeds: tuple[int, ...] = (0,)
    resolution_m: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    weight: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_origin(self) -> TrainingSource:
        if self.resolution_m is not None and self.labels is None:
            raise ValueError("resolution is of labels on scenes: the images of a data set keep their own pixels")
        if (self.data is None) == (self.labels is None):
            raise ValueError("give either data or labels (with scenes)")
        if self.labels is not None and not (self.scenes and self.sensor):
            raise ValueError("labels want scenes, catalogues that show them, and their sensor")
        return self


def gather(
    sources: Sequence[TrainingSource], *, bands: Sequence[str] | None = None, sensor: str | None = None
) -> LabelledSet:
    """All sources as one set.

    Args:
        sources: At least one.
        bands: That every source must have, in order. None: those of the first.
        sensor: Of the whole, where its sources differ in it.

    Raises:
        BadOptionError: No source, or sources whose classes, units or meanings differ.
        NotTrainableError: A source of which nothing is left.
        GeosegError: A source that cannot be opened.
    """
    if not sources:
        raise BadOptionError("No labelled images were named. Give --data, or --labels with --scene.")
    sets = [_opened(source, bands) for source in sources]
    read = tuple(bands) if bands else sets[0].bands
    sets = [each.with_bands(read) for each in sets]
    first = sets[0]
    for other in sets[1:]:
        if (other.classes, other.unit, other.meaning) != (first.classes, first.unit, first.meaning):
            raise BadOptionError(
                f"{first.name} ({first.meaning}, {first.unit}) and {other.name} ({other.meaning}, {other.unit}) cannot "
                "be learned together: their classes or units differ."
            )
    if len(sets) == 1:
        return replace(first, sensor=sensor or first.sensor)
    return replace(
        first,
        name="+".join(dict.fromkeys(each.name for each in sets)),
        pairs=tuple(_named(pair, each.name) for each in sets for pair in each.pairs),
        sensor=sensor or first.sensor,
        sources=tuple(dict.fromkeys(line for each in sets for line in each.sources)),
        simulated=any(each.simulated for each in sets),
        notes=tuple(dict.fromkeys(note for each in sets for note in each.notes)),
        piece="tile" if all(each.piece == "tile" for each in sets) else "image",
    )


def _opened(source: TrainingSource, bands: Sequence[str] | None) -> LabelledSet:
    found = _origin(source, source.bands or bands)
    every = {pair.id for pair in found.pairs[:: source.every]}

    def wanted(pair: Pair) -> bool:
        return (
            pair.id in every
            and (not source.regions or pair.region in source.regions)
            and pair.region not in source.without_regions
            and (not source.splits or pair.split in source.splits)
        )

    kept = found.where(wanted)
    if not kept.pairs:
        raise NotTrainableError(
            f"Nothing is left of {found.name}: it holds the regions {', '.join(found.regions)} and the splits "
            f"{', '.join(sorted({pair.split or '(none)' for pair in found.pairs}))}."
        )
    if source.weight is not None:
        share = source.weight / len(kept.pairs)
        kept = replace(kept, pairs=tuple(replace(pair, weight=share) for pair in kept.pairs))
    return kept.with_bands(source.bands) if source.bands else kept


def _origin(source: TrainingSource, bands: Sequence[str] | None) -> LabelledSet:
    if source.labels is not None:
        # brings all that reading scenes needs
        from geoseg.datasets.scenes import DrawnLabels, ScenePixels, labelled_scenes

        drawn = DrawnLabels(source.labels, source.layer, source.class_field, source.date)
        read = tuple(bands) if bands else None
        return labelled_scenes(drawn, ScenePixels(source.scenes, str(source.sensor), read, source.resolution_m))
    name = str(source.data)
    if name.startswith(SIMULATED):
        from geoseg.datasets.simulated import SimulatedChips, simulated_set

        return simulated_set(name.removeprefix(SIMULATED), SimulatedChips(bands=bands, seeds=source.seeds))
    if source.sensor is None and source.unit is None:
        return open_data(name, root=source.root, codes=source.codes)
    plain = PlainFolderOptions(sensor=source.sensor, bands=source.bands or bands, unit=source.unit, codes=source.codes)
    return open_data(name, root=source.root, **plain)


def _named(pair: Pair, name: str) -> Pair:
    """Ids and regions of different sets are different ones."""
    return replace(pair, id=f"{name}/{pair.id}", region=pair.region)
