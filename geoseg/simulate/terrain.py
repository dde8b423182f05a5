"""A valley with a meandering river carved into it, and the water level along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.simulate.grid import Floats, Mask, MetricGrid
from geoseg.simulate.noise import fractal, stream
from geoseg.simulate.records import Region

STEP_M = 8.0
"""Points of a centre line lie this far apart: finer than a pixel."""
Points = NDArray[np.float64]
STEEPEST = 0.5
"""Metres that a bank rises a metre away from the water: what loose slopes bear, about 27 degrees."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A watercourse.

    Attributes:
        points: (point, xy) metres from the grid's top left corner, y southwards, in the direction of flow.
        level_m: (point,) normal water level above the datum, falling in the direction of flow.
        half_width_m: (point,) half of its width at normal level.
        depth_m: Depth in the middle at normal level.
    """

    points: Points
    level_m: Points
    half_width_m: Points
    depth_m: float


@dataclass(frozen=True, slots=True)
class Relief:
    """The ground, and the water it holds in normal times.

    Attributes:
        height_m: float32 (rows, cols), ground or channel bed above the datum.
        level_m: float32 (rows, cols), normal level of the nearest channel (or of the sea).
        bank_m: float32 (rows, cols), distance to the nearest channel's water's edge, negative inside.
        hand_m: float32 (rows, cols), height above the nearest drainage: ``height_m - level_m``.
        source: bool (rows, cols), where water comes from: channels and sea.
        sea: bool (rows, cols), water below the sea's level, connected to the sea.
    """

    height_m: Floats
    level_m: Floats
    bank_m: Floats
    hand_m: Floats
    source: Mask
    sea: Mask


def meander(start: Points, stop: Points, wavelength_m: float, swing_deg: float, rng: np.random.Generator) -> Points:
    """A sine-generated curve (Langbein and Leopold 1966) with wandering phase, laid from ``start`` to ``stop``.

    Its direction swings by ``swing_deg`` to either side of the valley's once in ``wavelength_m`` of its length.

    Returns:
        float64 (point, xy), about ``STEP_M`` apart.
    """
    straight = float(np.hypot(*(stop - start)))
    count = int(3.2 * straight / STEP_M)
    along = np.arange(count) * STEP_M
    wander = np.cumsum(rng.normal(0, 0.035, count))
    swell = np.radians(swing_deg) * (1 + 0.25 * np.sin(along / wavelength_m * 1.7 + rng.uniform(0, 6)))
    heading = swell * np.sin(2 * np.pi * along / wavelength_m + wander + rng.uniform(0, 6))
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0) * STEP_M
    path = path[: int(np.argmax(path[:, 0] >= straight)) or count]
    path -= path[0]
    # a similarity takes its ends to where they belong and leaves its shape
    turn = complex(*(stop - start)) / complex(*path[-1])
    laid = (path[:, 0] + 1j * path[:, 1]) * turn
    return np.stack([laid.real, laid.imag], axis=1) + start


def main_river(region: Region, grid: MetricGrid) -> Channel:
    """The region's river, entering and leaving beyond the grid's edges."""
    rng = stream(region.seed, "river")
    width, height = grid.width_m, grid.height_m
    enter, leave = rng.uniform(0.38, 0.62, 2)
    if region.river.flow == "east":
        start, stop = np.array([-900.0, enter * height]), np.array([width + 900.0, leave * height])
    else:
        start, stop = np.array([enter * width, -900.0]), np.array([leave * width, height + 900.0])
    points = meander(start, stop, region.river.wavelength_m, region.river.swing_deg, rng)
    along_km = np.arange(len(points)) * STEP_M / 1000
    level = (along_km[-1] - along_km) * region.river.slope_m_per_km
    if region.sea is not None:
        # beyond the shore the river's level is the sea's
        level = np.maximum(level - np.interp(region.sea.shore * width, points[:, 0], level), 0.0)
    half_width = region.river.half_width_m * (1 + 0.22 * _smooth_walk(len(points), rng))
    return Channel(points, level, half_width, region.river.depth_m)


def tributaries(region: Region, grid: MetricGrid, river: Channel) -> list[Channel]:
    """Brooks that join the river, from its right side and its left in turn."""
    rng = stream(region.seed, "tributaries")
    found = []
    for index in range(region.river.tributaries):
        share = (index + rng.uniform(0.3, 0.9)) / (region.river.tributaries + 0.6)
        join = int(share * len(river.points))
        mouth = river.points[join]
        upstream = rng.uniform(-1500, 500)
        if region.river.flow == "east":
            spring = np.array([mouth[0] + upstream, -500.0 if index % 2 else grid.height_m + 500.0])
        else:
            spring = np.array([grid.width_m + 500.0 if index % 2 else -500.0, mouth[1] + upstream])
        wavelength = region.river.wavelength_m / 3
        points = meander(spring, mouth, wavelength, min(region.river.swing_deg + 8, 80), rng)
        to_mouth_km = (len(points) - 1 - np.arange(len(points))) * STEP_M / 1000
        level = river.level_m[join] + to_mouth_km * region.river.slope_m_per_km * 2.5
        half_width = np.linspace(0.12, 0.22, len(points)) * region.river.half_width_m
        found.append(Channel(points, level, np.maximum(half_width, 6.0), region.river.depth_m * 0.4))
    return found


def relief(region: Region, grid: MetricGrid) -> Relief:
    """Shape the ground around the region's watercourses."""
    river = main_river(region, grid)
    near = _nearest([river, *tributaries(region, grid, river)], grid)
    old_arm = _old_arm(region, grid)
    rough = region.terrain.rough_m * fractal(grid.shape, stream(region.seed, "plain"), slope=2.6, coarsest_px=90)
    hills = fractal(grid.shape, stream(region.seed, "hills"), slope=3.2, coarsest_px=300)
    from_axis = _valley_distance(river, grid)
    rise = np.clip((from_axis - region.terrain.plain_m * (1 + 0.3 * hills)) / 1300, 0, 2)
    rise = rise**2 * (3 - 2 * np.minimum(rise, 1.0)) / 2
    ground = near.level_m + region.river.bank_m
    ground += 0.35 * region.river.bank_m * np.exp(-np.maximum(near.bank_m, 0) / 70)  # natural levee
    ground += 0.0009 * np.maximum(from_axis - 300, 0) + rough
    ground += region.terrain.relief_m * rise * np.clip(0.75 + 0.3 * hills, 0.25, None)
    ground -= 0.8 * region.river.bank_m * np.exp(-((old_arm / (region.river.half_width_m * 0.8)) ** 2))
    if region.dike != "none":
        ground = _with_dike(ground, near, region)
    level, sea_level = near.level_m, np.full(grid.shape, -1e3, dtype=np.float32)
    if region.sea is not None:
        ground, level = _with_sea(ground, level, region, grid, rough)
        sea_level = level
    height = _carved(ground, near)
    source = near.bank_m < 0
    sea = np.zeros(grid.shape, dtype=np.bool_)
    if region.sea is not None:
        sea = _sea(height - sea_level, grid)
    return Relief(height, level, near.bank_m, (height - level).astype(np.float32), source | sea, sea)


