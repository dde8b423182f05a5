"""Surface to gamma nought, as Sentinel-1's terrain-corrected products hold it: linear power with speckle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.simulate.grid import Floats, Mask, block_mean
from geoseg.simulate.noise import stream
from geoseg.simulate.records import Region, Surfaces, surfaces
from geoseg.simulate.surface import Surface

LOOKS = 4.4
"""Equivalent number of looks of Sentinel-1 IW GRDH (ESA product specification: 4.4)."""
NOISE_DB = {"vv": -29.0, "vh": -33.0}
"""Thermal noise that stays after ESA's noise removal."""
DIHEDRAL_DB = {"vv": 7.0, "vh": -4.0}
"""A wall and the street before it, seen face on."""
NODATA = -32768.0
SIGNIFICANT_BITS = 10
"""A step of 0.1 per cent, 0.004 dB."""


@dataclass(frozen=True, slots=True)
class Backscatter:
    """What the radar would measure without speckle, and what it cannot see.

    Attributes:
        power: Polarisation -> float32 (rows, cols), gamma0, linear.
        hidden: bool (rows, cols), layover, radar shadow, or outside the swath.
    """

    power: dict[str, Floats]
    hidden: Mask


def backscatter(surface: Surface, region: Region, factor: int = 2) -> Backscatter:
    """Mean gamma0 of blocks of ``factor`` x ``factor`` pixels of a surface.

    Open water mirrors the pulse away unless wind roughens it. Stems and walls that stand out of water return it twice.
    Terrain correction leaves a little of the slope behind, and slopes steeper than the look angle are lost.
    """
    look_rad = np.radians(region.radar.look_deg)
    towards = (-np.sin(look_rad), np.cos(look_rad))  # a step (x east, y south) towards the satellite
    tilt = _tilt(surface, towards)
    power = {}
    for polarisation in ("vv", "vh"):
        fine = _volume(surface, polarisation, region)
        fine = _buildings(fine, surface, polarisation, towards)
        fine *= 10 ** (0.1 * np.clip(0.07 * np.degrees(tilt), -1.5, 1.5))
        fine *= 10 ** (0.1 * _range_trend(surface, region))
        power[polarisation] = block_mean(fine.astype(np.float32), factor) + np.float32(
            10 ** (NOISE_DB[polarisation] / 10)
        )
    lost = (tilt > np.radians(region.radar.incidence_deg)) | (tilt < -np.radians(90 - region.radar.incidence_deg))
    hidden = block_mean(lost.astype(np.float32), factor) > 0.5
    return Backscatter(power, hidden | _outside_swath(hidden.shape, region))


def with_speckle(mean: Floats, rng: np.random.Generator, looks: float = LOOKS) -> Floats:
    """Multiply by speckle: gamma distributed, mean 1, variance 1 / looks (Ulaby et al. 1986). float32."""
    return (mean * rng.gamma(looks, 1 / looks, mean.shape)).astype(np.float32)


def measured(seen: Backscatter, region: Region, date_key: str) -> dict[str, Floats]:
    """The numbers in the file: float32 linear power, ``NODATA`` where hidden, ``SIGNIFICANT_BITS`` of them kept.

    Speckle drowns anything beyond the third digit: the other bits are noise that no file compresses.
    """
    measured_power = {}
    for polarisation, mean in seen.power.items():
        noisy = with_speckle(mean, stream(region.seed, f"speckle {polarisation} {date_key}"))
        measured_power[polarisation] = np.where(seen.hidden, np.float32(NODATA), _rounded(noisy, SIGNIFICANT_BITS))
    return measured_power


def _rounded(values: Floats, bits: int) -> Floats:
    """Float32 with its mantissa rounded to ``bits`` bits; a relative error of 2^-bits at most."""
    drop = np.uint32(24 - bits)
    raw = values.astype(np.float32).view(np.uint32)
    half = np.uint32(1) << (drop - np.uint32(1))
    return (((raw + half) >> drop) << drop).view(np.float32)


