"""What a request comes down to before any pixel is read: a grid, scenes, and what the model is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.catalog.cards import BEFORE, ModelCard
from geoseg.catalog.collections import PlanetData, collection, collections
from geoseg.catalog.reflectance import default_card, reflectance_warnings
from geoseg.catalog.sensors import Sensor, sensor
from geoseg.core.atomic import cache_folder
from geoseg.core.grid import LIMIT_MEGAPIXELS, output_grid
from geoseg.core.progress import Progress, Report
from geoseg.core.request import Dates, Request
from geoseg.core.scene import Found, RejectedScene, Scene
from geoseg.core.tracks import match_tracks, named_tracks, track_warnings
from geoseg.errors import BadOptionError, BandMismatchError, MissingBandError
from geoseg.inference.job import ModelInput
from geoseg.inference.plan import Plan
from geoseg.models.create import OWN, ModelRef, resolve_model
from geoseg.readers import Cube, refusal
from geoseg.readers.plan_scene import plan_scene
from geoseg.sources.local.add import add
from geoseg.sources.local.product import Options
from geoseg.sources.search import download_scene, find_scenes
from geoseg.sources.search.catalog_location import DEMO, place_of

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

POINTWISE_PX = 2048
"""Pixel-by-pixel models share nothing between blocks: each is one tile, read once and never copied."""
NETWORK_TILE_PX, NETWORK_BLOCK_PX = 1024, 1024
"""Blocks of overlapping chips share tiles, and two rows of them are kept."""
WIDE_PX, NARROW_TILE_PX = 3072, 512
"""Beyond this width two rows of such tiles would be too much memory; smaller ones cost a third more time to read."""


@dataclass(frozen=True)
class MapPlan:
    """A request, looked up.

    Attributes:
        request: As asked.
        sensor: The sensor record.
        model: The model, resolved.
        grid: The grid every layer lies on.
        found: Scenes of the dates, and those left out.
        earlier: Likewise for the dates before, where those were asked for.
        caveats: Warnings about model and scenes, known before a pixel is read.
    """

    request: Request
    sensor: Sensor
    model: ModelRef
    grid: GeoBox
    found: Found
    earlier: Found | None
    caveats: tuple[str, ...] = ()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.model.card

    @cached_property
    def imagery(self) -> ModelInput:
        """What the model is shown of the dates."""
        now = self._cube(self.found, bands_now(self.card), self.request.dates)
        before = self._before(bands_before(self.card)) if self.card.wants_pre_event else None
        return ModelInput(self.card.bands, now, before)

    @cached_property
    def imagery_before(self) -> ModelInput | None:
        """What it is shown a second time, to see which water was there before; None where that is not wanted."""
        if self.earlier is None or self.card.wants_pre_event:
            return None
        return ModelInput(self.card.bands, self._before(self.card.bands))

    @cached_property
    def display(self) -> Cube:
        """The imagery as a person would look at it: true colour, or the model's first band where that is missing."""
        try:
            return self._cube(self.found, self.sensor.display, self.request.dates)
        except MissingBandError:
            return self._cube(self.found, self.imagery.now.bands[:1], self.request.dates)

    @property
    def plan(self) -> Plan:
        """The windows over the grid."""
        shape = (int(self.grid.shape[0]), int(self.grid.shape[1]))
        if self.card.chip_px is None:
            tile_offset = self.imagery.now.tile_offset
            return Plan.over(shape, POINTWISE_PX, block_px=POINTWISE_PX, tile_offset=tile_offset, reflect_padding=False)
        return Plan.over(shape, self.card.chip_px, self.card.overlap_px, block_px=NETWORK_BLOCK_PX)

    @property
    def gsd_m(self) -> float:
        """Resolution of the grid, metres."""
        return abs(float(self.grid.resolution.x))

    @property
    def latlon(self) -> tuple[float, float]:
        """Latitude and longitude of the area's middle, degrees."""
        west, south, east, north = self.request.area.bbox
        return (south + north) / 2, (west + east) / 2

    @property
    def left_out(self) -> tuple[RejectedScene, ...]:
        """Scenes that were found and are not used, of the dates and of those before."""
        return (*self.found.left_out, *(self.earlier.left_out if self.earlier else ()))

    @property
    def anywhere(self) -> Request:
        """The request with its paths absolute, so that it asks for the same from any folder.

        The record of a run names the scenes' files by absolute paths anyway: this tells nothing more of the machine.
        """
        request, area = self.request, self.request.area
        catalog, model, water = request.catalog, request.model, request.reference_water
        if catalog and catalog != DEMO and place_of(catalog).kind in ("json", "parquet"):
            catalog = str(Path(catalog).expanduser().absolute())
        if model:
            model = self.model.name if self.model.is_shipped else str(self.model.folder)
        if water and water not in collections():
            water = str(Path(water).absolute())
        if area.polygon is not None:
            area = replace(area, source=str(Path(area.source).absolute()))
        return request.with_(area=area, catalog=catalog, model=model, reference_water=water)

    @property
    def simulated(self) -> bool:
        """The imagery is of a simulated flood."""
        return any(scene.item.get("properties", {}).get("geoseg:simulated") for scene in self.found.scenes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before believing the map."""
        seen = (self.imagery, self.imagery_before) if self.imagery_before else (self.imagery,)
        notes = [*self.request.area.notes]
        notes += [note for imagery in seen for cube in imagery.cubes for note in cube.notes]
        finest, coarsest = self.card.gsd_m or (0.0, float("inf"))
        if not finest <= self.gsd_m <= coarsest:
            span = f"{finest:g} to {coarsest:g} m"
            notes.append(f"{self.card.name} is meant for {span}; at {self.gsd_m:g} m it may be wrong.")
        if self.simulated:
            notes.append("The imagery is simulated: this flood never happened.")
        return tuple(dict.fromkeys(notes))

    def _before(self, bands: tuple[str, ...]) -> Cube:
        assert self.earlier is not None  # look() refuses a model that wants what was not asked for
        assert self.request.before is not None
        return self._cube(self.earlier, bands, self.request.before)

    def _cube(self, found: Found, bands: tuple[str, ...], dates: Dates) -> Cube:
        tile_px = POINTWISE_PX if self.card.chip_px is None else _network_tile_px(int(self.grid.shape[1]))
        composite = self.request.composite
        return Cube.of(found.scenes, self.grid, bands, instant=dates.middle, composite=composite, tile_px=tile_px)


def resolve(request: Request, report: Report) -> MapPlan:
    """Look up everything a request names; no pixel is opened.

    Args:
        request: As asked.
        report: Told of the search.

    Raises:
        BandMismatchError: The model does not read this sensor.
        BadOptionError: The model compares with imagery before the flood, and no ``before`` was given, or one whose
            scenes lie on other tracks.
        AreaTooLargeError: The grid is over the limit and nobody said yes.
        CatalogError: The search, or what it found, does not hold.
        ReadError: A scene cannot be read as physical quantities.
    """
    record, asked = sensor(request.sensor), model_of(request)
    _check_model(request, asked.card)
    limit = None if request.allow_large else LIMIT_MEGAPIXELS
    grid = output_grid(request.area.bbox, request.resolution_m or record.gsd_m, request.crs, limit_megapixels=limit)
    report(Progress("search", 0, 1))
    found = _search(request, request.dates.widened(request.window_days), report)
    earlier = _search(request, _dates_before(request), report) if request.before else None
    scenes = (*found.scenes, *(earlier.scenes if earlier else ()))
    model = asked if request.model else resolve_model(OWN + default_card(record, scenes, _reads).name)
    card = model.card
    found = usable(found, bands_now(card))
    if earlier is not None:
        earlier = usable(earlier, bands_before(card) or card.bands)
    found, earlier, warnings = compare_tracks(request, card, found, earlier)
    scenes = (*found.scenes, *(earlier.scenes if earlier else ()))
    warnings = (*reflectance_warnings(record, card, scenes, named=request.model is not None), *warnings)
    report(Progress("search", 1, 1, note=f"{len(found.scenes)} scenes"))
    map_plan = MapPlan(request, record, model, grid, found, earlier, warnings)
    map_plan.imagery, map_plan.imagery_before  # noqa: B018  # made now, so that what cannot be read is refused now
    return map_plan


def compare_tracks(
    request: Request, model: ModelCard, found: Found, earlier: Found | None
) -> tuple[Found, Found | None, tuple[str, ...]]:
    """Compare the ground tracks of radar scenes at the event and before it; a change model uses common tracks only.

    Returns:
        Scenes of the event, scenes of the time before, and warnings for the map.

    Raises:
        BadOptionError: A change model has no earlier scene on a track of the event.
    """
    if earlier is None or sensor(request.sensor).unit != "dB":
        return found, earlier, ()
    if not model.wants_pre_event:
        return found, earlier, track_warnings(found.scenes, earlier.scenes)
    match = match_tracks(found.scenes, earlier.scenes, request.dates)
    if not match.earlier:
        raise BadOptionError(
            f"Model {model.name} compares passes of one track: the event was seen on {named_tracks(found.scenes)}, the "
            f"imagery of --before {request.before} on {named_tracks(earlier.scenes)}. Choose --before dates with a "
            "pass of the event's track (it repeats every 12 days), or add --window-days."
        )
    now = Found(match.event, (*found.left_out, *match.rejected))
    return now, Found(match.earlier, earlier.left_out), match.warnings


def scenes_for(request: Request) -> Found:
    """The scenes that a map of a request would use, and those left out; nothing is fetched, no weights are read.

    Raises:
        UnknownNameError: No such sensor, catalogue or model.
        BandMismatchError: The model does not read this sensor.
        CatalogError: The search, or what it found, does not hold.
        ReadError: Not one scene can be read as physical quantities.
    """
    card = model_of(request).card
    _check_sensor(request, card)
    dates = request.dates.widened(request.window_days)
    found = find_scenes(request.area, dates, request.sensor, request.catalog, max_cloud_pct=request.max_cloud_pct)
    if request.model is None:
        card = default_card(sensor(request.sensor), found.scenes, _reads)
    return usable(found, bands_now(card))


def model_of(request: Request) -> ModelRef:
    """Resolve the model that a request names, or the sensor's default; no weights are read.

    Raises:
        UnknownNameError: No such model, and no such folder.
        BundleError: The folder is no bundle.
    """
    return resolve_model(request.model or OWN + sensor(request.sensor).default_model)


def usable(found: Found, bands: Sequence[str]) -> Found:
    """The same without scenes whose ``bands`` cannot be read: one bad scene does not stop a map that has others.

    A scene of Planet's Data API stays: it has no files to judge before it is fetched.

    Raises:
        ReadError: Not one scene can be read; says it of the first.
    """
    reasons = {id(scene): refusal(scene, bands) for scene in found.scenes if not _is_to_fetch(scene)}
    kept = tuple(scene for scene in found.scenes if reasons.get(id(scene)) is None)
    if not kept and found.scenes:
        plan_scene(found.scenes[0], bands)
    refused = [RejectedScene(scene.id, why.rstrip(".")) for scene in found.scenes if (why := reasons.get(id(scene)))]
    return Found(kept, (*found.left_out, *refused))


def bands_now(card: ModelCard) -> tuple[str, ...]:
    """Bands that a model reads of the dates themselves."""
    return tuple(band for band in card.bands if not band.startswith(BEFORE))


def bands_before(card: ModelCard) -> tuple[str, ...]:
    """Bands that a model reads of the dates before, by the names that scenes have for them."""
    return tuple(band.removeprefix(BEFORE) for band in card.bands if band.startswith(BEFORE))


def _network_tile_px(width: int) -> int:
    """Side of the tiles that blocks of overlapping chips are read from, on a grid of a width in pixels."""
    return NETWORK_TILE_PX if width <= WIDE_PX else NARROW_TILE_PX


def _reads(scene: Scene, bands: Sequence[str]) -> bool:
    """A scene has these bands; one that has no files yet may have them."""
    return _is_to_fetch(scene) or refusal(scene, bands) is None


def _check_model(request: Request, card: ModelCard) -> None:
    _check_sensor(request, card)
    if card.wants_pre_event and request.before is None:
        raise BadOptionError(f"Model {card.name} compares with imagery before the flood: add --before DATE.")


def _check_sensor(request: Request, card: ModelCard) -> None:
    if request.sensor not in card.sensors:
        reads = " and ".join(card.sensors)
        raise BandMismatchError(f"Model {card.name} reads {reads}, not {request.sensor}. Choose another --model.")
    if not card.meaning.is_water and (request.reference_water or request.before):
        raise BadOptionError(
            f"--reference-water and --before apply to models of water; {card.name} maps {card.meaning.title.lower()}. "
            "Leave them out."
        )


def _is_to_fetch(scene: Scene) -> bool:
    return isinstance(collection(scene.collection).source, PlanetData)


def _dates_before(request: Request) -> Dates:
    """The dates before the flood, widened like the others but never into them."""
    assert request.before is not None
    widened = request.before.widened(request.window_days)
    return Dates(widened.first, min(widened.last, request.dates.first - timedelta(days=1)))


def _search(request: Request, dates: Dates, report: Report) -> Found:
    found = find_scenes(request.area, dates, request.sensor, request.catalog, max_cloud_pct=request.max_cloud_pct)
    to_fetch = [scene for scene in found.scenes if _is_to_fetch(scene)]
    if not to_fetch:
        return found
    folder = cache_folder("planet-catalog")
    add([download_scene(scene, report=report) for scene in to_fetch], folder, Options(sensor=request.sensor))
    return find_scenes(request.area, dates, request.sensor, str(folder), max_cloud_pct=request.max_cloud_pct)
