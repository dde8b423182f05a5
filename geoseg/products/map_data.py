"""What a finished map is before it is written: everything that a product may show, and nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoseg import __version__
from geoseg.catalog.records import Record
from geoseg.catalog.sensors import Sensor
from geoseg.core.clock import Clock
from geoseg.core.request import Dates
from geoseg.core.scene import RejectedScene
from geoseg.inference.layers import ByteLayer
from geoseg.readers import Cube, Failure
from geoseg.water.areas import ClassAreas
from geoseg.water.codes import Legend

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Role = Literal["input", "before", "reference"]


class SceneUsed(Record):
    """A scene that the map was made from.

    Attributes:
        id: The item's id.
        collection: Name of its collection.
        role: What it was read for.
        time: Acquisition, ISO 8601, UTC; None for what has no single time.
        platform: As the item names it.
        cloud_pct: Cloud share the item states.
        hrefs: Where its bands are, by band, unsigned.
        sha256: Digests of those that are local files, by band.
        code: Its number in ``source.tif``; None where it has none.
    """

    id: str
    collection: str
    role: Role
    time: str | None = None
    platform: str = ""
    cloud_pct: float | None = None
    hrefs: dict[str, str] = {}
    sha256: dict[str, str] = {}
    code: int | None = None


class ModelUsed(Record):
    """The model, by its card.

    Attributes:
        name: As typed, or the bundle's.
        card: The whole card as plain values.
        sha256: Of its weights; None: it has none.
        scene_threshold_info: The threshold chosen for this scene, and from how much.
    """

    name: str
    card: dict[str, Any]
    sha256: str | None = None
    scene_threshold_info: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class MapLayers:
    """The layers of a map on disk, uint8 (y, x) on the map's grid, 255 not observed.

    Attributes:
        mask: Codes of the legend.
        probability: Per cent 0..100 of class 1.
        source: Index of the event scene that each pixel comes from.
    """

    mask: ByteLayer
    probability: ByteLayer
    source: ByteLayer


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a map came about, in plain values.

    Attributes:
        command: Repeats the run from any folder.
        request: What was asked, as ``Request.record`` gives it.
        model: The model and what it chose for this scene.
        threshold_pct: Probability from which a pixel is class 1, per cent.
        clock: Seconds of each step so far.
    """

    command: str
    request: dict[str, Any]
    model: ModelUsed
    threshold_pct: int
    clock: Clock


@dataclass(frozen=True, slots=True)
class MapData:
    """A finished map, not yet written: what every product gets.

    Attributes:
        grid: The grid of all layers.
        layers: Mask, probability and source.
        legend: Codes of the mask, their names and colours.
        areas: Pixels, shares and km2 of each code in the area of interest.
        dates: The dates asked for.
        sensor: Record of the sensor.
        display: Imagery to show beside the map, on the same grid, pixels unread.
        scenes: What the map was made from; those of role ``input`` in the order of their code.
        rejected: Scenes that were found and not used.
        failed: Scenes that could not be read somewhere.
        notes: What must be known to read and to believe this map, the most important first; the legend's sentence is
            one of them.
        limits: Known failures of the model, which hold for each of its maps.
        simulated: The imagery is of a simulated flood.
        provenance: How it came about.
        written: Products that are written already, by name: what the run record lists.
    """

    grid: GeoBox
    layers: MapLayers
    legend: Legend
    areas: ClassAreas
    dates: Dates
    sensor: Sensor
    display: Cube
    scenes: tuple[SceneUsed, ...]
    rejected: tuple[RejectedScene, ...]
    failed: tuple[Failure, ...]
    notes: tuple[str, ...]
    limits: tuple[str, ...]
    simulated: bool
    provenance: Provenance
    written: Mapping[str, Path] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes without the legend's sentence."""
        return tuple(note for note in self.notes if note != self.legend.sentence)

    @property
    def scene_ids(self) -> tuple[str, ...]:
        """Ids of the event scenes, in the order that ``layers.source`` counts them."""
        return tuple(scene.id for scene in self.scenes if scene.role == "input")

    @property
    def tags(self) -> dict[str, str]:
        """Metadata of every raster."""
        tags = {
            "TIFFTAG_SOFTWARE": f"geoseg {__version__}",
            "TIFFTAG_IMAGEDESCRIPTION": self.legend.sentence,
            "GEOSEG_DATE": str(self.dates),
            "GEOSEG_MODEL": self.provenance.model.name,
        }
        return {**tags, "GEOSEG_SIMULATED": "yes"} if self.simulated else tags
