"""A product in STAC's words: the item that docs/architecture.md promises to the readers."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from rasterio.crs import CRS

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import NotIngestibleError
from geoseg.sources.local.footprint import footprint
from geoseg.sources.local.product import BandOfFile, FileOfProduct, LocalProduct
from geoseg.sources.local.raster import RasterFile
from geoseg.sources.local.valid_fraction import NOTHING, observed_pct
from geoseg.sources.search.scene_facts import LEVELS

STAC_VERSION = "1.1.0"
EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
]
MEDIA = {
    "GTiff": "image/tiff; application=geotiff",
    "JP2OpenJPEG": "image/jp2",
    "PNG": "image/png",
    "JPEG": "image/jpeg",
}

OBSERVED = "geoseg:observed_pct"
"""Property: share of pixels with a measurement, per cent, estimated from samples; an exact 0 means none at all."""

Item = dict[str, Any]
"""A STAC item as plain JSON values; hrefs are absolute paths until the store writes it."""


def collection_id(sensor: str) -> str:
    """The STAC collection of a sensor's items; a slash would break the addresses of STAC APIs."""
    return f"local-{sensor}"


def item_of(product: LocalProduct) -> Item:
    """The item of a product.

    Raises:
        NotIngestibleError: Its place on Earth cannot be told.
    """
    finest = min((file for file in product.files if file.role == "data"), key=_pixel_area)
    grid = finest.raster
    try:
        place = footprint(grid.crs, grid.transform, grid.shape)
    except NotIngestibleError as error:
        raise NotIngestibleError(f"{grid.path}: {error}") from None
    properties = {
        "datetime": rfc3339(product.time),
        "geoseg:sensor": product.sensor,
        "geoseg:collection": f"local/{product.sensor}",
        "geoseg:units": product.units,
        **_grid(grid),
        **product.extra,
    }
    if product.platform:
        properties["platform"] = product.platform
    if product.cloud_pct is not None:
        properties["eo:cloud_cover"] = product.cloud_pct
    if product.level:
        properties["geoseg:level"] = product.level
    if sensor_record(product.sensor).unit == "reflectance":
        properties["geoseg:reflectance"] = LEVELS.get(product.level.lower(), "unknown")
    observed = observed_pct(finest, zero_is_fill=sensor_record(product.sensor).unit != "unitless")
    if observed is not None:
        properties[OBSERVED] = observed
    notes = (*product.notes, *((NOTHING,) if observed == 0 else ()))
    if notes:
        properties["geoseg:notes"] = list(notes)
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": EXTENSIONS,
        "id": product.id,
        "collection": collection_id(product.sensor),
        "bbox": list(place.bbox),
        "geometry": place.geometry,
        "properties": properties,
        "links": [],
        "assets": {file.name: _asset(file, product.sensor) for file in product.files},
    }


def level_notes(properties: dict[str, Any]) -> tuple[str, ...]:
    """Ask for the level of the reflectance where an item's properties do not state it.

    Not stored with the item: a map warns of it by itself, where its model depends on it.
    """
    if properties.get("geoseg:reflectance") != "unknown":
        return ()
    return (
        "not stated whether its reflectance is of the surface or of the top of the atmosphere: add it again with "
        "--level surface or --level toa",
    )


def rfc3339(time: datetime) -> str:
    """UTC, as STAC writes it."""
    return time.isoformat().replace("+00:00", "Z")


def _pixel_area(file: FileOfProduct) -> float:
    return abs(file.raster.transform.determinant)


def _grid(raster: RasterFile) -> dict[str, Any]:
    code = _code(raster.crs)
    crs = {"proj:code": code} if code else {"proj:code": None, "proj:wkt2": raster.crs.to_wkt(version="WKT2_2019")}
    return {**crs, "proj:shape": list(raster.shape), "proj:transform": list(raster.transform)[:6]}


def _code(crs: CRS) -> str | None:
    """The EPSG code, only where it means exactly this CRS: a near match would shift the map without a word."""
    number = crs.to_epsg()
    return f"EPSG:{number}" if number is not None and CRS.from_epsg(number) == crs else None


def _asset(file: FileOfProduct, sensor: str) -> dict[str, Any]:
    asset = {
        "href": str(file.raster.path),
        "type": MEDIA[file.raster.driver],
        "roles": [file.role],
        **_grid(file.raster),
        "eo:bands": [_eo_band(band, sensor) for band in file.bands],
        "raster:bands": [_raster_band(band) for band in file.bands],
    }
    if file.raster.mask != "none":
        asset["geoseg:mask"] = file.raster.mask
    return asset


def _eo_band(band: BandOfFile, sensor: str) -> dict[str, Any]:
    record = sensor_record(sensor).bands.get(band.name)
    wavelength = record.wavelength_um if record else None
    return {"name": band.name} if wavelength is None else {"name": band.name, "center_wavelength": wavelength}


def _raster_band(band: BandOfFile) -> dict[str, Any]:
    words: dict[str, Any] = {"data_type": band.dtype}
    if band.nodata is not None:
        words["nodata"] = _number(band.nodata)
    if band.conversion is not None:
        words |= {"scale": band.conversion.scale, "offset": band.conversion.offset, "unit": band.conversion.unit}
    return words


def _number(value: float) -> float | int | str:
    """A number as JSON can hold it; STAC writes not-a-number and the infinities as words."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return int(value) if float(value).is_integer() else value
