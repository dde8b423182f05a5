"""One big simulated Sentinel-2 scene for benchmarks, written strip by strip: memory does not grow with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import BadOptionError
from geoseg.simulate.catalogue import write_index
from geoseg.simulate.cog import LAYOUT, TAGS, profile
from geoseg.simulate.grid import MetricGrid, block_mean
from geoseg.simulate.items import Asset, SimulatedItem
from geoseg.simulate.landscape import make_landscape
from geoseg.simulate.noise import stream
from geoseg.simulate.optical import GroundReflectance, sky, through_sky
from geoseg.simulate.records import region, surfaces
from geoseg.simulate.scenes import FINER, S2_BANDS, s2_numbers, scene_classes
from geoseg.simulate.surface import surfaces_at

PATTERN = "paddy"
"""Region that the scene is laid out with, mirrored at its edges again and again."""
LEFT, TOP, CRS = 600000.0, 5700000.0, "EPSG:32633"
TAKEN = datetime(2024, 6, 15, 10, 20, 31, tzinfo=UTC)
STRIP_PX = 512
NOISE_DN = 20.0
"""Every pixel has its own noise: numbers that repeat would compress, and read, better than real ones."""


def write_benchmark_scene(folder: Path, size_px: int, bands: Sequence[str]) -> Path:
    """Write a scene in the layout of Sentinel-2 L2A, and the catalogue that holds it.

    The ground is one simulated region in flood, mirrored until the scene is full, under fresh noise.

    Args:
        folder: Gets the files, ``catalog.json`` and ``items.json``.
        size_px: Side in pixels of 10 m; a real scene has 10980. 20 m bands have half as many, rounded up.
        bands: Our names of Sentinel-2 bands: ``blue``, ``swir16``...

    Returns:
        The path of ``catalog.json``.

    Raises:
        BadOptionError: A band that Sentinel-2 does not have, or no size.
    """
    known = {band: (asset, pixel_m) for asset, (band, pixel_m) in S2_BANDS.items()}
    if unknown := [band for band in bands if band not in known]:
        raise BadOptionError(f"Sentinel-2 has no band {unknown[0]!r}. Known: {', '.join(known)}.")
    if size_px < 1:
        raise BadOptionError(f"A scene has at least one pixel, not {size_px}.")
    folder.mkdir(parents=True, exist_ok=True)
    pattern, classes = _pattern(bands)
    assets = {}
    for band in bands:
        name, pixel_m = known[band]
        grid = _grid_of_size(size_px, pixel_m)
        numbers = s2_numbers(block_mean(pattern[band], pixel_m // 10))
        _write(folder / f"{name}.tif", grid, numbers, stream(0, f"benchmark {band}"))
        assets[name] = Asset(f"{name}.tif", f"{name} {band}, {pixel_m} m", "data", grid)
    grid = _grid_of_size(size_px, 20)
    _write(folder / "SCL.tif", grid, classes, None)
    assets["SCL"] = Asset("SCL.tif", "SCL scene classification, 20 m", "data", grid)
    properties = {
        "geoseg:sensor": "s2",
        "geoseg:collection": "planetary-computer/sentinel-2-l2a",
        "geoseg:region": PATTERN,
        "platform": "Sentinel-2A",
        "s2:processing_baseline": "05.10",
        "eo:cloud_cover": round(100 * float(np.isin(classes, (8, 9)).mean()), 3),
    }
    identity = f"SIMULATED_BENCHMARK_S2A_MSIL2A_{TAKEN:%Y%m%dT%H%M%S}_{size_px}"
    item = SimulatedItem(identity, "Benchmark scene", TAKEN, _grid_of_size(size_px, 10), assets, properties).record()
    (folder / f"{identity}.json").write_text(json.dumps(item, indent=1) + "\n", encoding="utf-8")
    write_index(folder, [(f"{identity}.json", item)])
    return folder / "catalog.json"


def _grid_of_size(size_px: int, pixel_m: int) -> MetricGrid:
    side = -(-size_px * 10 // pixel_m)
    return MetricGrid(CRS, LEFT, TOP, pixel_m, side, side)


def _pattern(bands: Sequence[str]) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.uint8]]:
    """Reflectance by band on the region's 10 m pixels, and the scene classes on 20 m pixels."""
    facts = region(PATTERN)
    landscape = make_landscape(facts)
    seen = surfaces_at(landscape, landscape.grid.at(landscape.grid.pixel_m / FINER))["flood"]
    above, scene = sky(facts, landscape.grid, "flood"), GroundReflectance(seen, facts, FINER)
    wanted = dict.fromkeys([*bands, "red", "nir", "green", "swir16"])
    pattern = {band: through_sky(scene.band(band), above, band) for band in surfaces().bands if band in wanted}
    return pattern, scene_classes(above, pattern)


def _write(
    path: Path, grid: MetricGrid, pattern: NDArray[np.unsignedinteger], noise: np.random.Generator | None
) -> None:
    """Write strips into a plain GeoTIFF, then lay that out as a COG: neither holds the scene in memory."""
    import rasterio
    import rasterio.shutil

    plain = path.with_suffix(".part.tif")
    options = profile(grid, 1, pattern.dtype.name, 0)
    try:
        with rasterio.open(plain, "w", driver="GTiff", tiled=True, blockxsize=512, blockysize=512, **options) as file:
            file.update_tags(**TAGS)
            for row, strip in _strips(grid, pattern, noise):
                file.write(strip, 1, window=((row, row + len(strip)), (0, grid.cols)))
        rasterio.shutil.copy(plain, path, num_threads="all_cpus", **LAYOUT)
    finally:
        plain.unlink(missing_ok=True)


def _strips(
    grid: MetricGrid, pattern: NDArray[np.unsignedinteger], noise: np.random.Generator | None
) -> Iterator[tuple[int, NDArray[np.unsignedinteger]]]:
    """Every strip of the scene with its first row."""
    rows, cols = (_mirrored(count, side) for count, side in zip(grid.shape, pattern.shape, strict=True))
    for first in range(0, grid.rows, STRIP_PX):
        strip = pattern[rows[first : first + STRIP_PX]][:, cols]
        if noise is not None:
            grain = noise.standard_normal(strip.shape, dtype=np.float32) * np.float32(NOISE_DN)
            strip = np.clip(strip + grain, 1, 65535).astype(pattern.dtype)
        yield first, strip


def _mirrored(count: int, side: int) -> NDArray[np.intp]:
    """For each of ``count`` pixels, the one of a pattern that is mirrored at its ends."""
    place = np.arange(count) % (2 * side)
    return np.where(place < side, place, 2 * side - 1 - place)
