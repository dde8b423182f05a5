"""Acquire the imagery of a plan: order and download what has no files yet, then plan how every scene is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geoseg.core.atomic import cache_folder
from geoseg.core.progress import Report
from geoseg.core.request import Dates
from geoseg.core.scene import Found
from geoseg.errors import MissingBandError
from geoseg.inference.job import ModelInput
from geoseg.inference.windows import WindowPlan
from geoseg.readers import Cube
from geoseg.resolve import MapPlan, choose_scenes, search_scenes
from geoseg.sources.local.add import add
from geoseg.sources.local.product import Options
from geoseg.sources.search import download_scene
from geoseg.water.permanent import PermanentWater, permanent_water

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

POINTWISE_PX = 2048
"""Pixel-by-pixel models share nothing between blocks: each is one tile, read once and never copied."""
NETWORK_TILE_PX, NETWORK_BLOCK_PX = 1024, 1024
"""Blocks of overlapping chips share tiles, and two rows of them are kept."""
WIDE_PX, NARROW_TILE_PX = 3072, 512
"""Beyond this width two rows of such tiles would be too much memory; smaller ones cost a third more time to read."""


@dataclass(frozen=True, slots=True)
class MapInputs:
    """Scenes on hand, and how they are read; no pixel is read yet.

    Attributes:
        plan: The plan, its scenes on hand.
        event: What the model reads of the event; for a change model, of the time before it too.
        pre_event: What it reads in a second pass, to see which water was there before; None where that is not wanted.
        display: The imagery to show beside the map: true colour, or the model's first band where that is missing.
        windows: The model's windows over the grid.
        reference: Permanent water that ``--reference-water`` names.
        notes: What a person should know about the files of the area and of the reference water, and the imagery.
    """

    plan: MapPlan
    event: ModelInput[Cube]
    pre_event: ModelInput[Cube] | None
    display: Cube
    windows: WindowPlan
    reference: PermanentWater | None
    notes: tuple[str, ...]

    @property
    def is_simulated(self) -> bool:
        """The imagery is of a simulated flood."""
        return any(scene.item.get("properties", {}).get("geoseg:simulated") for scene in self.plan.event.scenes)


def acquire(plan: MapPlan, report: Report) -> MapInputs:
    """Acquire the scenes of a plan and plan how they are read.

    Args:
        plan: From ``resolve``.
        report: Told of every file that is downloaded.

    Raises:
        ReadError: A scene cannot be had: no credentials, no permission, or nothing that can be read in it.
        UsageError: Reference water that does not exist, or that cannot be used.
        CatalogError: What was ordered did not arrive, or reference water was not found.
    """
    plan = _order(plan, report) if plan.to_order else plan
    request, card = plan.request, plan.card
    now = _cube(plan, plan.event, card.event_bands, request.dates)
    second, before = None, plan.pre_event
    if before is not None and request.before is not None:
        earlier = _cube(plan, before, card.pre_event_bands or card.bands, request.before)
        event = ModelInput(card.bands, now, earlier if card.wants_pre_event else None)
        second = None if card.wants_pre_event else ModelInput(card.bands, earlier)
    else:
        event = ModelInput(card.bands, now)
    images = (*event.images, *(second.images if second else ()))
    reference = permanent_water(request, plan.grid)
    notes = (*request.area.notes, *(reference.notes if reference else ()))
    return MapInputs(
        plan=plan,
        event=event,
        pre_event=second,
        display=_display(plan, now),
        windows=_windows(plan.grid, card.chip_px, card.overlap_px, now.tile_offset),
        reference=reference,
        notes=tuple(dict.fromkeys((*notes, *(note for image in images for note in image.read_notes)))),
    )


def _order(plan: MapPlan, report: Report) -> MapPlan:
    """Order and download what has no files, and choose among all scenes again: now they can be judged."""
    request, folder = plan.request, cache_folder("planet-catalog")
    downloaded = [download_scene(scene, report=report) for scene in plan.to_order]
    add(downloaded, folder, Options(sensor=request.sensor))
    event, pre_event = search_scenes(request.with_(catalog=str(folder)))
    return choose_scenes(replace(plan, event=event, pre_event=pre_event))


def _cube(plan: MapPlan, found: Found, bands: tuple[str, ...], dates: Dates) -> Cube:
    width = int(plan.grid.shape[1])
    network_px = NETWORK_TILE_PX if width <= WIDE_PX else NARROW_TILE_PX
    tile_px = POINTWISE_PX if plan.card.chip_px is None else network_px
    cube = Cube.of(found.scenes, plan.grid, bands, instant=dates.middle, tile_px=tile_px)
    return cube.with_composite(plan.request.composite)


def _display(plan: MapPlan, now: Cube) -> Cube:
    try:
        return _cube(plan, plan.event, plan.sensor.display, plan.request.dates)
    except MissingBandError:
        return _cube(plan, plan.event, now.bands[:1], plan.request.dates)


def _windows(grid: GeoBox, chip_px: int | None, overlap_px: int, tile_offset: tuple[int, int]) -> WindowPlan:
    shape = (int(grid.shape[0]), int(grid.shape[1]))
    if chip_px is None:
        return WindowPlan.clipped(shape, POINTWISE_PX, tile_offset)
    return WindowPlan.over(shape, chip_px, overlap_px, block_px=NETWORK_BLOCK_PX)
