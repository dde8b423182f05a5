"""The world at one instant, on any grid: what every sensor looks at, so that all of them see the same flood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from geoseg.simulate import settle
from geoseg.simulate.canvas import Canvas, Codes, Floats, block_mean, resample, resample_mask
from geoseg.simulate.facts import surfaces
from geoseg.simulate.noise import choice, fractal, hashed, stream
from geoseg.simulate.world import DRY, FLOOD, PERMANENT, SHALLOWEST_M, World

Instant = Literal["before", "flood"]
INSTANTS: tuple[Instant, Instant] = ("before", "flood")
LIGHT_CANOPY = 0.6
"""Share of the ground that a field or meadow hides while it stands out of the water."""


@dataclass(frozen=True, slots=True)
class Land:
    """The ground and what stands on it: the same before and during the flood.

    Attributes:
        canvas: Its grid.
        cover: uint8 (rows, cols), ``Surfaces.cover_code``.
        height_m: float32 (rows, cols), ground above the datum.
        tone: float32 (rows, cols), about -2..2: brightness within a cover, vigour of what is green.
        built_m: float32 (rows, cols), height of the building, 0 where none.
    """

    canvas: Canvas
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


def look(world: World, canvas: Canvas) -> dict[Instant, Surface]:
    """Read the world on a grid, at both instants.

    Args:
        world: What is there.
        canvas: Grid in the world's CRS, within the world's extent.
    """
    x, y = canvas.xy()
    x = x + np.float32(canvas.left - world.canvas.left)
    y = y + np.float32(world.canvas.top - canvas.top)

    def read(field: Floats) -> Floats:
        return resample(field, world.canvas, canvas)

    bent_x, bent_y = x + read(world.bend_x), y + read(world.bend_y)
    parcels = settle.parcels(world.region, world.blocks, bent_x, bent_y)
    cover, tone = _cover(world, canvas, parcels, x, y)
    roof, built = _buildings(world, canvas)
    cover = np.where(built > 0, roof, cover)
    texture = fractal(canvas.shape, stream(world.region.seed, f"texture {canvas.pixel_m}"), slope=1.4, coarsest_px=24)
    tone = np.clip(tone + 0.45 * texture, -2.2, 2.2).astype(np.float32)
    land = Land(canvas, cover, read(world.relief.height_m), tone, built)
    wind = read(world.wind)
    return {instant: Surface(land, *_water(world, canvas, instant, cover, parcels), wind) for instant in INSTANTS}


def truth(seen: dict[Instant, Surface], factor: int = 1) -> Codes:
    """What a perfect map would say, on pixels ``factor`` times as large: the larger part of each pixel decides.

    Water counts where it stands, under trees and between walls too, whether a sensor can see it or not.

    Returns:
        uint8 (rows, cols): 0 dry, 1 flood, 2 water that stood there before as well (river, ponds, rice under water).
    """
    wet, normal = (block_mean((seen[when].water > 0).astype(np.float32), factor) >= 0.5 for when in ("flood", "before"))
    return np.where(normal, PERMANENT, np.where(wet, FLOOD, DRY)).astype(np.uint8)


def _cover(world: World, canvas: Canvas, parcels: settle.Parcels, x: Floats, y: Floats) -> tuple[Codes, Floats]:
    """Paint the covers over each other: ground, parcels, woods, villages, roads, beach and banks."""
    region, known = world.region, surfaces()
    codes = {name: known.cover_code(name) for name in known.covers}

    def read(field: Floats) -> Floats:
        return resample(field, world.canvas, canvas)

    ground, bank, hand = read(world.ground), read(world.relief.bank_m), read(world.relief.hand_m)
    cover = choice(_uniform(ground), region.ground, codes)
    crops = choice(parcels.draw, region.fields.crops, codes)
    farmed = (read(world.farmed) > 0) & (parcels.margin_m > 0)
    cover = np.where(farmed, crops, cover)
    cover = np.where(
        farmed & (parcels.margin_m < 3.5), codes["grass" if "paddy" not in region.fields.crops else "soil"], cover
    )
    dense = settle.density(world.settled, x, y)
    cover = np.where((read(world.trees) > 0) & (dense < 0.3), codes[region.trees.cover], cover)
    cover = np.where((bank > 0) & (bank < 14), codes[region.bank_cover], cover)
    if region.sea is not None:
        tidal = (hand < 0.35) & (read(world.trees) <= 0)
        cover = np.where(tidal, codes["mud"], cover)
    cover = np.where(dense > 0.22, codes["yard"], cover)
    street = settle.streets(region, world.settled, x, y)
    cover = np.where((street < 3.5) & (dense > 0.15), codes[region.settlements.street], cover)
    road = (parcels.road_m < 5) & (hand > 0) & (hand < region.stage_m + 9)
    cover = np.where(road, codes[region.fields.road], cover)
    # nothing grows in a bed that the river keeps under water in ordinary years
    bed = codes["wadi_bed" if region.bank_cover == "wadi_bed" else "mud"]
    cover = np.where((bank < 0) | (hand < -0.3) | (read(world.pond) > 0), bed, cover)
    tone = np.where(farmed, 0.9 * parcels.vigour, 0.5 * ground)
    return cover.astype(np.uint8), tone.astype(np.float32)


def _uniform(normal: Floats) -> Floats:
    """The share of a standard normal that lies below a value, by the logistic approximation (Bowling 2009)."""
    share: Floats = (1 / (1 + np.exp(-1.702 * normal))).astype(np.float32)
    return share


def _buildings(world: World, canvas: Canvas) -> tuple[Codes, Floats]:
    """Burn the houses: roof cover and height, 0 beside them. A pixel is a house where its centre is."""
    from rasterio.features import rasterize

    known, built = surfaces(), world.houses
    offset = np.array([canvas.left - world.canvas.left, world.canvas.top - canvas.top])
    corners = (built.corners - offset) / canvas.pixel_m
    seen = ((corners > -1) & (corners < [canvas.cols + 1, canvas.rows + 1])).all(axis=(1, 2))
    number = np.flatnonzero(seen)
    index = np.zeros(canvas.shape, dtype=np.int32)
    if len(number):
        shapes = (
            ({"type": "Polygon", "coordinates": [[*corners[each].tolist(), corners[each, 0].tolist()]]}, int(each) + 1)
            for each in number
        )
        index = rasterize(shapes, out_shape=canvas.shape, dtype="int32")
    roofs = np.array([known.cover_code(name) for name in world.region.settlements.roofs], dtype=np.uint8)
    roof = np.concatenate([[0], roofs[built.roof]]).astype(np.uint8)
    height = np.concatenate([[0], built.height_m]).astype(np.float32)
    return roof[index], height[index]


def _water(
    world: World, canvas: Canvas, instant: Instant, cover: Codes, parcels: settle.Parcels
) -> tuple[Codes, Floats]:
    """Depth and kind of water: the flood is turbid wherever it mixes, the sea stays the sea, paddies stand clear."""
    known, region = surfaces(), world.region
    depth = depth_on(world, canvas, instant)
    normal = depth_on(world, canvas, "before") > SHALLOWEST_M
    pond = resample(world.pond, world.canvas, canvas) > 0
    sea = resample_mask(world.relief.sea, world.canvas, canvas)
    wet = depth > SHALLOWEST_M
    water = np.zeros(canvas.shape, dtype=np.uint8)
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


def depth_on(world: World, canvas: Canvas, instant: Instant) -> Floats:
    """Depth of the water on a finer grid: the level surface less the ground, where the coarse flood has come near.

    Depths are read bilinearly inside the flood; the shore between a wet and a dry pixel lies where the read stage
    meets the ground, so that a finer grid shows a finer shore of the same flood.
    """
    coarse = world.before_m if instant == "before" else world.flood_m
    if canvas == world.canvas:
        return coarse
    from scipy.ndimage import binary_dilation

    stage = 0.0 if instant == "before" else world.region.stage_m
    near = resample_mask(np.asarray(binary_dilation(coarse > 0)), world.canvas, canvas)
    risen = np.float32(stage) - resample(world.relief.hand_m, world.canvas, canvas)
    pond = np.clip(resample(world.pond, world.canvas, canvas) * 40, 0, 1.5)
    filled = np.where(near, np.maximum(risen, 0), 0)
    if instant == "flood":
        filled = np.maximum(filled, depth_on(world, canvas, "before"))
    return np.maximum(filled, pond).astype(np.float32)
