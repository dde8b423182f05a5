"""A simulated river flood, seen by simulated sensors: the embedded default, and the ground truth of tests.

::

    records     spectra, backscatter, regions                  (data_catalog/simulation)
    grid        a north-up grid, and reading a coarse field on a finer one
    noise       fractal fields and hashed lattices: one seed, one world
    terrain     a meandering river carved into a valley; levels along it
    flood       water rises from the river and fills what it can reach
    settlements blocks, roads, parcels, villages
    landscape   all of the above for one region
    surface     the landscape at one instant, at any resolution: cover, depth, kind of water
    radar       surface -> gamma0 as Sentinel-1 RTC
    optical     surface -> reflectance, clouds, numbers as Sentinel-2, PlanetScope and aerial cameras hold them
    cog         an array as a file that says it is simulated
    items       STAC items in the layouts of the real collections
    scenes      files and items of one region, sensor by sensor
    catalogue   the folder that holds them all, made region by region
    benchmark   one big scene, written tile by tile

Everything is a function of a region's seed: the same version of geoseg writes the same bytes. Nothing here was
observed, and every item, file and title says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.simulate.benchmark import write_benchmark_scene
    from geoseg.simulate.catalogue import demo_folder, ensure, is_made
    from geoseg.simulate.records import Region, region, regions

_HOME = {
    "Region": "records",
    "demo_folder": "catalogue",
    "ensure": "catalogue",
    "is_made": "catalogue",
    "region": "records",
    "regions": "records",
    "write_benchmark_scene": "benchmark",
}

__all__ = ["Region", "demo_folder", "ensure", "is_made", "region", "regions", "write_benchmark_scene"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: importing this room costs nothing."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
