"""What people made of the plain: blocks bounded by roads, parcels within them, villages and their houses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.simulate.grid import Floats, Mask, MetricGrid
from geoseg.simulate.noise import hashed, stream
from geoseg.simulate.records import Region

Points = NDArray[np.float64]

BULGES = (0.24, 0.15, 0.10, 0.06)
"""Most by which each harmonic, from the 2nd on, moves a village's outline, as a share of its radius."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Land between roads: each block has a seed point, and its parcels one direction.

    Attributes:
        seeds: (block, xy) metres from the grid's top left corner.
        angle: (block,) direction of the parcels, radians.
    """

    seeds: Points
    angle: Points


@dataclass(frozen=True, slots=True)
class Parcels:
    """Where every pixel lies in the pattern of parcels.

    Attributes:
        draw: float32 (rows, cols), a number 0..1 that every pixel of a parcel shares: decides its crop.
        vigour: float32 (rows, cols), -1..1, shared by a parcel.
        margin_m: float32 (rows, cols), distance to the parcel's edge.
        road_m: float32 (rows, cols), distance to the middle of the nearest road between blocks.
    """

    draw: Floats
    vigour: Floats
    margin_m: Floats
    road_m: Floats


@dataclass(frozen=True, slots=True)
class Settlement:
    """A village: where, how far, in which direction its streets run, and how its outline bulges.

    Attributes:
        x: Metres east of the grid's left edge.
        y: Metres south of its top edge.
        radius_m: Mean distance from the middle to the outline.
        angle: Direction of the streets, radians.
        bulges: Share and phase (radians) by which the 2nd, 3rd... harmonic of the outline moves it outwards.
    """

    x: float
    y: float
    radius_m: float
    angle: float
    bulges: tuple[tuple[float, float], ...] = ()

    def away(self, east: NDArray[np.floating], south: NDArray[np.floating]) -> NDArray[np.floating]:
        """Distance of places (metres from the middle) as a share of the way to the outline: 1 on it."""
        around = np.arctan2(south, east)
        reach = np.ones_like(around)
        for waves, (share, phase) in enumerate(self.bulges, start=2):
            reach += share * np.cos(waves * around + phase)
        share_of_way: NDArray[np.floating] = np.hypot(east, south) / (self.radius_m * reach)
        return share_of_way


@dataclass(frozen=True, slots=True)
class Houses:
    """Buildings as rectangles.

    Attributes:
        corners: float64 (house, 4, xy) metres from the grid's top left corner.
        roof: (house,) index into the region's list of roofs.
        height_m: (house,).
    """

    corners: Points
    roof: NDArray[np.intp]
    height_m: Points

    def __len__(self) -> int:
        """How many."""
        return len(self.roof)


def blocks(region: Region, grid: MetricGrid) -> Blocks:
    """Scatter block seeds on a jittered lattice, about 1.3 km apart."""
    rng = stream(region.seed, "blocks")
    pitch = 1300.0
    rows, cols = int(grid.height_m / pitch) + 3, int(grid.width_m / pitch) + 3
    row, col = np.mgrid[-1 : rows - 1, -1 : cols - 1]
    jitter = rng.uniform(0.12, 0.88, (2, row.size))
    seeds = np.stack([(col.ravel() + jitter[0]) * pitch, (row.ravel() + jitter[1]) * pitch], axis=1)
    lean = rng.uniform(0, np.pi)
    return Blocks(seeds, lean + rng.normal(0, 0.35, row.size))


def parcels(region: Region, laid: Blocks, x: Floats, y: Floats) -> Parcels:
    """Read the pattern of parcels at places.

    Args:
        region: Whose farmland.
        laid: Its blocks.
        x: float32 (rows, cols), metres from the left edge, already bent as the roads are.
        y: float32 (rows, cols), metres from the top edge.
    """
    block, road = _nearest_block(laid, x, y)
    width, length = region.fields.size_m
    turn, size = laid.angle[block], 0.75 + 0.6 * hashed(region.seed, block)
    u = (x * np.cos(turn) + y * np.sin(turn)).astype(np.float32) / (length * size)
    v = (y * np.cos(turn) - x * np.sin(turn)).astype(np.float32) / (width * size)
    row = np.floor(v).astype(np.int32)
    u = u + hashed(region.seed + 1, block, row)  # rows are shifted against each other, like bricks
    col = np.floor(u).astype(np.int32)
    inside_u, inside_v = np.abs(u - col - 0.5), np.abs(v - row - 0.5)
    margin = np.minimum((0.5 - inside_u) * length, (0.5 - inside_v) * width) * size
    draw = hashed(region.seed + 2, block, row, col)
    vigour = 2 * hashed(region.seed + 3, block, row, col) - 1
    return Parcels(draw, vigour, margin.astype(np.float32), road)


def _nearest_block(laid: Blocks, x: Floats, y: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The nearest seed, and the distance to the line where the next one is as near: a road runs there."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    best = np.full(shape, np.inf, dtype=np.float32)
    second = np.full(shape, np.inf, dtype=np.float32)
    block, other = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
    reach = 2600.0
    for number, (east, south) in enumerate(laid.seeds):
        if not (x.min() - reach < east < x.max() + reach and y.min() - reach < south < y.max() + reach):
            continue  # a lattice of 1.3 km: a seed this far off is nobody's nearest or second
        square = (x - np.float32(east)) ** 2 + (y - np.float32(south)) ** 2
        nearest = square < best
        between = ~nearest & (square < second)
        second = np.where(nearest, best, np.where(between, square, second))
        other = np.where(nearest, block, np.where(between, number, other))
        best = np.where(nearest, square, best)
        block = np.where(nearest, number, block)
    apart = np.hypot(*(laid.seeds[block] - laid.seeds[other]).transpose(2, 0, 1))
    road = (second - best) / (2 * np.maximum(apart, 1.0))
    return block, road.astype(np.float32)


def place_settlements(region: Region, grid: MetricGrid, fit: Mask) -> list[Settlement]:
    """Choose places for villages, the first one the largest, apart from each other.

    Args:
        region: How many, how large.
        grid: Grid of ``fit``.
        fit: bool (rows, cols), where a village may stand.
    """
    rng, shape = stream(region.seed, "settlements"), stream(region.seed, "outlines")
    candidates = np.argwhere(fit)
    if not len(candidates):
        return []
    chosen: list[Settlement] = []
    for row, col in candidates[rng.permutation(len(candidates))]:
        radius = region.settlements.radius_m * (1.0 if not chosen else rng.uniform(0.4, 0.7))
        x, y = (col + 0.5) * grid.pixel_m, (row + 0.5) * grid.pixel_m
        inside = radius < x < grid.width_m - radius and radius < y < grid.height_m - radius
        if inside and all(np.hypot(x - s.x, y - s.y) > 1.2 * (radius + s.radius_m) for s in chosen):
            chosen.append(Settlement(x, y, radius, rng.uniform(0, np.pi), _bulges(shape)))
        if len(chosen) == region.settlements.count:
            break
    return chosen


def _bulges(rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Higher harmonics weigh less, so that an outline is lobed, not frayed; together they stay below 0.6."""
    return tuple((float(most * rng.uniform(0.5, 1)), float(rng.uniform(0, 2 * np.pi))) for most in BULGES)


