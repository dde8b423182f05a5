"""From a scene to its recipe: everything about reading it is decided here, or refused, before a pixel is opened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from geoseg.catalog.collections import Collection, DeclaredPerAsset, Unsupported, collection
from geoseg.catalog.sensors import sensor
from geoseg.core.scene import Scene
from geoseg.errors import MissingBandError, ReadError, SceneUnreadableError
from geoseg.readers.bands import assets_of, band_source
from geoseg.readers.radiometry import conversion
from geoseg.readers.read_spec import BandReadSpec, ClippedReadSpec, MaskReadSpec, SceneReadSpec

MASK = "geoseg:mask"
"""Property of an asset: ``alpha``, ``internal`` (also in a file beside it) or ``none``."""

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
    _check_buckets(scene, record, (*(band.href for band in specs), *(mask.href for mask in masks)))
    return SceneReadSpec(
        id=scene.id,
        footprint=_footprint(scene),
        bands=specs,
        masks=(*masks, *_clipped(scene, record)),
        access=record.access,
        s3_endpoint=record.s3_endpoint,
        region=record.region,
        requester_pays=record.requester_pays,
        notes=(*(f"Scene {scene.id}: {note}." for note in _own_notes(scene)), *notes),
    )


def _check_buckets(scene: Scene, record: Collection, hrefs: Iterable[str]) -> None:
    """Refuse to send the keys of a collection to buckets that its record does not name.

    Raises:
        SceneUnreadableError: A file lies in another bucket.
    """
    buckets = {f"s3://{urlsplit(href).netloc}" for href in hrefs if href.startswith("s3://")}
    strange = sorted(buckets - set(record.hosts))
    if record.access == "s3" and strange:
        raise SceneUnreadableError(
            f"Scene {scene.id} lies in {strange[0]}: {scene.collection} is read with your credentials, from "
            f"{' and '.join(record.hosts)} only. Add the files with `geoseg catalog add`."
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
    if isinstance(record.radiometry, Unsupported):
        conversion(scene, record, {}, 1)
    source = band_source(scene, record, band)
    asset = assets_of(scene)[source.asset]
    numbers = conversion(scene, record, asset, source.index)
    declares_mask = asset.get(MASK, "none") != "none"
    return BandReadSpec(band, str(asset["href"]), source.index, numbers, declares_mask=declares_mask)


def _add_nodata_rules(scene: Scene, record: Collection, bands: tuple[BandReadSpec, ...]) -> tuple[BandReadSpec, ...]:
    """The bands with what tells observations from fill that nobody declared.

    A person's own file often holds 0 where nothing was seen and does not say so. One band may measure exactly 0; all
    bands that are read at once do not: reflectance has noise, and backscatter of exactly 0 dB in all polarisations
    does not occur. Catalogues that are not a person's own declare their fill.
    """
    if record.role != "imagery":
        return bands
    described = sensor(scene.sensor)
    zero = isinstance(record.radiometry, DeclaredPerAsset) and described.unit in ("dB", "reflectance")
    together = tuple((band.href, band.index) for band in bands) if zero else ()
    photograph = isinstance(record.radiometry, DeclaredPerAsset) and described.unit == "unitless"
    return tuple(
        _black_is_observed(
            scene, replace(band, unit=described.unit, valid_range=described.valid_range, all_zero_is_nodata=together)
        )
        if photograph
        else replace(band, unit=described.unit, valid_range=described.valid_range, all_zero_is_nodata=together)
        for band in bands
    )


def _black_is_observed(scene: Scene, band: BandReadSpec) -> BandReadSpec:
    """Take a declared nodata 0 of a photograph as black in all bands of its file: deep water is 0 in near infrared."""
    asset = next((each for each in assets_of(scene).values() if each.get("href") == band.href), None)
    if 0.0 not in band.conversion.nodata or asset is None:
        return band
    stated = asset.get("raster:bands") or ()
    zeros = tuple((band.href, place) for place, each in enumerate(stated, start=1) if each.get("nodata") == 0)
    others = tuple(number for number in band.conversion.nodata if number != 0)
    return replace(band, conversion=replace(band.conversion, nodata=others), all_zero_is_nodata=zeros)


def _masks(scene: Scene, record: Collection) -> tuple[tuple[MaskReadSpec, ...], tuple[str, ...]]:
    """The first mask of the record that the scene has; else a note."""
    hrefs = {key: str(asset["href"]) for key, asset in assets_of(scene).items() if "href" in asset}
    for name in record.mask_assets:
        if name in hrefs:
            rules = tuple(rule for rule in record.mask if rule.asset == name)
            return (MaskReadSpec(hrefs[name], rules),), ()
    if not record.mask:
        return (), ()
    expected = " or ".join(record.mask_assets)
    return (), (f"Scene {scene.id} has no {expected} layer: its clouds and shadows are not masked.",)


def _clipped(scene: Scene, record: Collection) -> tuple[ClippedReadSpec, ...]:
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
    return (ClippedReadSpec(str(asset["href"]), tuple(lowest), rule.reach_px),)


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
