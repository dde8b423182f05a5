"""One scene, one rectangle: ``odc.stac.load`` behind our own keywords, with a driver that reads exactly.

odc-stac's own reader resamples with GDAL's approximate transformer and writes signed addresses to its log; it knows
one nodata value and no masks. Its driver interface lets us keep its loading and put our reading (``raster.py``) in.
Scenes are loaded one at a time: their radiometry differs, one may be dead, and odc-stac's grouping has lost slices of
PlanetScope items (odc-stac issue 235).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import odc.stac
import pystac
from numpy.typing import NDArray
from odc.loader.types import RasterBandMetadata, RasterGroupMetadata

from geoseg.readers.access import reaching, redact, signer
from geoseg.readers.footprint import check_place, extent_deg
from geoseg.readers.raster import GridWindow, file_grid, opened, read_band, read_mask
from geoseg.readers.recipe import BandRecipe, MaskRecipe, SceneRecipe

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from odc.loader.types import RasterLoadParams, RasterSource

Settings = tuple[tuple[str, str], ...]
Layer = BandRecipe | MaskRecipe
Layers = Mapping[str, Layer]
Roi = tuple[slice, slice]
EMPTY: Roi = (slice(0, 0), slice(0, 0))


def load_bands(recipe: SceneRecipe, sight: GridWindow, *, settings: Settings) -> list[NDArray[np.float32]]:
    """The bands of a scene in a rectangle of the output grid, in physical units.

    Returns:
        One float32 (y, x) per band of ``recipe``, NaN where not observed.

    Raises:
        SceneUnreadableError: A file is dead, truncated or absurd.
        MissingBandError: A file has fewer bands than its item says.
    """
    return _loaded(recipe, {band.name: band for band in recipe.bands}, sight, settings)


def load_seen(recipe: SceneRecipe, sight: GridWindow, *, settings: Settings) -> NDArray[np.uint8] | None:
    """Which pixels the scene's masks leave.

    Returns:
        uint8 (y, x), 1 seen, 0 hidden; None where the scene has no mask.

    Raises:
        SceneUnreadableError: A mask's file is dead, truncated or absurd.
    """
    if not recipe.masks:
        return None
    masks = _loaded(recipe, {f"mask-{number}": mask for number, mask in enumerate(recipe.masks)}, sight, settings)
    return masks[0] if len(masks) == 1 else np.minimum.reduce(masks)


def _loaded(recipe: SceneRecipe, layers: Layers, sight: GridWindow, settings: Settings) -> list[NDArray[Any]]:
    loaded = odc.stac.load(
        [_lean_item(recipe, layers, sight)],
        bands=list(layers),
        geobox=sight.geobox,
        chunks=None,
        patch_url=signer(recipe),
        fail_on_error=True,
        driver=ExactDriver(recipe, layers, sight, settings),
    )
    return [loaded[name].to_numpy()[0] for name in layers]


def _lean_item(recipe: SceneRecipe, layers: Layers, sight: GridWindow) -> pystac.Item:
    """The scene as an item of one asset per layer: all that odc-stac has to know.

    Its outline is the rectangle: whether the scene reaches that far has been decided before, with a margin, and where
    it ends the files themselves say better than the item's outline.
    """
    west, south, east, north = extent_deg(sight.grid, sight.rows, sight.cols)
    east += 360 if east < west else 0
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    item = pystac.Item(recipe.id, {"type": "Polygon", "coordinates": [ring]}, None, recipe.time, {})
    for name, layer in layers.items():
        item.add_asset(name, pystac.Asset(layer.href, media_type=pystac.MediaType.COG, roles=["data"]))
    return item


def _metadata(layer: Layer) -> RasterBandMetadata:
    """What odc-stac fills an array with before it is read: not observed, hidden."""
    return (
        RasterBandMetadata("float32", float("nan")) if isinstance(layer, BandRecipe) else RasterBandMetadata("uint8", 0)
    )


class ExactDriver:
    """odc.loader's driver interface over ``raster.py``, for one scene and one rectangle."""

    dask_reader = None
    aux_reader = None

    def __init__(self, recipe: SceneRecipe, layers: Layers, sight: GridWindow, settings: Settings) -> None:
        self.recipe, self.layers, self.sight, self.settings = recipe, layers, sight, settings

    @property
    def md_parser(self) -> ExactDriver:
        """The driver reads its own items."""
        return self

    def extract(self, md: pystac.Item) -> RasterGroupMetadata:
        """One band per asset."""
        return RasterGroupMetadata(bands={(name, 1): _metadata(self.layers[name]) for name in md.assets})

    def driver_data(self, md: pystac.Item, band_key: tuple[str, int]) -> Layer:
        """The recipe of a band, which comes back to ``open``."""
        return self.layers[band_key[0]]

    def new_load(self, geobox: GeoBox, *, chunks: dict[str, int] | None = None) -> None:
        """Nothing is shared between reads but open files, which ``raster.py`` keeps per thread."""

    def finalise_load(self, load_state: None) -> None:
        """Nothing to end."""

    def capture_env(self) -> dict[str, Any]:
        """The settings were captured when the Cube was made."""
        return {}

    @contextmanager
    def restore_env(self, env: dict[str, Any], load_state: None) -> Iterator[None]:
        """GDAL as it was set where the Cube was made, with this process's own credentials."""
        with reaching(self.recipe, self.settings):
            yield

    def open(self, src: RasterSource, ctx: None) -> ExactReader:
        """A reader of one layer."""
        return ExactReader(src.uri, src.driver_data, self.sight, self.recipe.footprint)


class ExactReader:
    """Reads one layer of one scene."""

    def __init__(self, path: str, layer: Layer, sight: GridWindow, footprint: str) -> None:
        self.path, self.layer, self.sight, self.footprint = path, layer, sight, footprint

    def read(
        self,
        cfg: RasterLoadParams,
        dst_geobox: GeoBox,
        *,
        dst: NDArray[Any] | None = None,
        selection: object = None,
    ) -> tuple[Roi, NDArray[Any]]:
        """The layer in ``dst``, or in an array of its own."""
        if isinstance(self.layer, BandRecipe):
            pixels: NDArray[Any] | None = read_band(self.path, self.layer, self.sight)
        else:
            pixels = read_mask(self.path, self.layer, self.sight)
        if pixels is None:
            name = redact(self.layer.href).rsplit("/", 1)[-1]
            check_place(self.footprint, file_grid(opened(self.path)), name)
            return EMPTY, (dst[EMPTY] if dst is not None else np.empty((0, 0), cfg.dtype))
        if dst is None:
            return (slice(0, pixels.shape[0]), slice(0, pixels.shape[1])), pixels
        np.copyto(dst, pixels)
        return (slice(0, pixels.shape[0]), slice(0, pixels.shape[1])), dst