def density(settled: list[Settlement], x: Floats, y: Floats) -> Floats:
    """How much of a settlement a place is: 1 in the middle, 0.37 at its radius, 0 in the fields. float32."""
    dense = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for each in settled:
        away = each.away(x - np.float32(each.x), y - np.float32(each.y))
        dense = np.maximum(dense, np.exp(-(away**4)).astype(np.float32))
    return dense


def streets(region: Region, settled: list[Settlement], x: Floats, y: Floats) -> Floats:
    """Distance to the middle of the nearest street, metres; far off where no settlement is. float32."""
    away = np.full(np.broadcast_shapes(x.shape, y.shape), 1e4, dtype=np.float32)
    row, column = 2 * region.settlements.spacing_m, 6 * region.settlements.spacing_m
    for each in settled:
        cos, sin = np.float32(np.cos(each.angle)), np.float32(np.sin(each.angle))
        east, south = x - np.float32(each.x), y - np.float32(each.y)
        near = each.away(east, south) < 1.25
        along, across = east * cos + south * sin, south * cos - east * sin
        nearest = np.minimum(
            np.abs((across + row / 2) % row - row / 2), np.abs((along + column / 2) % column - column / 2)
        )
        away = np.where(near, np.minimum(away, nearest), away)
    return away.astype(np.float32)


def houses(region: Region, settled: list[Settlement]) -> Houses:
    """Set houses along the streets, two rows between each pair, sparser outwards."""
    rng = stream(region.seed, "houses")
    pitch, roofs = region.settlements.spacing_m, region.settlements.roofs
    weights = np.array(list(roofs.values())) / sum(roofs.values())
    middle, half, turn, roof, height = [], [], [], [], []
    for each in settled:
        reach = int(1.3 * each.radius_m * (1 + sum(BULGES)) / pitch)
        v, u = np.mgrid[-reach:reach, -reach:reach].astype(np.float64)
        v, u = v.ravel() + 0.5, u.ravel() + 0.5
        v += rng.normal(0, 0.04, v.size)
        u += rng.normal(0, 0.10, u.size)
        cos, sin = np.cos(each.angle), np.sin(each.angle)
        east, south = (u * cos - v * sin) * pitch, (u * sin + v * cos) * pitch
        built = rng.random(u.size) < 0.92 * np.exp(-(each.away(east, south) ** 4))
        u, v = u[built], v[built]
        middle.append(np.stack([each.x + east[built], each.y + south[built]], axis=1))
        large = rng.random(len(u)) < 0.12
        length = np.where(large, rng.uniform(0.40, 0.46, len(u)), rng.uniform(0.22, 0.36, len(u))) * pitch
        width = np.where(large, rng.uniform(0.28, 0.34, len(u)), rng.uniform(0.16, 0.25, len(u))) * pitch
        half.append(np.stack([length, width], axis=1))
        turn.append(each.angle + rng.normal(0, 0.03, len(u)))
        roof.append(rng.choice(len(roofs), len(u), p=weights))
        height.append(region.settlements.storey_m * rng.uniform(0.7, 1.4, len(u)))
    if not middle:
        return Houses(np.zeros((0, 4, 2)), np.zeros(0, dtype=np.intp), np.zeros(0))
    corners = _rectangles(np.concatenate(middle), np.concatenate(half), np.concatenate(turn))
    return Houses(corners, np.concatenate(roof), np.concatenate(height))


def _rectangles(middle: Points, half: Points, turn: Points) -> Points:
    sign = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    along, across = (half[:, None, :] * sign).transpose(2, 0, 1)
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    return np.stack([along * cos - across * sin, along * sin + across * cos], axis=2) + middle[:, None, :]


def keep(built: Houses, allowed: NDArray[np.bool_]) -> Houses:
    """The houses whose entry in ``allowed`` holds."""
    return Houses(built.corners[allowed], built.roof[allowed], built.height_m[allowed])
