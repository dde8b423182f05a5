"""The embedded default: map a simulated flood, and hold the map against the truth that only a simulation knows."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.progress import Report, silent
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.request import Request
from geoseg.core.scores import foreground_iou
from geoseg.errors import BadOptionError
from geoseg.pipeline import map_flood
from geoseg.result import MapResult
from geoseg.simulate import Region, demo_folder, ensure, is_made, region, regions
from geoseg.water.codes import DRY, FLOOD

REFERENCE_WATER = "demo/reference-water"
MODELS = {"s1": "otsu-vh", "s2": "mndwi", "planetscope": "ndwi"}
"""Baselines: the networks that ship have learned from these very worlds, and a score of theirs here would flatter."""
WHY_NOT = {
    "aerial": ": its aerial image is red, green and blue, in which no model of geoseg's finds water. "
    "`geoseg map --sensor aerial --catalog demo --model buildings-rgb` maps its buildings"
}
EDGE = 0.03
"""Share of the scene's extent that the demo's box leaves out on every side."""


@dataclass(frozen=True, slots=True)
class Score:
    """How a map agrees with the truth, over the pixels that were observed.

    Attributes:
        iou: Intersection over union by class: ``dry``, ``flood`` (water that was not there before), ``water`` (all of
            it), per cent. None where neither map nor truth holds the class.
        observed_px: Pixels compared.
        not_observed_px: Pixels that the map leaves open: not counted.
    """

    iou: dict[str, float | None]
    observed_px: int
    not_observed_px: int


@dataclass(frozen=True, slots=True)
class Demo:
    """A finished demo.

    Attributes:
        region: Name of the region.
        request: What was asked of ``map_flood``.
        result: The map.
        truth: The truth's file.
        score: The map against it.
    """

    region: str
    request: Request
    result: MapResult
    truth: Path
    score: Score

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "simulated": True,
            "region": self.region,
            "command": self.request.command("map", self.result.out),
            "truth": str(self.truth),
            "iou_pct": self.score.iou,
            "observed_px": self.score.observed_px,
            "not_observed_px": self.score.not_observed_px,
            **self.result.record(),
        }


def regions_made() -> dict[str, tuple[Region, bool]]:
    """Every simulated region, and whether it has been made in this user's cache."""
    return {name: (facts, is_made(name, demo_folder())) for name, facts in regions().items()}


def run_demo(
    name: str,
    sensor: str,
    out: Path,
    *,
    overwrite: bool = False,
    report: Report = silent,
) -> Demo:
    """Make a region if it is missing, map it, and compare.

    Args:
        name: Name of the region.
        sensor: ``s1``, ``s2`` or ``planetscope``.
        out: Folder for the products.
        overwrite: Replace the products of an earlier run.
        report: Called with each step forward.

    Raises:
        UnknownNameError: No such region.
        BadOptionError: A sensor that the demo does not map.
        OutputError: The products, or the cache, cannot be written.
    """
    if sensor not in MODELS:
        raise BadOptionError(f"The demo maps {', '.join(MODELS)}, not {sensor!r}{WHY_NOT.get(sensor, '')}.")
    facts = region(name)
    ensure(name, report=report)
    request = demo_request(facts, name, sensor)
    result = map_flood(request, out, overwrite=overwrite, report=report)
    truth = _truth_of(result)
    return Demo(name, request, result, truth, compare(result.flood, truth))


def demo_request(facts: Region, name: str, sensor: str) -> Request:
    """The request for a region: its flood, with reference water and the days before."""
    west, south, east, north = _bbox(name, sensor)
    lon, lat = EDGE * (east - west), EDGE * (north - south)
    box = ",".join(f"{number:.4f}" for number in (west + lon, south + lat, east - lon, north - lat))
    return Request.of(
        bbox=box,
        date=str(facts.flood_day),
        sensor=sensor,
        model=MODELS[sensor],
        catalog="demo",
        before=str(facts.before_day),
        reference_water=REFERENCE_WATER,
    )


def compare(mask: Path, truth: Path) -> Score:
    """Hold a flood mask against a truth, pixel by pixel on the mask's grid, not observed pixels left out.

    Args:
        mask: ``flood.tif``: 0 dry, 1 flood, 2 permanent water, 255 not observed.
        truth: uint8 raster of the same codes, read at the nearest pixel.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    with rasterio.open(mask) as mapped, rasterio.open(truth) as known:
        codes = mapped.read(1)
        options = {"crs": mapped.crs, "transform": mapped.transform, "height": mapped.height, "width": mapped.width}
        with WarpedVRT(known, resampling=Resampling.nearest, nodata=NOT_OBSERVED, **options) as there:
            right = there.read(1)
    compared = (codes != NOT_OBSERVED) & (right != NOT_OBSERVED)
    mapped_codes, right_codes = codes[compared], right[compared]
    iou = {
        "dry": _iou_pct(mapped_codes == DRY, right_codes == DRY),
        "flood": _iou_pct(mapped_codes == FLOOD, right_codes == FLOOD),
        "water": _iou_pct(mapped_codes != DRY, right_codes != DRY),
    }
    return Score(iou, int(compared.sum()), int((codes == NOT_OBSERVED).sum()))


def _iou_pct(mapped: NDArray[np.bool_], right: NDArray[np.bool_]) -> float | None:
    counts = np.bincount(2 * right.astype(np.intp) + mapped, minlength=4).reshape(2, 2)
    iou = foreground_iou(counts)
    return None if math.isnan(iou) else round(100 * iou, 2)


def _bbox(name: str, sensor: str) -> tuple[float, float, float, float]:
    """Of the region's scene of a sensor: the sensors see areas of different size."""
    features = json.loads((demo_folder() / "items.json").read_text(encoding="utf-8"))["features"]
    for item in features:
        properties = item["properties"]
        if properties["geoseg:region"] == name and properties.get("geoseg:sensor") == sensor:
            west, south, east, north = item["bbox"]
            return west, south, east, north
    raise BadOptionError(f"The simulated region {name} has no imagery of {sensor}.")


def _truth_of(result: MapResult) -> Path:
    scene = result.cube.scenes[0]
    return Path(scene.item["assets"]["truth"]["href"])
