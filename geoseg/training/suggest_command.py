"""What a person types next: the command that maps with what was trained."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rasterio.warp import transform_bounds

from geoseg.catalog.sensors import sensor
from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.training.sources import Source
from geoseg.training.start import gsd_of

BOX, DAY, CATALOG = "WEST,SOUTH,EAST,NORTH", "YYYY-MM-DD", "CATALOG"
"""What a person fills in."""

SAME_M = 0.1
"""Share by which two resolutions may differ and still be called one."""


def map_command(folder: Path, data: LabelledSet, sources: Sequence[Source]) -> str:
    """The command that maps with a bundle.

    Of polygons on the scenes of one catalogue it is complete: the first tile that was learned from, on its day. What is
    not known stands in capitals.

    Args:
        folder: The bundle.
        data: What it learned from.
        sources: Where that came from.
    """
    model = str(folder) if len(folder.parts) > 1 else f"./{folder}"  # a bare name may be a model of geoseg's, too
    words = ["geoseg", "map", "--model", model, "--sensor", data.sensor]
    catalogs = {scene for source in sources for scene in source.scenes}
    drawn = bool(sources) and all(source.labels is not None for source in sources)
    pair = data.pairs[0] if drawn and len(catalogs) == 1 else None  # of several, nobody knows which one shows it
    if drawn:
        words += ["--catalog", *catalogs] if pair else ["--catalog", CATALOG]
    words.append(f"--bbox={(_box(pair) if pair else None) or BOX}")
    words += ["--date", f"{pair.time:%Y-%m-%d}" if pair and pair.time else DAY]
    gsd, usual = gsd_of(data), sensor(data.sensor).gsd_m
    if gsd and abs(gsd - usual) > SAME_M * usual:
        words += ["--resolution", f"{gsd:g}"]
    return shlex.join([*words, "--out", "my-map"])


def _box(pair: Pair) -> str | None:
    """West, south, east, north of an image in degrees, outwards to four places; None: nobody knows where it lies."""
    if pair.place is None:
        return None
    (rows, columns), affine = pair.shape, pair.place.transform
    x, y = zip(*(affine @ corner for corner in ((0, 0), (columns, 0), (0, rows), (columns, rows))), strict=True)
    bounds = transform_bounds(pair.place.crs, "EPSG:4326", min(x), min(y), max(x), max(y))
    if not np.isfinite(bounds).all() or bounds[0] >= bounds[2]:  # the latter: across the antimeridian
        return None
    outwards = [math.floor(each * 1e4) if place < 2 else math.ceil(each * 1e4) for place, each in enumerate(bounds)]
    return ",".join(f"{each / 1e4:.4f}" for each in outwards)
