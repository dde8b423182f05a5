"""Which asset, and which band of its file, holds a band of the sensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from geoseg.catalog.collections import BandSource, Collection
from geoseg.core.scene import Scene
from geoseg.errors import MissingBandError

NOT_DATA = {"overview", "thumbnail", "visual", "metadata", "data-mask", "cloud", "mask"}
"""Roles of assets that may name bands (a true-colour picture does) without holding their quantity."""


def assets_of(scene: Scene) -> Mapping[str, Mapping[str, Any]]:
    """The item's assets; none where it lists them in another form than STAC's (Planet's Data API gives bare names)."""
    assets = scene.item.get("assets", {})
    return assets if isinstance(assets, Mapping) else {}


def band_source(scene: Scene, record: Collection, band: str) -> BandSource:
    """Where ``band`` lies: as the record says, or, where it says nothing, as the item's band names do.

    Raises:
        MissingBandError: Nowhere; names what the scene has.
    """
    if not record.bands:
        named = dict(_named_bands(scene))
        if band in named:
            return named[band]
        raise _missing(scene, band, named)
    stated = record.bands.get(band)
    source = BandSource(asset=stated) if isinstance(stated, str) else stated
    if source is None or "href" not in assets_of(scene).get(source.asset, {}):
        has = [name for name, s in record.bands.items() if (s if isinstance(s, str) else s.asset) in assets_of(scene)]
        raise _missing(scene, band, has)
    return source


def _missing(scene: Scene, band: str, has: Mapping[str, object] | list[str]) -> MissingBandError:
    return MissingBandError(
        f"Scene {scene.id} has no band {band!r}; it has {', '.join(has) or 'none that is named'}. "
        "Choose a model that reads those, or another catalogue."
    )


def _named_bands(scene: Scene) -> Iterator[tuple[str, BandSource]]:
    """Bands by every name the item gives them; of two assets with the same name the first one counts (yielded last)."""
    found = []
    for key, asset in assets_of(scene).items():
        if NOT_DATA & set(asset.get("roles") or ()) or "href" not in asset:
            continue
        bands = asset.get("eo:bands") or asset.get("bands") or ()
        for index, stated in enumerate(bands, start=1):
            names = (stated.get("eo:common_name"), stated.get("common_name"), stated.get("name"))
            found += [(name, BandSource(asset=key, index=index)) for name in names if name]
    yield from reversed(found)