@dataclass(frozen=True, slots=True)
class _Near:
    """Of the nearest channel, per pixel: level, distance to its edge, half-width, depth; side, place on the river."""

    level_m: Floats
    bank_m: Floats
    half_width_m: Floats
    depth_m: Floats
    left: Mask
    along: Floats


def _nearest(channels: list[Channel], grid: MetricGrid) -> _Near:
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import cKDTree

    x, y = np.broadcast_arrays(*grid.xy())
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    bank: Floats = np.full(grid.shape, np.inf, dtype=np.float32)
    level: Floats = np.zeros(grid.shape, dtype=np.float32)
    half_width: Floats = np.zeros(grid.shape, dtype=np.float32)
    depth: Floats = np.zeros(grid.shape, dtype=np.float32)
    left, along = np.zeros(grid.shape, dtype=np.bool_), np.zeros(grid.shape, dtype=np.float32)
    for number, channel in enumerate(channels):
        distance, index = cKDTree(channel.points).query(places, workers=-1)
        half = channel.half_width_m[index].reshape(grid.shape)
        edge = np.asarray(distance).reshape(grid.shape) - half
        closer = edge < bank
        reach = (half, channel.depth_m, channel.level_m[index].reshape(grid.shape), edge)
        for known, nearer in zip((half_width, depth, level, bank), reach, strict=True):
            np.copyto(known, nearer, where=closer, casting="same_kind")
        if number == 0:
            ahead = np.gradient(channel.points, axis=0)[index]
            offset = places - channel.points[index]
            left = (ahead[:, 0] * offset[:, 1] - ahead[:, 1] * offset[:, 0] < 0).reshape(grid.shape)
            along = np.asarray(index / len(channel.points), dtype=np.float32).reshape(grid.shape)
    # where two reaches are equally near the level jumps; ground and water have no such cliff
    smooth: Floats = np.asarray(gaussian_filter(level, 12, mode="nearest"), dtype=np.float32)
    return _Near(smooth, bank, half_width, depth, left, along)


