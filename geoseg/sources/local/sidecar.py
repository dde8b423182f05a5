"""What a product's own JSON says: a STAC item, or the metadata that Planet delivers beside an image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from geoseg.errors import BadDateError, NotIngestibleError
from geoseg.sources.local.naming import instant

LARGEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A GeoJSON feature that describes a product.

    Attributes:
        id: Of the product.
        properties: As stated.
        assets: As stated; empty where it is no STAC item.
    """

    id: str
    properties: Mapping[str, Any]
    assets: Mapping[str, Any]

    @property
    def time(self) -> datetime | None:
        """Acquisition (``datetime``, or Planet's ``acquired``)."""
        text = self.properties.get("datetime") or self.properties.get("acquired")
        if not isinstance(text, str):
            return None
        try:
            return instant(text)
        except BadDateError as error:
            raise NotIngestibleError(f"The metadata of {self.id} are damaged: {error}") from None

    @property
    def platform(self) -> str:
        """Satellite, or ""."""
        return str(self.properties.get("platform") or self.properties.get("satellite_id") or "")

    @property
    def cloud_pct(self) -> float | None:
        """Cloud share in per cent (Planet's Data API states 0..1)."""
        share = self.properties.get("eo:cloud_cover")
        if isinstance(share, int | float):
            return float(share)
        share = self.properties.get("cloud_cover")
        return 100.0 * share if isinstance(share, int | float) else None

    def scales_of(self, file: str) -> tuple[float, ...] | None:
        """``raster:bands`` scales that the item states for the asset of that file name; None: not for every band."""
        for asset in self.assets.values():
            if isinstance(asset, Mapping) and Path(str(asset.get("href", ""))).name == file:
                bands = asset.get("raster:bands") or ()
                scales = tuple(float(band["scale"]) for band in bands if isinstance(band.get("scale"), int | float))
                return scales if scales and len(scales) == len(bands) else None
        return None


def find_sidecar(paths: Iterable[Path]) -> Sidecar | None:
    """The first of ``paths`` that is a GeoJSON feature with an id.

    Raises:
        NotIngestibleError: One is named like metadata and is no whole JSON.
    """
    for path in sorted(paths):
        if path.stat().st_size > LARGEST_BYTES:
            raise NotIngestibleError(f"{path} holds {path.stat().st_size:,} bytes, more than any metadata does.")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise NotIngestibleError(f"{path} is no whole JSON file. Fetch it again, or take it away.") from None
        if isinstance(content, dict) and content.get("type") == "Feature" and "id" in content:
            properties, assets = content.get("properties"), content.get("assets")
            return Sidecar(
                str(content["id"]),
                properties if isinstance(properties, dict) else {},
                assets if isinstance(assets, dict) else {},
            )
    return None
