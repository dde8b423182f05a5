"""Surface to sunlight: reflectance of land and water, shade, clouds and their shadows, the camera's blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.simulate.grid import Floats, Mask, MetricGrid, block_mean, resample
from geoseg.simulate.noise import fractal, stream
from geoseg.simulate.records import Region, Surfaces, surfaces
from geoseg.simulate.surface import Instant, Surface

SKY_MARGIN_M = 3000.0
"""Clouds this far beyond the grid still throw shadows into it."""


@dataclass(frozen=True, slots=True)
class Sky:
    """What hangs between the sun, the ground and the camera.

    Attributes:
        opacity: float32 (rows, cols), 0..1, of the cloud in front of a pixel.
        shadow: float32 (rows, cols), 0..1, of the cloud between the pixel and the sun.
        shine: float32 (rows, cols), brightness of the cloud about 1.
    """

    opacity: Floats
    shadow: Floats
    shine: Floats


def sky(region: Region, grid: MetricGrid, instant: Instant, drift_m: float = 0.0) -> Sky:
    """Clouds over a grid of the region, and their shadows where the sun puts them.

    A cloud's shadow lies ``height x tan(zenith)`` from below it, away from the sun.

    Args:
        region: How cloudy, how high, where the sun stands.
        grid: Grid, anywhere in the region's 10 m grid.
        instant: Which of the two days.
        drift_m: How far the wind has carried the clouds eastwards since Sentinel-2's overpass.
    """
    whole = MetricGrid.around(region.crs, region.centre, (region.rows, region.cols))
    margin = round(SKY_MARGIN_M / whole.pixel_m)
    wide = MetricGrid(
        whole.crs,
        whole.left - SKY_MARGIN_M,
        whole.top + SKY_MARGIN_M,
        whole.pixel_m,
        whole.rows + 2 * margin,
        whole.cols + 2 * margin,
    )
    share = (region.clouds.before_pct if instant == "before" else region.clouds.flood_pct) / 100
    field = fractal(wide.shape, stream(region.seed, f"clouds {instant}"), slope=2.9, coarsest_px=130)
    field += 0.12 * fractal(wide.shape, stream(region.seed, f"cloud edge {instant}"), slope=1.2, coarsest_px=12)
    base = np.float32(np.quantile(field, 1 - share))
    opacity = np.clip((field - base) / 0.35 + 0.25, 0, 1)
    shine = 0.88 + 0.16 * np.clip((field - base) / 1.2, 0, 1)
    reach = region.clouds.height_m * np.tan(np.radians(region.sun.zenith_deg))
    azimuth = np.radians(region.sun.azimuth_deg)
    # what darkens a place hangs towards the sun from it: east by sin(azimuth), south by -cos(azimuth)
    east, south = reach * np.sin(azimuth) - drift_m, -reach * np.cos(azimuth)

    def moved(east_m: float, south_m: float, values: Floats) -> Floats:
        elsewhere = MetricGrid(grid.crs, grid.left + east_m, grid.top - south_m, grid.pixel_m, grid.rows, grid.cols)
        return resample(values, wide, elsewhere)

    return Sky(moved(-drift_m, 0, opacity), moved(east, south, opacity), moved(-drift_m, 0, shine))


class GroundReflectance:
    """Reflectance of a surface at the ground, band by band, on blocks of its pixels.

    Args:
        surface: What the sun shines on.
        region: Where the sun stands.
        factor: Pixels of the surface, along a side, that one pixel of the picture averages.
    """

    def __init__(self, surface: Surface, region: Region, factor: int) -> None:
        self._surface, self._region, self._factor = surface, region, factor
        self._hidden = surface.emergent()
        self._light = _relief_light(surface, region)
        self._shade = _building_shade(surface, region)

    def band(self, name: str) -> Floats:
        """Surface reflectance of one band of ``Surfaces.bands``: float32 (rows, cols), clear sky, no camera."""
        known, surface = surfaces(), self._surface
        place = known.bands.index(name)
        ground = self._ground(known, place)
        water = np.array([0.0, *(each.reflectance[place] for each in known.waters.values())], dtype=np.float32)
        dim = np.array([0.0, *(1 / each.clarity_m for each in known.waters.values())], dtype=np.float32)
        # light goes down and comes back: twice the depth
        through = np.exp(-2 * surface.depth_m * (dim[surface.water] + np.float32(known.absorption_per_m[place])))
        deep = water[surface.water] * (1 + 0.06 * surface.land.tone)
        seen_water = deep * (1 - through) + ground * 0.8 * through
        mixed = np.where(surface.water > 0, ground * self._hidden + seen_water * (1 - self._hidden), ground)
        sky_light = np.float32(known.skylight[place])
        lit = np.where(surface.water > 0, np.float32(1), self._light)
        lit = lit * (1 - self._shade * (1 - sky_light))
        return block_mean((mixed * lit).astype(np.float32), self._factor)

    def _ground(self, known: Surfaces, place: int) -> Floats:
        covers = list(known.covers.values())
        spectrum = np.array([each.reflectance[place] for each in covers], dtype=np.float32)
        wander = np.array([known.vigour[place] if each.green else each.texture for each in covers], dtype=np.float32)
        cover = self._surface.land.cover
        brightness = np.clip(1 + wander[cover] * self._surface.land.tone, 0.4, 1.8)
        return np.asarray(spectrum[cover] * brightness, dtype=np.float32)


def through_sky(reflectance: Floats, above: Sky, band: str) -> Floats:
    """Darken what clouds shade and cover what they hide. float32 (rows, cols)."""
    known = surfaces()
    place = known.bands.index(band)
    shaded = reflectance * (1 - above.shadow * (1 - np.float32(known.skylight[place])))
    cloud = np.float32(known.cloud[place]) * above.shine
    return (shaded * (1 - above.opacity) + cloud * above.opacity).astype(np.float32)


def through_camera(reflectance: Floats, rng: np.random.Generator, *, blur_px: float, noise: float) -> Floats:
    """Blur by the optics, mix in light that the air scatters from all around, add the detector's noise. float32."""
    from scipy.ndimage import gaussian_filter

    sharp = gaussian_filter(reflectance, blur_px, mode="nearest")
    around = gaussian_filter(reflectance, 12, mode="nearest", truncate=2.0)
    shot = noise * np.sqrt(np.maximum(sharp, 0.01) / 0.1)
    noisy = 0.96 * sharp + 0.04 * around + shot * rng.standard_normal(sharp.shape, dtype=np.float32)
    return np.asarray(noisy, dtype=np.float32)


