"""One region's scenes: what each sensor saw before and during the flood, as files and items."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.simulate.cog import write_cog
from geoseg.simulate.grid import Codes, Floats, MetricGrid, block_mean
from geoseg.simulate.items import Asset, Item, SimulatedItem
from geoseg.simulate.landscape import FLOOD, Landscape
from geoseg.simulate.noise import fractal, stream
from geoseg.simulate.optical import GroundReflectance, Sky, sky, through_camera, through_sky
from geoseg.simulate.radar import NODATA, backscatter, measured
from geoseg.simulate.records import Region, surfaces
from geoseg.simulate.surface import INSTANTS, Instant, Surface, surfaces_at, truth

S2_BANDS = {
    "B01": ("coastal", 60),
    "B02": ("blue", 10),
    "B03": ("green", 10),
    "B04": ("red", 10),
    "B05": ("rededge1", 20),
    "B06": ("rededge2", 20),
    "B07": ("rededge3", 20),
    "B08": ("nir", 10),
    "B8A": ("nir08", 20),
    "B09": ("nir09", 60),
    "B11": ("swir16", 20),
    "B12": ("swir22", 20),
}
"""Asset of the real collection: our band name, and its pixel in metres."""
CLASSIFIED = ("red", "green", "nir", "swir16")
"""Bands that the scene classification is made of."""
S2_OFFSET = 1000
"""Added to the numbers since processing baseline 04.00."""
PLANETSCOPE_BANDS = ("blue", "green", "red", "nir")
UDM2_BANDS = ("clear", "snow", "shadow", "haze_light", "haze_heavy", "cloud", "confidence", "unusable")
AERIAL_BANDS = ("red", "green", "blue")
PLANETSCOPE_PX, AERIAL_PX = 801, 900
PLANETSCOPE_DRIFT_M = -700.0
"""Half an hour earlier the clouds were elsewhere."""
FINER = 2
"""The 10 m images are means over 5 m pixels: edges are mixed as real ones are."""
SCENES = 8
"""Items of one region."""
TRUTH = {"truth": "what stood under water: 0 dry, 1 flood, 2 water that was there before"}


@dataclass(frozen=True)
class Scenes:
    """Writes the scenes of one landscape.

    Attributes:
        name: Name of the region.
        landscape: The landscape.
        folder: Where the files go.
    """

    name: str
    landscape: Landscape
    folder: Path

    def write(self) -> Iterator[Item]:
        """Write every scene, and yield its item."""
        self._write_truth("10m", self._surfaces, FINER)
        for moment in INSTANTS:
            yield self._sentinel1(moment)
        for moment in INSTANTS:
            yield self._sentinel2(moment)
        yield self._reference_water()
        yield from self._planetscope()
        yield self._aerial()

    @property
    def region(self) -> Region:
        """What the landscape was made from."""
        return self.landscape.region

    @cached_property
    def _surfaces(self) -> dict[Instant, Surface]:
        fine = self.landscape.grid.at(self.landscape.grid.pixel_m / FINER)
        return surfaces_at(self.landscape, fine)

    # -- radar ------------------------------------------------------------------------------------------------------

    def _sentinel1(self, moment: Instant) -> Item:
        taken = self._time(moment, time(5, 41, 12) if self.region.radar.orbit == "descending" else time(16, 52, 31))
        name = f"SIMULATED_{self.name.upper()}_S1A_IW_GRDH_1SDV_{taken:%Y%m%dT%H%M%S}_RTC"
        images = measured(backscatter(self._surfaces[moment], self.region, FINER), self.region, moment)
        assets = {}
        for polarisation, image in images.items():
            href = f"s1_{moment}_{polarisation}.tif"
            write_cog(self.folder / href, image, self.landscape.grid, nodata=NODATA, names=[polarisation])
            raster = {"nodata": NODATA, "data_type": "float32"}
            title = f"{polarisation.upper()}: terrain-corrected gamma naught, linear power"
            assets[polarisation] = Asset(href, title, "data", self.landscape.grid, raster=raster)
        radar = self.region.radar
        return self._item(
            name,
            taken,
            self.landscape.grid,
            assets | self._truth_asset(moment, "10m"),
            {
                "geoseg:sensor": "s1",
                "geoseg:collection": "planetary-computer/sentinel-1-rtc",
                "platform": "SENTINEL-1A",
                "constellation": "Sentinel-1",
                "sar:instrument_mode": "IW",
                "sar:polarizations": ["VV", "VH"],
                "sar:product_type": "GRD",
                "sat:orbit_state": radar.orbit,
                "sat:relative_orbit": radar.relative_orbit,
            },
        )

    # -- Sentinel-2 -------------------------------------------------------------------------------------------------

    def _sentinel2(self, moment: Instant) -> Item:
        taken = self._time(moment, time(10, 20, 31))
        name = f"SIMULATED_{self.name.upper()}_S2A_MSIL2A_{taken:%Y%m%dT%H%M%S}_N0510_T{self.region.mgrs}"
        grid = self.landscape.grid
        above = sky(self.region, grid, moment)
        camera = Camera(
            GroundReflectance(self._surfaces[moment], self.region, FINER), above, self.region.seed, f"s2 {moment}"
        )
        assets, seen = {}, dict[str, Floats]()
        for key, (band, pixel_m) in S2_BANDS.items():
            image = camera.reflectance(band)
            if band in CLASSIFIED:
                seen[band] = image
            target = grid.at(pixel_m)
            href = f"s2_{moment}_{key}.tif"
            write_cog(self.folder / href, s2_numbers(block_mean(image, pixel_m // 10)), target, nodata=0, names=[band])
            assets[key] = Asset(href, f"{key} {band}, {pixel_m} m", "data", target)
        classes = scene_classes(above, seen)
        scl = f"s2_{moment}_SCL.tif"
        write_cog(self.folder / scl, classes, grid.at(20), nodata=0, names=["SCL"])
        assets["SCL"] = Asset(scl, "SCL scene classification, 20 m", "data", grid.at(20))
        return self._item(
            name,
            taken,
            grid,
            assets | self._truth_asset(moment, "10m"),
            {
                "geoseg:sensor": "s2",
                "geoseg:collection": "planetary-computer/sentinel-2-l2a",
                "platform": "Sentinel-2A",
                "constellation": "Sentinel 2",
                "eo:cloud_cover": round(100 * float(np.isin(classes, (8, 9)).mean()), 3),
                "s2:processing_baseline": "05.10",
                "s2:mgrs_tile": self.region.mgrs,
                "s2:mean_solar_zenith": self.region.sun.zenith_deg,
                "s2:mean_solar_azimuth": self.region.sun.azimuth_deg,
            },
        )

    # -- reference water ----------------------------------------------------------------------------------------------

    def _reference_water(self) -> Item:
        """How often water was seen there in other years, per cent, on 30 m pixels."""
        before = self._surfaces["before"]
        grid = self.landscape.grid.at(30)
        factor = 3 * FINER
        wet = block_mean((before.water > 0).astype(np.float32), factor)
        rice = block_mean((before.water == surfaces().water_code("paddy")).astype(np.float32), factor)
        wobble = fractal(grid.shape, stream(self.region.seed, "occurrence"), slope=2, coarsest_px=20)
        # rice stands under water for some weeks of a year, rivers and ponds nearly always
        occurrence = 97 * (wet - rice) + 22 * rice + 3 * wobble * (wet > 0)
        numbers = np.clip(np.round(occurrence), 0, 100).astype(np.uint8)
        write_cog(self.folder / "reference_water.tif", numbers, grid, nodata=255, names=["occurrence"])
        title = "Share of other years' observations with water, per cent"
        return self._item(
            f"SIMULATED_{self.name.upper()}_REFERENCE_WATER",
            datetime.combine(date(self.region.before_day.year - 1, 12, 31), time(), tzinfo=UTC),
            grid,
            {"occurrence": Asset("reference_water.tif", title, "data", grid)},
            {"geoseg:collection": "demo/reference-water"},
        )

    # -- PlanetScope and aerial imagery -------------------------------------------------------------------------------

    def _planetscope(self) -> Iterator[Item]:
        grid = self._half_flooded(PLANETSCOPE_PX, 3.0)
        views = surfaces_at(self.landscape, grid)
        self._write_truth("3m", views, 1)
        for moment in INSTANTS:
            yield self._planetscope_scene(moment, views[moment])

    def _planetscope_scene(self, moment: Instant, seen: Surface) -> Item:
        taken, grid = self._time(moment, time(9, 48, 5)), seen.land.grid
        above = sky(self.region, grid, moment, drift_m=PLANETSCOPE_DRIFT_M)
        camera = Camera(
            GroundReflectance(seen, self.region, 1), above, self.region.seed, f"planetscope {moment}", noise=0.004
        )
        image = np.stack([camera.reflectance(band) for band in PLANETSCOPE_BANDS])
        numbers = np.clip(np.round(image * 1e4), 1, 65535).astype(np.uint16)
        data, udm = f"planetscope_{moment}_sr.tif", f"planetscope_{moment}_udm2.tif"
        write_cog(self.folder / data, numbers, grid, nodata=0, names=PLANETSCOPE_BANDS)
        write_cog(self.folder / udm, _udm2(above), grid, names=UDM2_BANDS)
        raster = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": 0.0}
        assets = {
            "data": Asset(data, "Surface reflectance, 4 bands", "data", grid, PLANETSCOPE_BANDS, raster),
            "udm": Asset(udm, "Usable data mask, UDM2", "mask", grid),
        }
        return self._item(
            f"SIMULATED_{self.name.upper()}_PSScene_{taken:%Y%m%d_%H%M%S}",
            taken,
            grid,
            assets | self._truth_asset(moment, "3m"),
            {
                "geoseg:sensor": "planetscope",
                "geoseg:collection": "local/planetscope",
                "geoseg:units": "reflectance",
                "geoseg:reflectance": "surface",
                "platform": "PlanetScope",
                "eo:cloud_cover": round(100 * float((above.opacity > 0.25).mean()), 3),
            },
        )

    def _aerial(self) -> Item:
        """1 m true colour of the flood beside the largest settlement, and the outlines of its buildings."""
        grid, taken = self._by_town(AERIAL_PX, 1.0), self._time("flood", time(11, 5, 0))
        views = surfaces_at(self.landscape, grid)
        self._write_truth("1m", views, 1)
        camera = Camera(
            GroundReflectance(views["flood"], self.region, 1), None, self.region.seed, "aerial", noise=0.003
        )
        image = np.stack([camera.reflectance(band) for band in AERIAL_BANDS])
        # a camera's curve: 0.35 is white, and shades of dark are spread
        numbers = np.clip(1 + 254 * np.power(np.clip(image / 0.35, 0, 1), 1 / 1.8), 1, 255).astype(np.uint8)
        write_cog(self.folder / "aerial_flood.tif", numbers, grid, names=AERIAL_BANDS)
        self._write_buildings(grid)
        assets = {
            "data": Asset(
                "aerial_flood.tif", "Aerial image, 8 bit", "data", grid, AERIAL_BANDS, {"data_type": "uint8"}
            ),
            "buildings": Asset("buildings.geojson", "Outlines of buildings", "metadata", media="application/geo+json"),
        }
        return self._item(
            f"SIMULATED_{self.name.upper()}_AERIAL_{taken:%Y%m%d}",
            taken,
            grid,
            assets | self._truth_asset("flood", "1m"),
            {
                "geoseg:sensor": "aerial",
                "geoseg:collection": "local/aerial",
                "geoseg:units": "uint8",
                "platform": "aircraft",
            },
        )

    def _write_buildings(self, grid: MetricGrid) -> None:
        from pyproj import Transformer

        home, built = self.landscape.grid, self.landscape.houses
        corners = built.corners * [1, -1] + [home.left, home.top]
        left, bottom, right, top = grid.bounds
        inside = ((corners > [left, bottom]) & (corners < [right, top])).all(axis=(1, 2))
        to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        features = []
        for house, height in zip(corners[inside], built.height_m[inside], strict=True):
            lon, lat = to_degrees.transform(house[:, 0], house[:, 1])
            ring = [[round(x, 7), round(y, 7)] for x, y in zip(lon, lat, strict=True)]
            geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
            properties = {"height_m": round(float(height), 1), "simulated": True}
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
        content = {"type": "FeatureCollection", "name": "buildings (simulated)", "features": features}
        (self.folder / "buildings.geojson").write_text(json.dumps(content) + "\n", encoding="utf-8")

    # -- where and when -----------------------------------------------------------------------------------------------

    def _half_flooded(self, pixels: int, pixel_m: float) -> MetricGrid:
        """The square whose share of flood is nearest to a third, settlement and land beside it."""
        flood = (self.landscape.truth() == FLOOD).astype(np.float32)

        def unlikeness(row: int, col: int, side: int) -> float:
            return abs(float(flood[row : row + side, col : col + side].mean()) - 0.35)

        return self._square(pixels, pixel_m, unlikeness)

    def _by_town(self, pixels: int, pixel_m: float) -> MetricGrid:
        """The square that holds most of both: buildings and flood."""
        flood = (self.landscape.truth() == FLOOD).astype(np.float32)
        home = self.landscape.grid
        places = (self.landscape.houses.corners.mean(axis=1) / home.pixel_m).astype(int)
        houses = np.zeros(home.shape, dtype=np.float32)
        np.add.at(houses, (places[:, 1], places[:, 0]), 1)

        def unlikeness(row: int, col: int, side: int) -> float:
            window = slice(row, row + side), slice(col, col + side)
            return -float(houses[window].mean()) * float(0.02 + min(flood[window].mean(), 0.4))

        return self._square(pixels, pixel_m, unlikeness)

    def _square(self, pixels: int, pixel_m: float, unlikeness: Callable[[int, int, int], float]) -> MetricGrid:
        home = self.landscape.grid
        side = int(np.ceil(pixels * pixel_m / home.pixel_m))
        starts = [(row, col) for row in range(0, home.rows - side, 12) for col in range(0, home.cols - side, 12)]
        row, col = min(starts, key=lambda start: unlikeness(start[0], start[1], side))
        return home.window(row, col, (pixels, pixels), pixel_m)

    def _time(self, moment: Instant, hour: time) -> datetime:
        day = self.region.before_day if moment == "before" else self.region.flood_day
        return datetime.combine(day, hour, tzinfo=UTC)

    # -- items --------------------------------------------------------------------------------------------------------

    def _write_truth(self, name: str, views: dict[Instant, Surface], factor: int) -> None:
        codes: Codes = truth(views, factor)
        grid = views["flood"].land.grid
        write_cog(self.folder / f"truth_{name}.tif", codes, grid.at(grid.pixel_m * factor), names=["truth"])

    def _truth_asset(self, moment: Instant, name: str) -> dict[str, Asset]:
        if moment == "before":
            return {}
        return {key: Asset(f"truth_{name}.tif", title, "labels") for key, title in TRUTH.items()}

    def _item(
        self, name: str, taken: datetime, grid: MetricGrid, assets: dict[str, Asset], properties: dict[str, object]
    ) -> Item:
        facts = {"geoseg:region": self.name, **properties}
        return SimulatedItem(name, self.region.title, taken, grid, assets, facts).record()


@dataclass(frozen=True, slots=True)
class Camera:
    """Looks at a scene through the sky.

    Attributes:
        scene: What the sun shines on.
        above: Clouds; None: flown below them.
        seed: Of the region.
        purpose: Cameras of different purposes differ in their noise.
        noise: Standard deviation at a reflectance of 0.1.
    """

    scene: GroundReflectance
    above: Sky | None
    seed: int
    purpose: str
    noise: float = 0.002

    def reflectance(self, band: str) -> Floats:
        """One band: float32 (rows, cols)."""
        image = self.scene.band(band)
        if self.above is not None:
            image = through_sky(image, self.above, band)
        rng = stream(self.seed, f"noise {self.purpose} {band}")
        return through_camera(image, rng, blur_px=0.45, noise=self.noise)


def scene_classes(above: Sky, seen: Mapping[str, Floats]) -> Codes:
    """Sentinel-2's scene classification, as a processor would see the image: thin cloud and faint shadow escape it.

    Args:
        above: Clouds on 10 m pixels.
        seen: Reflectance of the bands ``CLASSIFIED`` on 10 m pixels.

    Returns:
        uint8 on 20 m pixels: 2 dark, 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9 cloud,
        10 thin cirrus.
    """
    red, green, nir, swir = (block_mean(seen[band], 2) for band in CLASSIFIED)
    opacity, shadow = block_mean(above.opacity, 2), block_mean(above.shadow, 2)
    ndvi, mndwi = (nir - red) / (nir + red + 1e-6), (green - swir) / (green + swir + 1e-6)
    classes = np.where(ndvi > 0.4, 4, np.where(swir > 0.14, 5, 7))
    classes = np.where((nir < 0.06) & (swir < 0.06), 2, classes)
    classes = np.where((mndwi > 0.25) & (nir < 0.13), 6, classes)
    classes = np.where(shadow > 0.30, 3, classes)
    for least, code in ((0.06, 10), (0.25, 8), (0.6, 9)):
        classes = np.where(opacity > least, code, classes)
    return classes.astype(np.uint8)


def s2_numbers(reflectance: Floats) -> NDArray[np.uint16]:
    """Digital numbers of baseline 05.10; 0 is kept for "no data"."""
    numbers: NDArray[np.uint16] = np.clip(np.round(reflectance * 1e4) + S2_OFFSET, 1, 65535).astype(np.uint16)
    return numbers


def _udm2(above: Sky) -> Codes:
    """The eight bands of Planet's UDM2; faint haze and faint shadow pass as clear, as they do there."""
    cloud, haze = above.opacity > 0.45, (above.opacity > 0.15) & (above.opacity <= 0.45)
    shadow = (above.shadow > 0.35) & ~cloud & ~haze
    clear = ~(cloud | haze | shadow)
    none = np.zeros_like(clear)
    confidence = np.where(clear, 92, 75)
    layers = (clear, none, shadow, haze, none, cloud, confidence, none)
    return np.stack([np.asarray(layer, dtype=np.uint8) for layer in layers])
