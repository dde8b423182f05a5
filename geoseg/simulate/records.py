"""What the simulated world is made of, and which regions there are: typed records of ``data_catalog/simulation``."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Literal

from pydantic import Field, model_validator

from geoseg.catalog.records import Record, facts_folder, load_folder, load_record, pick

Share = float
"""A share 0..1."""


class Gain(Record):
    """Decibels gained by double bounce."""

    vv: float = 0.0
    vh: float = 0.0


class Cover(Record):
    """A land cover class.

    Attributes:
        reflectance: Surface reflectance per band of ``Surfaces.bands``, 0..1.
        vv_db: Mean gamma0 in VV, dB.
        vh_db: Mean gamma0 in VH, dB.
        texture: Standard deviation of its brightness, as a share of it.
        height_m: A deeper flood drowns it.
        closure: Share of the ground that its canopy hides from above.
        green: Its brightness follows vigour.
        flooded_gain_db: Double bounce while it stands in water.
    """

    reflectance: tuple[float, ...]
    vv_db: float
    vh_db: float
    texture: float = Field(ge=0, lt=0.5)
    height_m: float = 0.0
    closure: Share = Field(default=0.0, ge=0, le=1)
    green: bool = False
    flooded_gain_db: Gain = Gain()


class Water(Record):
    """A kind of open water, calm.

    Attributes:
        reflectance: Of deep water, per band of ``Surfaces.bands``.
        vv_db: Mean gamma0 in VV without wind, dB.
        vh_db: Mean gamma0 in VH without wind, dB.
        clarity_m: Depth at which suspended matter alone dims the bottom to 1/e.
    """

    reflectance: tuple[float, ...]
    vv_db: float
    vh_db: float
    clarity_m: float = Field(gt=0)


class Surfaces(Record):
    """Spectra and backscatter of everything there is; every spectrum has one value per band of ``bands``."""

    bands: tuple[str, ...]
    absorption_per_m: tuple[float, ...]
    vigour: tuple[float, ...]
    cloud: tuple[float, ...]
    skylight: tuple[float, ...]
    covers: dict[str, Cover]
    waters: dict[str, Water]

    @model_validator(mode="after")
    def _every_spectrum_fits(self) -> Surfaces:
        spectra = {name: cover.reflectance for name, cover in self.covers.items()}
        spectra |= {name: water.reflectance for name, water in self.waters.items()}
        spectra |= {name: getattr(self, name) for name in ("absorption_per_m", "vigour", "cloud", "skylight")}
        for name, spectrum in spectra.items():
            if len(spectrum) != len(self.bands):
                raise ValueError(f"{name} has {len(spectrum)} values for {len(self.bands)} bands")
        return self

    def cover_code(self, name: str) -> int:
        """Code of a cover in rasters: its place in ``covers``, from 0."""
        return list(self.covers).index(name)

    def water_code(self, name: str) -> int:
        """Code of a kind of water in rasters: its place in ``waters``, from 1; 0 is no water."""
        return list(self.waters).index(name) + 1


class River(Record):
    """The main river: a sine-generated meander of constant slope."""

    half_width_m: float = Field(gt=0)
    wavelength_m: float = Field(gt=0)
    swing_deg: float = Field(ge=0, le=110)
    slope_m_per_km: float = Field(gt=0)
    depth_m: float = Field(gt=0)
    bank_m: float = Field(gt=0)
    tributaries: int = Field(ge=0)
    flow: Literal["east", "south"]


class Terrain(Record):
    """The valley: a rough plain of half-width ``plain_m``, then hills that rise by ``relief_m``."""

    plain_m: float = Field(gt=0)
    relief_m: float = Field(ge=0)
    rough_m: float = Field(ge=0)


class Sea(Record):
    """A sea in the east: its shore as a share of the width, the slope of land and bottom, the height of tide flats."""

    shore: Share
    slope_m_per_km: float
    tide_flat_m: float


class Fields(Record):
    """Farmland: its share of the plain, the size of a parcel, what grows there."""

    share: Share
    size_m: tuple[float, float]
    crops: dict[str, float]
    road: str
    standing_share: Share = 0.0
    """Share of paddies that stand under water before any flood."""


class Trees(Record):
    """Woods: their cover and share, and the share of the river banks that they line."""

    cover: str
    share: Share
    riparian: Share


class Settlements(Record):
    """Villages, or a town (the first) and villages."""

    count: int
    radius_m: float
    spacing_m: float
    storey_m: float
    roofs: dict[str, float]
    street: str


class Clouds(Record):
    """Cloud share of each Sentinel-2 scene, per cent, and the height of the clouds."""

    before_pct: float = Field(ge=0, le=60)
    flood_pct: float = Field(ge=0, le=60)
    height_m: float


class Sun(Record):
    """Where the sun stands at the optical overpass; azimuth clockwise from north."""

    zenith_deg: float = Field(gt=0, lt=80)
    azimuth_deg: float


class RadarLook(Record):
    """How the radar looks: incidence, direction it looks into (clockwise from north), wind on open water in dB."""

    incidence_deg: float = Field(gt=25, lt=50)
    look_deg: float
    wind_db: float
    orbit: Literal["ascending", "descending"]
    relative_orbit: int


class Region(Record):
    """One simulated place and its flood."""

    title: str
    place: str
    crs: str
    centre: tuple[float, float]
    rows: int = Field(gt=0, multiple_of=6)
    cols: int = Field(gt=0, multiple_of=6)
    seed: int
    before_day: date
    flood_day: date
    river: River
    terrain: Terrain
    stage_m: float = Field(gt=0)
    dike: Literal["none", "whole", "breached"] = "none"
    sea: Sea | None = None
    ground: dict[str, float]
    bank_cover: str
    fields: Fields
    trees: Trees
    settlements: Settlements
    ponds: int
    clouds: Clouds
    sun: Sun
    radar: RadarLook
    swath_cut: Share = 0.0
    """Share of the top edge that the radar swath's corner leaves without data."""
    mgrs: str


@cache
def surfaces() -> Surfaces:
    """The spectra and backscatter of ``data_catalog/simulation/surfaces.yaml``."""
    return load_record(facts_folder("data_catalog") / "simulation" / "surfaces.yaml", Surfaces)


@cache
def regions() -> dict[str, Region]:
    """Every simulated region by name."""
    return load_folder("simulation/regions", Region)


def region(name: str) -> Region:
    """The region of that name.

    Raises:
        UnknownNameError: No such region; the nearest names are offered.
    """
    return pick("simulated region", name, regions())
