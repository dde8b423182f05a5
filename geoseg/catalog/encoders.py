"""Foundation encoders: what they were pretrained on, what they want to be given, and where their weights are."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field

from geoseg.catalog.records import Record, load_folder, pick
from geoseg.catalog.sensors import Unit


class BandInput(Record):
    """One band as an encoder knows it.

    Attributes:
        wavelength_um: What the encoder is told, micrometres (for radar its authors' placeholder). None: the sensor's.
        mean: Of the pretraining data, in the encoder's own numbers. None: not published, measure it.
        std: Likewise.
        scale: From the physical unit to those numbers, where it differs from the sensor's.
        inferred: The scale is our reading of the sources, not stated by the authors.
    """

    wavelength_um: float | None = Field(default=None, gt=0.3, lt=20)
    mean: float | None = None
    std: float | None = Field(default=None, gt=0)
    scale: float | None = Field(default=None, gt=0)
    inferred: bool = False


class SensorInput(Record):
    """One sensor as an encoder knows it.

    Attributes:
        unit: Physical unit of the statistics divided by ``scale``.
        scale: From the physical unit to the numbers of the statistics.
        bands: Bands that it may be given, in the encoder's order.
        pretrained: The sensor was part of the pretraining.
    """

    unit: Unit
    scale: float = Field(default=1.0, gt=0)
    bands: dict[str, BandInput] = Field(min_length=1)
    pretrained: bool = True


class OfficialFile(Record):
    """A published file of weights.

    Attributes:
        repository: On the hub, ``owner/name``.
        file: Path inside it.
        revision: Branch or commit.
        sha256: Its hash, or as much of its beginning as is known (torchgeo writes eight digits into the file's name).
    """

    repository: str
    file: str
    revision: str = "main"
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{8,64}$")


class Variant(Record):
    """One size of a family.

    Attributes:
        size: Key of the family's table of dimensions.
        parameters_m: Parameters of the encoder in millions, as published or counted.
        file: Where its weights are. None: none were ever released; it is trained from scratch.
        mirrors: The same weights elsewhere.
        refused: Beginnings of hashes of files that fit by name and shape but are not these weights, and why.
    """

    size: str
    parameters_m: float
    file: OfficialFile | None = None
    mirrors: tuple[OfficialFile, ...] = ()
    refused: dict[str, str] = {}


class EncoderFamily(Record):
    """Encoders that differ only in size.

    Attributes:
        title: One line.
        builder: Family of encoders that builds it; see ``geoseg.models.foundation.build.FAMILIES``.
        bands: Bands that the released patch embedding has kernels for, in order. None: any wavelength.
        norm_epsilon: LayerNorm's epsilon of the released weights, where it is an option.
        positions: What to do off the pretraining's grid.
        chip_px: Side of the chips it was pretrained on.
        decoder: Decoder it is paired with where none was asked for.
        sensors: What it may be given.
        variants: Sizes, by the name that people type.
        licence: Of the weights.
        limits: Known failures, plainly.
        references: Papers and repositories.
    """

    title: str
    builder: str
    bands: tuple[str, ...] | None = None
    norm_epsilon: float | None = None
    positions: Literal["recompute", "interpolate"]
    chip_px: int = Field(ge=1)
    decoder: str
    sensors: dict[str, SensorInput] = Field(min_length=1)
    variants: dict[str, Variant] = Field(min_length=1)
    licence: str
    limits: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@cache
def encoder_families() -> dict[str, EncoderFamily]:
    """Every family by name."""
    return load_folder("encoders", EncoderFamily)


@cache
def encoder_names() -> tuple[str, ...]:
    """Every encoder's name, as people type it."""
    return tuple(sorted(_families_by_variant()))


def encoder_facts(name: str) -> tuple[EncoderFamily, Variant]:
    """The family and the size of one encoder.

    Raises:
        UnknownNameError: No such encoder.
    """
    family = pick("encoder", name, _families_by_variant())
    return family, family.variants[name]


@cache
def _families_by_variant() -> dict[str, EncoderFamily]:
    return {name: family for family in encoder_families().values() for name in family.variants}
