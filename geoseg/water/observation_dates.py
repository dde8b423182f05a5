"""Tell how much of a map was observed before the date that was asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.request import Dates, Request
from geoseg.core.scene import Scene
from geoseg.core.text import percent
from geoseg.inference.layers import ByteLayer
from geoseg.water.areas import aoi_mask

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


def early_warning(source: ByteLayer, scenes: Sequence[Scene], geobox: GeoBox, request: Request) -> str | None:
    """Warn where pixels were observed before the date of a request, as ``--window-days`` allows: no flood is there yet.

    Args:
        source: uint8 number of the scene that each pixel comes from, 255 not observed.
        scenes: The scenes, in the order of their numbers.
        geobox: Grid of the layer.
        request: Its dates are compared, and only the pixels of its area count.

    Returns:
        A sentence with the share of the observed pixels and their age in days; None where none is of an earlier day.
    """
    first = request.dates.first
    ages = ((code, (first - scene.time.date()).days) for code, scene in enumerate(scenes[:NOT_OBSERVED]))
    early = {code: days for code, days in ages if days > 0}
    if not early:
        return None
    area = json.dumps(request.area.geojson)
    pixels = np.zeros(256, dtype=np.int64)
    for window, codes in source.blocks():
        pixels += np.bincount(codes[aoi_mask(area, geobox, window)], minlength=256)
    observed = int(pixels[:NOT_OBSERVED].sum())
    seen = {code: days for code, days in early.items() if pixels[code]}
    if not seen:
        return None
    share = 100 * sum(int(pixels[code]) for code in seen) / observed
    fewest, most = min(seen.values()), max(seen.values())
    days = f"{most} day{'s' * (most != 1)}" if fewest == most else f"{fewest} to {most} days"
    return (
        f"{percent(share)} of the observed area was seen {days} BEFORE {first}: the map shows no flood that came "
        f"later there. For scenes of that day or later, use --date {_later(request)} and no --window-days."
    )


def _later(request: Request) -> Dates:
    """The dates of a request, lengthened into the time after them only."""
    last = request.dates.widened(request.window_days).last
    return Dates(request.dates.first, max(request.dates.last, min(last, datetime.now(UTC).date())))
