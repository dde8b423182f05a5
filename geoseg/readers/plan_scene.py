"""From a scene to its recipe: everything about reading it is decided here, or refused, before a pixel is opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from geoseg.catalog.collections import Collection, SceneClasses, collection, collections
from geoseg.catalog.sensors import sensor
from geoseg.core.scene import Scene
from geoseg.errors import MissingBandError, ReadError
from geoseg.readers.bands import assets_of, band_source
from geoseg.readers.radiometry import conversion
from geoseg.readers.read_spec import BandReadSpec, MaskReadSpec, SceneReadSpec

OWN_MASKS = ("udm2", "udm", "scl")
"""Masks that a person's own item may bring, the most telling first."""

ROUNDING = 1e-6
"""A scale such as 0.0001 is no binary number: its first step may lie a hair above."""


def plan_scene(scene: Scene, bands: Sequence[str]) -> SceneReadSpec:
    """How to read ``bands`` of a scene.

    Raises:
        MissingBandError: The scene lacks one.
        RadiometryUnknownError: The unit of its numbers cannot be decided.
        UnknownNameError: Its collection or sensor has no record.
    """
    record = collection(scene.collection)
    specs = _add_nodata_rules(scene, record, tuple(_band(scene, record, band) for band in bands))
    masks, notes = _masks(scene, record)
    masks += _clipped(scene, record)
    return SceneReadSpec(
        id=scene.id,
        footprint=_footprint(scene),
        bands=specs,
        masks=masks,
        access=record.access,
        s3_endpoint=record.s3_endpoint,
        notes=(*(f"Scene {scene.id}: {note}." for note in _own_notes(scene)), *notes),
    )


def refusal(scene: Scene, bands: Sequence[str]) -> str | None:
    """Why ``bands`` of a scene cannot be read, or None where they can: for lists of scenes, and to leave one out."""
    try:
        plan_scene(scene, bands)
    except ReadError as error:
        return str(error)
    return None


def _band(scene: Scene, record: Collection, band: str) -> BandReadSpec:
    # A product that is no map at all is refused for that, not for the band names it happens to lack.
    if record.radiometry.kind == "refused":
        conversion(scene, record, {}, 1)
    source = band_source(scene, record, band)
    asset = assets_of(scene)[source.asset]
    return BandReadSpec(band, str(asset["href"]), source.index, conversion(scene, record, asset, source.index))


def _add_nodata_rules(scene: Scene, record: Collection, bands: tuple[BandReadSpec, ...]) -> tuple[BandReadSpec, ...]:
    """The bands with what tells observations from fill that nobody declared.

    A person's own file often holds 0 where nothing was seen and does not say so. One band may measure exactly 0; all
    bands that are read at once do not: reflectance has noise, and backscatter of exactly 0 dB in all polarisations
    does not occur. Catalogues that are not a person's own declare their fill.
    """
    if record.role != "imagery":
        return bands
    described = sensor(scene.sensor)
    zero = record.radiometry.kind == "declared" and described.unit in ("dB", "reflectance")
    together = tuple((band.href, band.index) for band in bands) if zero else ()
    return tuple(
        replace(band, unit=described.unit, valid_range=described.valid_range, all_zero_is_nodata=together)
        for band in bands
    )


def _masks(scene: Scene, record: Collection) -> tuple[tuple[MaskReadSpec, ...], tuple[str, ...]]:
    """What hides pixels: the mask the record expects, else one that a person's own item brings, else a note."""
    hrefs = {key: str(asset["href"]) for key, asset in assets_of(scene).items() if "href" in asset}
    expected = record.validity
    if isinstance(expected, SceneClasses) and expected.asset in hrefs:
        return (MaskReadSpec("scl", hrefs[expected.asset], expected.hidden),), ()
    own = () if expected is None else (expected.asset,)
    for name in (*OWN_MASKS, *own):
        if name in hrefs:
            return (_own_mask(name, hrefs[name]),), ()
    if expected is None:
        return (), ()
    return (), (f"Scene {scene.id} has no {expected.asset} layer: its clouds and shadows are not masked.",)


def _clipped(scene: Scene, record: Collection) -> tuple[MaskReadSpec, ...]:
    """What the record says of clipped numbers, for a scene that holds all those bands in one file."""
    rule = record.clipped
    if rule is None:
        return ()
    try:
        places = [band_source(scene, record, band) for band in rule.bands]
    except MissingBandError:
        return ()
    if len({place.asset for place in places}) > 1:
        return ()
    asset = assets_of(scene)[places[0].asset]
    lowest = []
    for place in places:
        numbers = conversion(scene, record, asset, place.index)
        lowest.append((place.index, (rule.at * (1 + ROUNDING) - numbers.offset) / numbers.scale))
    return (MaskReadSpec("clipped", str(asset["href"]), lowest=tuple(lowest), reach_px=rule.reach_px),)


def _own_mask(name: str, href: str) -> MaskReadSpec:
    if name != "scl":
        return MaskReadSpec("udm", href)
    return MaskReadSpec("scl", href, scene_classes().hidden)


def scene_classes() -> SceneClasses:
    """The Sentinel-2 classes that hide the ground, as the catalogue's own record has them."""
    return next(r.validity for r in collections().values() if isinstance(r.validity, SceneClasses))


def _own_notes(scene: Scene) -> list[str]:
    """What was assumed when a person's file was added."""
    return [str(note).removesuffix(".") for note in scene.item.get("properties", {}).get("geoseg:notes", ())]


def _footprint(scene: Scene) -> str:
    """The item's outline, or its box where it has none."""
    geometry = scene.item.get("geometry")
    if geometry:
        return json.dumps(geometry)
    west, south, east, north = scene.bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})
