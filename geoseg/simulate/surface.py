"""The landscape at one instant, on any grid: what every sensor looks at, so that all of them see the same flood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from geoseg.simulate import settlements
from geoseg.simulate.grid import Codes, Floats, MetricGrid, block_mean, resample, resample_mask
from geoseg.simulate.landscape import DRY, FLOOD, PERMANENT, SHALLOWEST_M, Landscape
from geoseg.simulate.noise import choice, fractal, hashed, stream
from geoseg.simulate.records import surfaces

Instant = Literal["before", "flood"]
INSTANTS: tuple[Instant, Instant] = ("before", "flood")
LIGHT_CANOPY = 0.6
"""Share of the ground that a field or meadow hides while it stands out of the water."""


@dataclass(frozen=True, slots=True)
class Land:
    """The ground and what stands on it: the same before and during the flood.

    Attributes:
        grid: Its grid.
        cover: uint8 (rows, cols), ``Surfaces.cover_code``.
        height_m: float32 (rows, cols), ground above the datum.
        tone: float32 (rows, cols), about -2..2: brightness within a cover, vigour of what is green.
        built_m: float32 (rows, cols), height of the building, 0 where none.
    """

    grid: MetricGrid
    cover: Codes
    height_m: Floats
    tone: Floats
    built_m: Floats


@dataclass(frozen=True, slots=True)
class Surface:
    """The land and the water that stands on it.

    Attributes:
        land: What the water covers where there is water.
        water: uint8 (rows, cols), ``Surfaces.water_code``, 0 where dry.
        depth_m: float32 (rows, cols), 0 where dry.
        wind: float32 (rows, cols), 0..1.
    """

    land: Land
    water: Codes
    depth_m: Floats
    wind: Floats

    def emergent(self) -> Floats:
        """Share of each pixel where the cover hides the water from above: 1 where dry. float32 (rows, cols)."""
        covers = list(surfaces().covers.values())
        height = np.array([each.height_m for each in covers], dtype=np.float32)[self.land.cover]
        hides = [max(each.closure, LIGHT_CANOPY if each.green else 0.0) for each in covers]
        above = np.clip(1 - self.depth_m / np.maximum(height, 0.01), 0, 1)
        standing = np.array(hides, dtype=np.float32)[self.land.cover] * above
        return np.where(self.water > 0, standing, 1).astype(np.float32)


def surfaces_at(landscape: Landscape, grid: MetricGrid) -> dict[Instant, Surface]:
    """Sample the landscape on a grid, at both instants.

    Args:
        landscape: What is there.
        grid: Grid in the landscape's CRS, within the landscape's extent.
    """
    x, y = grid.xy()
    x = x + np.float32(grid.left - landscape.grid.left)
    y = y + np.float32(landscape.grid.top - grid.top)

    def read(field: Floats) -> Floats:
        return resample(field, landscape.grid, grid)

    bent_x, bent_y = x + read(landscape.bend_x), y + read(landscape.bend_y)
    parcels = settlements.parcels(landscape.region, landscape.blocks, bent_x, bent_y)
    cover, tone = _cover(landscape, grid, parcels, x, y)
    roof, built = _buildings(landscape, grid)
    cover = np.where(built > 0, roof, cover)
    texture = fractal(grid.shape, stream(landscape.region.seed, f"texture {grid.pixel_m}"), slope=1.4, coarsest_px=24)
    tone = np.clip(tone + 0.45 * texture, -2.2, 2.2).astype(np.float32)
    land = Land(grid, cover, read(landscape.relief.height_m), tone, built)
    wind = read(landscape.wind)
    return {instant: Surface(land, *_water(landscape, grid, instant, cover, parcels), wind) for instant in INSTANTS}


def truth(seen: dict[Instant, Surface], factor: int = 1) -> Codes:
    """What a perfect map would say, on pixels ``factor`` times as large: the larger part of each pixel decides.

    Water counts where it stands, under trees and between walls too, whether a sensor can see it or not.

    Returns:
        uint8 (rows, cols): 0 dry, 1 flood, 2 water that stood there before as well (river, ponds, rice under water).
    """
    wet, normal = (block_mean((seen[when].water > 0).astype(np.float32), factor) >= 0.5 for when in ("flood", "before"))
    return np.where(normal, PERMANENT, np.where(wet, FLOOD, DRY)).astype(np.uint8)


def _cover(
    landscape: Landscape, grid: MetricGrid, parcels: settlements.Parcels, x: Floats, y: Floats
) -> tuple[Codes, Floats]:
    """Paint the covers over each other: ground, parcels, woods, villages, roads, beach and banks."""
    region, known = landscape.region, surfaces()
    codes = {name: known.cover_code(name) for name in known.covers}

    def read(field: Floats) -> Floats:
        return resample(field, landscape.grid, grid)

    ground, bank, hand = read(landscape.ground), read(landscape.relief.bank_m), read(landscape.relief.hand_m)
    cover = choice(_uniform(ground), region.ground, codes)
    crops = choice(parcels.draw, region.fields.crops, codes)
    farmed = (read(landscape.farmed) > 0) & (parcels.margin_m > 0)
    cover = np.where(farmed, crops, cover)
    cover = np.where(
        farmed & (parcels.margin_m < 3.5), codes["grass" if "paddy" not in region.fields.crops else "soil"], cover
    )
    dense = settlements.density(landscape.villages, x, y)
    cover = np.where((read(landscape.trees) > 0) & (dense < 0.3), codes[region.trees.cover], cover)
    cover = np.where((bank > 0) & (bank < 14), codes[region.bank_cover], cover)
    if region.sea is not None:
        tidal = (hand < 0.35) & (read(landscape.trees) <= 0)
        cover = np.where(tidal, codes["mud"], cover)
    cover = np.where(dense > 0.22, codes["yard"], cover)
    street = settlements.streets(region, landscape.villages, x, y)
    cover = np.where((street < 3.5) & (dense > 0.15), codes[region.settlements.street], cover)
    road = (parcels.road_m < 5) & (hand > 0) & (hand < region.stage_m + 9)
    cover = np.where(road, codes[region.fields.road], cover)
    # nothing grows in a bed that the river keeps under water in ordinary years
    bed = codes["wadi_bed" if region.bank_cover == "wadi_bed" else "mud"]
    cover = np.where((bank < 0) | (hand < -0.3) | (read(landscape.pond) > 0), bed, cover)
    tone = np.where(farmed, 0.9 * parcels.vigour, 0.5 * ground)
    return cover.astype(np.uint8), tone.astype(np.float32)


def _uniform(normal: Floats) -> Floats:
    """The share of a standard normal that lies below a value, by the logistic approximation (Bowling 2009)."""
    share: Floats = (1 / (1 + np.exp(-1.702 * normal))).astype(np.float32)
    return share


def _buildings(landscape: Landscape, grid: MetricGrid) -> tuple[Codes, Floats]:
    """Burn the houses: roof cover and height, 0 beside them. A pixel is a house where its centre is."""
    from rasterio.features import rasterize

    known, built = surfaces(), landscape.houses
    offset = np.array([grid.left - landscape.grid.left, landscape.grid.top - grid.top])
    corners = (built.corners - offset) / grid.pixel_m
    seen = ((corners > -1) & (corners < [grid.cols + 1, grid.rows + 1])).all(axis=(1, 2))
    number = np.flatnonzero(seen)
    index = np.zeros(grid.shape, dtype=np.int32)
    if len(number):
        shapes = (
            ({"type": "Polygon", "coordinates": [[*corners[each].tolist(), corners[each, 0].tolist()]]}, int(each) + 1)
            for each in number
        )
        index = rasterize(shapes, out_shape=grid.shape, dtype="int32")
    roofs = np.array([known.cover_code(name) for name in landscape.region.settlements.roofs], dtype=np.uint8)
    roof = np.concatenate([[0], roofs[built.roof]]).astype(np.uint8)
    height = np.concatenate([[0], built.height_m]).astype(np.float32)
    return roof[index], height[index]


def _water(
    landscape: Landscape, grid: MetricGrid, instant: Instant, cover: Codes, parcels: settlements.Parcels
) -> tuple[Codes, Floats]:
    """Depth and kind of water: the flood is turbid wherever it mixes, the sea stays the sea, paddies stand clear."""
    known, region = surfaces(), landscape.region
    depth = depth_on(landscape, grid, instant)
    normal = depth_on(landscape, grid, "before") > SHALLOWEST_M
    pond = resample(landscape.pond, landscape.grid, grid) > 0
    sea = resample_mask(landscape.relief.sea, landscape.grid, grid)
    wet = depth > SHALLOWEST_M
    water = np.zeros(grid.shape, dtype=np.uint8)
    standing = known.covers["paddy"].height_m * 0.84  # young rice barely shows above it: radar sees open water
    flooded_paddy = (cover == known.cover_code("paddy")) & ~wet
    flooded_paddy &= hashed(region.seed + 11, (parcels.draw * 2**20).astype(np.int64)) < region.fields.standing_share
    water[flooded_paddy] = known.water_code("paddy")
    depth = np.where(flooded_paddy, np.float32(standing), np.where(wet, depth, np.float32(0)))
    water[wet] = known.water_code("flood")
    if instant == "before":
        water[wet] = known.water_code("river")
    water[wet & normal & pond] = known.water_code("pond")
    water[wet & sea] = known.water_code("sea")
    return water, depth.astype(np.float32)


def depth_on(landscape: Landscape, grid: MetricGrid, instant: Instant) -> Floats:
    """Depth of the water on a finer grid: the level surface less the ground, where the coarse flood has come near.

    Depths are read bilinearly inside the flood; the shore between a wet and a dry pixel lies where the read stage
    meets the ground, so that a finer grid shows a finer shore of the same flood.
    """
    coarse = landscape.before_m if instant == "before" else landscape.flood_m
    if grid == landscape.grid:
        return coarse
    from scipy.ndimage import binary_dilation

    stage = 0.0 if instant == "before" else landscape.region.stage_m
    near = resample_mask(np.asarray(binary_dilation(coarse > 0)), landscape.grid, grid)
    risen = np.float32(stage) - resample(landscape.relief.hand_m, landscape.grid, grid)
    pond = np.clip(resample(landscape.pond, landscape.grid, grid) * 40, 0, 1.5)
    filled = np.where(near, np.maximum(risen, 0), 0)
    if instant == "flood":
        filled = np.maximum(filled, depth_on(landscape, grid, "before"))
    return np.maximum(filled, pond).astype(np.float32)
