"""One region's landscape: ground, water levels, what grows and stands there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.simulate import settlements
from geoseg.simulate.flood import fill
from geoseg.simulate.grid import Codes, Floats, MetricGrid
from geoseg.simulate.noise import fractal, stream
from geoseg.simulate.records import Region
from geoseg.simulate.terrain import Relief, relief

DRY, FLOOD, PERMANENT = 0, 1, 2
"""Codes of the truth, the same as of a flood mask."""
SHALLOWEST_M = 0.05
"""Less water than this is wet ground."""


@dataclass(frozen=True, slots=True)
class Landscape:
    """Everything that is there, on the 10 m grid; smooth fields, so that a finer grid can read them.

    Attributes:
        region: What it was made from.
        grid: Its grid.
        relief: Ground and normal water levels.
        before_m: float32 (rows, cols), depth of the water in normal times, ponds included.
        flood_m: float32 (rows, cols), depth of the water at the flood's height, ponds included.
        pond: float32 (rows, cols), positive in ponds.
        trees: float32 (rows, cols), positive in woods.
        farmed: float32 (rows, cols), positive on farmland.
        ground: float32 (rows, cols), decides the natural cover: standard normal.
        wind: float32 (rows, cols), 0..1, how rough the wind makes open water.
        bend_x: float32 (rows, cols), metres by which roads and parcels are bent eastwards.
        bend_y: float32 (rows, cols), metres by which they are bent southwards.
        blocks: Land between roads.
        villages: Settlements.
        houses: Buildings.
    """

    region: Region
    grid: MetricGrid
    relief: Relief
    before_m: Floats
    flood_m: Floats
    pond: Floats
    trees: Floats
    farmed: Floats
    ground: Floats
    wind: Floats
    bend_x: Floats
    bend_y: Floats
    blocks: settlements.Blocks
    villages: list[settlements.Settlement]
    houses: settlements.Houses

    def truth(self) -> Codes:
        """0 dry, 1 flood, 2 permanent water: uint8 (rows, cols), no cloud, nothing unobserved."""
        wet, normal = self.flood_m > SHALLOWEST_M, self.before_m > SHALLOWEST_M
        return np.where(normal, PERMANENT, np.where(wet, FLOOD, DRY)).astype(np.uint8)


def make_landscape(region: Region) -> Landscape:
    """Make a region's landscape from its seed."""
    grid = MetricGrid.around(region.crs, region.centre, (region.rows, region.cols))
    shaped = relief(region, grid)
    field = _Fields(region, grid)
    pond = _ponds(region, grid, shaped)
    pond_depth = np.clip(pond * 40, 0, 1.5)
    before = np.maximum(fill(shaped.hand_m, shaped.source, 0.0), pond_depth)
    flood = np.maximum(fill(shaped.hand_m, shaped.source, region.stage_m), before)
    laid = settlements.blocks(region, grid)
    village_ground = (shaped.bank_m > 180) & (before == 0) & (shaped.hand_m < region.stage_m + 7)
    village_ground &= shaped.hand_m > 0.45 * region.stage_m
    villages = settlements.place_settlements(region, grid, village_ground)
    built = settlements.houses(region, villages)
    landscape = Landscape(
        region,
        grid,
        shaped,
        before,
        flood,
        pond,
        _trees(region, shaped, field),
        _farmed(region, shaped, field),
        field("ground", slope=2.4, coarsest_px=120),
        np.clip(0.45 + 0.35 * field("wind", slope=2.8, coarsest_px=150), 0, 1),
        45 * field("bend x", slope=4, coarsest_px=200),
        45 * field("bend y", slope=4, coarsest_px=200),
        laid,
        villages,
        built,
    )
    return _without_misplaced_houses(landscape)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Named fractal fields of one region."""

    region: Region
    grid: MetricGrid

    def __call__(self, purpose: str, *, slope: float, coarsest_px: float) -> Floats:
        rng = stream(self.region.seed, purpose)
        field: Floats = fractal(self.grid.shape, rng, slope=slope, coarsest_px=coarsest_px)
        return field


def _trees(region: Region, shaped: Relief, field: _Fields) -> Floats:
    """Woods where a fractal field is high, and strips along the banks; mangrove only near the tide."""
    wood = field("trees", slope=2.2, coarsest_px=110)
    if region.trees.cover == "mangrove":
        wood = wood - np.where(np.abs(shaped.hand_m) < 0.5, 0.0, 4.0)
    level = np.quantile(wood, 1 - region.trees.share)
    strip = field("strip", slope=1.6, coarsest_px=40) - np.float32(_normal_quantile(1 - region.trees.riparian))
    along_bank = np.where((shaped.bank_m > 4) & (shaped.bank_m < 45), strip, np.float32(-4))
    trees: Floats = np.maximum(wood - np.float32(level), along_bank).astype(np.float32)
    return trees


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(min(max(share, 1e-6), 1 - 1e-6))


def _farmed(region: Region, shaped: Relief, field: _Fields) -> Floats:
    """Farmland: level ground away from the bank, patchy."""
    patch = field("farmed", slope=2.6, coarsest_px=140)
    level = np.float32(np.quantile(patch, 1 - region.fields.share))
    steep = np.hypot(*np.gradient(shaped.height_m, 10.0)) > 0.06
    unfit = steep | (shaped.bank_m < 40) | (shaped.hand_m < 0.2)
    return np.where(unfit, np.float32(-1), patch - level).astype(np.float32)


def _ponds(region: Region, grid: MetricGrid, shaped: Relief) -> Floats:
    """Lobed ponds on the plain: positive inside, growing to about 0.05 in the middle."""
    rng = stream(region.seed, "ponds")
    wobble = fractal(grid.shape, stream(region.seed, "pond shape"), slope=3, coarsest_px=30)
    x, y = grid.xy()
    pond = np.full(grid.shape, -1.0, dtype=np.float32)
    fit = np.argwhere((shaped.bank_m > 160) & (shaped.hand_m > 0.3) & ~shaped.sea)
    for row, col in fit[rng.permutation(len(fit))[: region.ponds]]:
        radius = rng.uniform(35, 130)
        away = np.hypot(x - (col + 0.5) * grid.pixel_m, y - (row + 0.5) * grid.pixel_m) / radius
        pond = np.maximum(pond, (1 + 0.30 * wobble - away) * 0.05).astype(np.float32)
    return np.where(shaped.bank_m < 60, np.float32(-1), pond)


def _without_misplaced_houses(landscape: Landscape) -> Landscape:
    """Take away houses in water, on the bank, in the sea, in woods, or on a road between blocks."""
    from dataclasses import replace

    built = landscape.houses
    if not len(built):
        return landscape
    places = built.corners.mean(axis=1)
    rows = np.clip((places[:, 1] / landscape.grid.pixel_m).astype(int), 0, landscape.grid.rows - 1)
    cols = np.clip((places[:, 0] / landscape.grid.pixel_m).astype(int), 0, landscape.grid.cols - 1)
    inside = (places > 0).all(axis=1) & (places < [landscape.grid.width_m, landscape.grid.height_m]).all(axis=1)
    bent_x = (places[:, 0] + landscape.bend_x[rows, cols]).astype(np.float32)[None, :]
    bent_y = (places[:, 1] + landscape.bend_y[rows, cols]).astype(np.float32)[None, :]
    road = settlements.parcels(landscape.region, landscape.blocks, bent_x, bent_y).road_m[0]
    dry = (landscape.before_m[rows, cols] == 0) & (landscape.relief.bank_m[rows, cols] > 60)
    return replace(landscape, houses=settlements.keep(built, inside & dry & (road > 16)))