def _volume(surface: Surface, polarisation: str, region: Region) -> Floats:
    """Power of land, water and of vegetation that stands in water, before terrain and buildings."""
    known = surfaces()
    land = _table(known, polarisation)[surface.land.cover]
    texture = np.array([each.texture for each in known.covers.values()], dtype=np.float32)[surface.land.cover]
    land = land * 10 ** (0.1 * 8 * texture * surface.land.tone)
    height = np.array([each.height_m for each in known.covers.values()], dtype=np.float32)[surface.land.cover]
    closure = np.array([each.closure for each in known.covers.values()], dtype=np.float32)[surface.land.cover]
    gain = np.array([getattr(each.flooded_gain_db, polarisation) for each in known.covers.values()], dtype=np.float32)[
        surface.land.cover
    ]
    wet = surface.water > 0
    standing = np.where(height > 0, np.clip(1 - surface.depth_m / np.maximum(height, 0.01), 0, 1), 0)
    scattering = np.maximum(closure * (standing > 0), standing)
    water = _water_power(known, surface, polarisation, region)
    flooded = water * (1 - scattering) + land * scattering * 10 ** (0.1 * gain)
    return np.where(wet, flooded, land).astype(np.float32)


def _table(known: Surfaces, polarisation: str) -> Floats:
    decibels = np.array([getattr(each, f"{polarisation}_db") for each in known.covers.values()])
    return np.asarray(10 ** (decibels / 10), dtype=np.float32)


def _water_power(known: Surfaces, surface: Surface, polarisation: str, region: Region) -> Floats:
    """Calm water, roughened by wind: VV rises faster than VH; small sheltered waters stay calm."""
    calm = np.array([-99.0, *(getattr(each, f"{polarisation}_db") for each in known.waters.values())])
    exposure = np.array([0.0, 0.55, 0.8, 0.35, 1.0, 0.25], dtype=np.float32)[surface.water]
    rise = region.radar.wind_db * (1.0 if polarisation == "vv" else 0.45)
    decibels = calm.astype(np.float32)[surface.water] + rise * exposure * surface.wind**2
    return np.asarray(10 ** (decibels / 10), dtype=np.float32)


def _buildings(power: Floats, surface: Surface, polarisation: str, towards: tuple[float, float]) -> Floats:
    """Bright corners on the side that faces the radar, brighter over water; a shadow on the other side."""
    if not surface.land.built_m.any():
        return power
    steps = max(1, round(10 / surface.land.grid.pixel_m))
    house = surface.land.built_m > 0
    front = _shifted(house, towards, steps) & ~house
    behind = _shifted(house, (-towards[0], -towards[1]), steps) & ~house
    corner = 10 ** (DIHEDRAL_DB[polarisation] / 10) * np.where(surface.water > 0, 1.8, 1.0)
    power = np.where(behind & ~front, power * 0.35, power)
    return np.where(front, np.maximum(power, corner), power).astype(np.float32)


def _shifted(mask: Mask, direction: tuple[float, float], steps: int) -> Mask:
    """The mask moved by up to ``steps`` pixels along a direction (x east, y south), each step counted."""
    reached = np.zeros_like(mask)
    for step in range(1, steps + 1):
        right, down = round(direction[0] * step), round(direction[1] * step)
        moved = np.roll(mask, (down, right), axis=(0, 1))
        reached |= moved
    return reached


def _tilt(surface: Surface, towards: tuple[float, float]) -> Floats:
    """Slope towards the satellite, radians; negative where the ground turns away."""
    south, east = np.gradient(surface.land.height_m, surface.land.grid.pixel_m)
    slope: Floats = np.arctan(-(east * towards[0] + south * towards[1])).astype(np.float32)
    return slope


def _range_trend(surface: Surface, region: Region) -> Floats:
    """Gamma0 of vegetation still falls with incidence: about 0.1 dB a degree, 1 degree in 6 km of ground range."""
    x, _ = surface.land.grid.xy()
    far = x - surface.land.grid.width_m / 2
    eastwards = np.sign(np.sin(np.radians(region.radar.look_deg)))
    return np.broadcast_to((-0.1 * eastwards * far / 6000).astype(np.float32), surface.land.grid.shape)


def _outside_swath(shape: tuple[int, int], region: Region) -> Mask:
    """The corner that the swath's slanting edge leaves empty."""
    rows, cols = shape
    if region.swath_cut <= 0:
        return np.zeros(shape, dtype=np.bool_)
    row, col = np.arange(rows)[:, None], np.arange(cols)[None, :]
    inwards = col if region.radar.orbit == "ascending" else cols - 1 - col
    return np.asarray(inwards < region.swath_cut * cols - row * 0.42)