def _carved(ground: Floats, near: _Near) -> Floats:
    """A parabolic bed below the normal level, and banks that come down to it over 25 m, or over a whole hillside.

    Where a stream leaves the hills its banks would be cliffs of a hundred metres: no slope there is steeper than
    ``STEEPEST``.
    """
    inside = np.clip(1 - ((near.bank_m + near.half_width_m) / near.half_width_m) ** 2, 0, 1)
    bed = near.level_m - 0.15 - near.depth_m * inside
    bank = np.clip(near.bank_m / 25, 0, 1)
    above = ground - near.level_m
    banked = np.minimum(above * bank, STEEPEST * np.maximum(near.bank_m, 0))
    return np.where(near.bank_m < 0, bed, np.where(above > 0, near.level_m + banked, ground)).astype(np.float32)


def _with_dike(ground: Floats, near: _Near, region: Region) -> Floats:
    """An embankment along the left side of the river; a breached one has a gap of some hundred metres."""
    crest = np.abs(near.bank_m - 75) < 14
    breach = (near.along > 0.44) & (near.along < 0.46) if region.dike == "breached" else False
    on_it = crest & near.left & ~np.asarray(breach) & (near.half_width_m > region.river.half_width_m / 2)
    raised = np.maximum(ground, near.level_m + region.stage_m + 1.2)
    return np.where(on_it, raised, ground).astype(np.float32)


def _with_sea(ground: Floats, level: Floats, region: Region, grid: MetricGrid, rough: Floats) -> tuple[Floats, Floats]:
    """Land that falls to a shore in the east, tide flats before it, and the sea's level 0 beyond."""
    assert region.sea is not None
    x, _ = grid.xy()
    wiggle = 420 * fractal(grid.shape, stream(region.seed, "shore"), slope=3.0, coarsest_px=220)
    inland_m = region.sea.shore * grid.width_m - x + wiggle
    slope = region.sea.slope_m_per_km / 1000
    beach = 0.35 + slope * inland_m
    flats = np.where(inland_m > -900, 0.25 * rough - region.sea.tide_flat_m * np.clip(-inland_m / 900, 0, 1), beach)
    shore = np.where(inland_m > 0, np.minimum(ground, beach + 0.4 * rough + 0.2), flats)
    calm = level * np.clip(inland_m / 800, 0, 1)
    return shore.astype(np.float32), calm.astype(np.float32)


def _sea(above_level: Floats, grid: MetricGrid) -> Mask:
    from geoseg.simulate.flood import reached

    edge = np.zeros(grid.shape, dtype=np.bool_)
    edge[:, -1] = above_level[:, -1] < 0
    return reached(above_level < 0, edge)


def _valley_distance(river: Channel, grid: MetricGrid) -> Floats:
    """Distance to the valley's axis: the river without its bends."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.spatial import cKDTree

    axis = gaussian_filter1d(river.points, 260, axis=0, mode="nearest")[::6]
    coarse = grid.at(grid.pixel_m * 2)
    x, y = np.broadcast_arrays(*coarse.xy())
    distance, _ = cKDTree(axis).query(np.stack([x.ravel(), y.ravel()], axis=1), workers=-1)
    from geoseg.simulate.grid import resample

    return resample(np.asarray(distance, dtype=np.float32).reshape(coarse.shape), coarse, grid)


def _old_arm(region: Region, grid: MetricGrid) -> Floats:
    """Distance to a course that the river has left: a swale in the plain that fills first."""
    moved = region.model_copy(update={"seed": region.seed + 7})
    from scipy.spatial import cKDTree

    points = main_river(moved, grid).points
    x, y = np.broadcast_arrays(*grid.xy())
    distance, _ = cKDTree(points).query(np.stack([x.ravel(), y.ravel()], axis=1), workers=-1)
    return np.asarray(distance, dtype=np.float32).reshape(grid.shape)


def _smooth_walk(count: int, rng: np.random.Generator) -> Points:
    """A slow wobble along a line, about -1..1."""
    from scipy.ndimage import gaussian_filter1d

    wobble = gaussian_filter1d(rng.standard_normal(count), 45, mode="wrap")
    return np.asarray(np.clip(wobble / wobble.std(), -2, 2) / 2)