def _relief_light(surface: Surface, region: Region) -> Floats:
    """Sunlight on a slope against that on level ground, half of it corrected away as level 2A does."""
    south, east = np.gradient(surface.land.height_m, surface.land.grid.pixel_m)
    zenith, azimuth = np.radians(region.sun.zenith_deg), np.radians(region.sun.azimuth_deg)
    # the ground's normal is (-east, +south seen northwards, 1); the sun's direction east, north, up
    rise = -east * np.sin(azimuth) * np.sin(zenith) + south * np.cos(azimuth) * np.sin(zenith) + np.cos(zenith)
    share = rise / np.sqrt(1 + east**2 + south**2) / np.cos(zenith)
    light: Floats = np.clip(0.5 + 0.5 * share, 0.5, 1.4).astype(np.float32)
    return light


def _building_shade(surface: Surface, region: Region) -> Floats:
    """0..1, how much of the sunlight buildings take from the ground beside them."""
    built = surface.land.built_m
    shade = np.zeros(built.shape, dtype=np.float32)
    if not built.any():
        return shade
    pixel = surface.land.grid.pixel_m
    azimuth, slope = np.radians(region.sun.azimuth_deg), 1 / np.tan(np.radians(region.sun.zenith_deg))
    steps = int(built.max() / slope / pixel) + 1
    for step in range(1, steps + 1):
        right, down = round(-np.sin(azimuth) * step), round(np.cos(azimuth) * step)
        casting: Mask = np.roll(built, (down, right), axis=(0, 1)) > step * pixel * slope
        shade = np.maximum(shade, casting & (built == 0))
    return shade.astype(np.float32)
