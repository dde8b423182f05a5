"""Resolve a request into a plan: model, grid, and scenes of the event and of the time before it.

Pure: it asks catalogues and reads metadata. No pixel is opened, nothing is downloaded, no weights are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.catalog.cards import ModelCard
from geoseg.catalog.collections import PlanetData, collection, collections
from geoseg.catalog.reflectance import default_card, reflectance_warnings
from geoseg.catalog.sensors import Sensor, sensor
from geoseg.core.grid import LIMIT_MEGAPIXELS, output_grid
from geoseg.core.progress import Progress, Report, silent
from geoseg.core.request import Dates, Request
from geoseg.core.scene import Found, RejectedScene, Scene
from geoseg.core.tracks import match_tracks, named_tracks, track_warnings
from geoseg.errors import BadOptionError, BandMismatchError
from geoseg.models.create import OWN, ModelRef, resolve_model
from geoseg.readers import refusal
from geoseg.readers.composites import check_composite
from geoseg.readers.pixel_size import coarser_pixel_m
from geoseg.readers.plan_scene import plan_scene
from geoseg.sources.search import find_scenes
from geoseg.sources.search.catalog_location import DEMO, place_of

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, slots=True)
class MapPlan:
    """What is known of a map before a pixel is read.

    Attributes:
        request: As asked.
        sensor: The sensor record.
        model: The model, its weights unread.
        grid: The grid of every layer.
        event: Scenes of the event, ordered by time, and those rejected.
        pre_event: Likewise of the dates before it; None where those were not asked for.
        warnings: What model and scenes mean for the map, the most important first.
    """

    request: Request
    sensor: Sensor
    model: ModelRef
    grid: GeoBox
    event: Found
    pre_event: Found | None
    warnings: tuple[str, ...] = ()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.model.card

    @property
    def gsd_m(self) -> float:
        """Resolution of the grid, metres."""
        return abs(float(self.grid.resolution.x))

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Scenes of the event, then those of the time before it."""
        return (*self.event.scenes, *(self.pre_event.scenes if self.pre_event else ()))

    @property
    def rejected(self) -> tuple[RejectedScene, ...]:
        """Scenes that were found and are not used, of the event and of the time before it."""
        return (*self.event.rejected, *(self.pre_event.rejected if self.pre_event else ()))

    @property
    def to_order(self) -> tuple[Scene, ...]:
        """Scenes that have no files before they are ordered and downloaded."""
        return tuple(scene for scene in self.scenes if is_to_order(scene))


def resolve(request: Request, report: Report = silent) -> MapPlan:
    """Resolve everything that a request names.

    Args:
        request: As asked.
        report: Told of the search.

    Raises:
        UnknownNameError: No such sensor, catalogue or model.
        BandMismatchError: The model does not read this sensor.
        BadOptionError: The model compares with imagery before the flood, and no ``before`` was given, or one whose
            scenes lie on other tracks.
        AreaTooLargeError: The grid is over the limit, and ``allow_large`` is not set.
        CatalogError: The search failed, or matched nothing.
        ReadError: Not one scene can be read as physical quantities.
    """
    check_composite(request.composite)
    record, asked = sensor(request.sensor), model_of(request)
    _check_model(request, asked.card)
    grid = _grid(request, request.resolution_m or record.gsd_m)
    report(Progress("search", 0, 1))
    plan = choose_scenes(MapPlan(request, record, asked, grid, *search_scenes(request)))
    report(Progress("search", 1, 1, note=f"{len(plan.event.scenes)} scenes"))
    return plan


def search_scenes(request: Request) -> tuple[Found, Found | None]:
    """Search the catalogue for scenes of the event, and of the time before it where that was asked for.

    Raises:
        CatalogError: The search failed, or matched nothing.
    """
    event = _search(request, request.dates.widened(request.window_days))
    return event, _search(request, dates_before(request)) if request.before else None


def choose_scenes(plan: MapPlan) -> MapPlan:
    """Choose the default model for what was found, reject scenes that it cannot read or compare, and fit the grid.

    The grid takes the pixels of imagery that is three or more times coarser than the sensor's, where no resolution
    was asked for: finer ones would show nothing more and take many times as long.

    Raises:
        BadOptionError: A change model has no earlier scene on a track of the event.
        ReadError: Not one scene can be read as physical quantities.
    """
    request, earlier = plan.request, plan.pre_event
    named = request.model is not None
    model = plan.model if named else resolve_model(OWN + default_card(plan.sensor, plan.scenes, _reads).name)
    card = model.card
    event = _usable(plan.event, card.event_bands)
    pre_event = None if earlier is None else _usable(earlier, card.pre_event_bands or card.bands)
    event, pre_event, tracks = _compare_tracks(request, card, event, pre_event)
    scenes = (*event.scenes, *(pre_event.scenes if pre_event else ()))
    warnings = (*reflectance_warnings(plan.sensor, card, scenes, named=named), *tracks)
    grid = plan.grid
    if request.resolution_m is None and (own_m := coarser_pixel_m(scenes, card.event_bands, plan.sensor.gsd_m)):
        grid = _grid(request, own_m)
    return replace(plan, model=model, grid=grid, event=event, pre_event=pre_event, warnings=warnings)


