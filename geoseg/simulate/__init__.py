"""A simulated river flood, seen by simulated sensors: the embedded default, and the ground truth of tests.

::

    facts       spectra, backscatter, regions                  (data_catalog/simulation)
    canvas      a north-up grid, and reading a coarse field on a finer one
    noise       fractal fields and hashed lattices: one seed, one world
    terrain     a meandering river carved into a valley; levels along it
    flood       water rises from the river and fills what it can reach
    settle      blocks, roads, parcels, villages
    world       all of the above for one region
    surface     the world at one instant, at any resolution: cover, depth, kind of water
    radar       surface -> gamma0 as Sentinel-1 RTC
    optical     surface -> reflectance, clouds, numbers as Sentinel-2, PlanetScope and aerial cameras hold them
    items       STAC items in the layouts of the real collections
    catalogue   the folder that holds them all, made region by region
    benchmark   one big scene, written tile by tile

Everything is a function of a region's seed: the same version of geoseg writes the same bytes. Nothing here was observed, and every item,
file and title says so.
"""