def resolution_note(plan: MapPlan) -> str | None:
    """Say in one sentence where grid, imagery and model differ in pixel size; None where they fit."""
    card, grid_m, default_m = plan.card, plan.gsd_m, plan.sensor.gsd_m
    finest, coarsest = card.gsd_m or (0.0, float("inf"))
    meant = f"{card.name} is meant for {finest:g} to {coarsest:g} m"
    fits = finest <= grid_m <= coarsest
    if plan.request.resolution_m is None and grid_m != default_m:
        end = f"finer ones show nothing more (--resolution {default_m:g} makes them)."
        end = end if fits else f"{meant}, so the map may be wrong."
        return f"The map's pixels are {grid_m:g} m like those of the imagery, not {default_m:g} m: {end}"
    own_m = coarser_pixel_m(plan.scenes, card.event_bands, grid_m)
    if own_m is None:
        return None if fits else f"{meant}; at {grid_m:g} m it may be wrong."
    told = f"The imagery's own pixels are {own_m:g} m, {own_m / grid_m:.2g} times as long as the map's {grid_m:g} m"
    if finest <= own_m <= coarsest:
        return f"{told}, which shows nothing more: consider --resolution {own_m:g}."
    return f"{told}; {meant}, so the map may be wrong."


def scenes_for(request: Request) -> Found:
    """List the scenes that a map of a request would use, and those rejected; ``before`` is not searched.

    Raises:
        UnknownNameError: No such sensor, catalogue or model.
        BandMismatchError: The model does not read this sensor.
        CatalogError: The search failed, or matched nothing.
        ReadError: Not one scene can be read as physical quantities.
    """
    card = model_of(request).card
    _check_sensor(request, card)
    found = _search(request, request.dates.widened(request.window_days))
    if request.model is None:
        card = default_card(sensor(request.sensor), found.scenes, _reads)
    return _usable(found, card.event_bands)


def model_of(request: Request) -> ModelRef:
    """Resolve the model that a request names, or the sensor's default; no weights are read.

    Raises:
        UnknownNameError: No such model, and no such folder.
        BundleError: The folder is no bundle.
    """
    return resolve_model(request.model or OWN + sensor(request.sensor).default_model)


def dates_before(request: Request) -> Dates:
    """The dates before the flood, widened like the others but never into them."""
    assert request.before is not None
    widened = request.before.widened(request.window_days)
    return Dates(widened.first, min(widened.last, request.dates.first - timedelta(days=1)))


def is_to_order(scene: Scene) -> bool:
    """The scene has no files before it is ordered and downloaded."""
    return isinstance(collection(scene.collection).source, PlanetData)


def with_absolute_paths(request: Request, model: ModelRef) -> Request:
    """The request with its paths absolute, so that it asks for the same from any folder.

    The record of a run names the scenes' files by absolute paths anyway: this tells nothing more of the machine.
    """
    area, catalog, water = request.area, request.catalog, request.reference_water
    if catalog and catalog != DEMO and place_of(catalog).kind in ("json", "parquet"):
        catalog = str(Path(catalog).expanduser().absolute())
    name = request.model and (model.name if model.is_shipped else str(model.folder))
    if water and water not in collections():
        water = str(Path(water).absolute())  # a layer that is named after the file stays
    if area.polygon is not None:
        area = replace(area, source=str(Path(area.source).absolute()))
    return request.with_(area=area, catalog=catalog, model=name, reference_water=water)


# -- what a plan is checked for ---------------------------------------------------------------------------------------


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


def _grid(request: Request, resolution_m: float) -> GeoBox:
    limit = None if request.allow_large else LIMIT_MEGAPIXELS
    return output_grid(request.area.bbox, resolution_m, request.crs, limit_megapixels=limit)


def _search(request: Request, dates: Dates) -> Found:
    return find_scenes(request.area, dates, request.sensor, request.catalog, max_cloud_pct=request.max_cloud_pct)


def _reads(scene: Scene, bands: Sequence[str]) -> bool:
    """A scene has these bands; one that has no files yet may have them."""
    return is_to_order(scene) or refusal(scene, bands) is None


def _usable(found: Found, bands: Sequence[str]) -> Found:
    """Reject scenes whose ``bands`` cannot be read: one bad scene does not stop a map that has others.

    A scene that must be ordered stays: it has no files to judge yet.

    Raises:
        ReadError: Not one scene can be read; says it of the first.
    """
    reasons = {id(scene): refusal(scene, bands) for scene in found.scenes if not is_to_order(scene)}
    kept = tuple(scene for scene in found.scenes if reasons.get(id(scene)) is None)
    if not kept and found.scenes:
        plan_scene(found.scenes[0], bands)
    refused = [RejectedScene(scene.id, why.rstrip(".")) for scene in found.scenes if (why := reasons.get(id(scene)))]
    return Found(kept, (*found.rejected, *refused))


def _compare_tracks(
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
    now = Found(match.event, (*found.rejected, *match.rejected))
    return now, Found(match.earlier, earlier.rejected), match.warnings
