"""A layer as a Cloud Optimized GeoTIFF that QGIS opens with its colours and its names."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from geoseg.core.atomic import atomic_file
from geoseg.core.raster_band import RGB, RasterBand
from geoseg.errors import OutputNotWritableError
from geoseg.inference.layers import ByteLayer

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

TILE_PX = 512
CACHE_BYTES = 48 << 20
"""GDAL's default is a share of the machine's memory; a strip of tiles is all that a copy from top to bottom needs."""


def write_cog(
    layer: ByteLayer, path: Path, geobox: GeoBox, band: RasterBand, tags: Mapping[str, str] | None = None
) -> tuple[Path, ...]:
    """Write a layer as a COG: 512 px tiles, DEFLATE, nearest-neighbour overviews, nodata as a value, no mask band.

    Overviews are nearest-neighbour for codes and probabilities alike, so that at every zoom level the mask is still
    the thresholded probability and 255 still exactly what was not observed. Category names have no place inside a
    TIFF; GDAL and QGIS read them from ``NAME.tif.aux.xml`` beside it. That sidecar is moved into place first:
    a run killed between the two moves leaves names without a raster, never a raster without its names.

    Args:
        layer: uint8 (y, x) of the grid's shape.
        path: The GeoTIFF.
        geobox: Its grid.
        band: What it says about its band.
        tags: Metadata of the file, by name.

    Returns:
        The files written.

    Raises:
        OutputNotWritableError: Its place cannot be written, or the disk is full.
    """
    if layer.shape != geobox.shape:
        raise ValueError(f"a layer {layer.shape} is not on a grid {tuple(geobox.shape)}")
    beside = _sidecars(path, band)
    with _gdal_writing(path), atomic_file(path) as part:
        _copy_to_cog(layer, part, geobox, band, tags or {})
        for sidecar, content in beside.items():
            if content is None:
                sidecar.unlink(missing_ok=True)
                continue
            with atomic_file(sidecar) as unfinished:
                unfinished.write_bytes(content)
    return path, *(sidecar for sidecar, content in beside.items() if content is not None)


def write_cogs(
    files: Mapping[Path, tuple[ByteLayer, RasterBand]], geobox: GeoBox, tags: Mapping[str, str] | None = None
) -> dict[Path, tuple[Path, ...]]:
    """Write several layers of one grid side by side, each as :func:`write_cog` does.

    Args:
        files: Layer and description of each GeoTIFF.
        geobox: Their grid.
        tags: Metadata of every file, by name.

    Returns:
        The files written for each.

    Raises:
        OutputNotWritableError: Their place cannot be written, or the disk is full.
    """
    with small_gdal_cache(), ThreadPoolExecutor(len(files)) as pool:
        jobs = {path: pool.submit(write_cog, layer, path, geobox, band, tags) for path, (layer, band) in files.items()}
        return {path: job.result() for path, job in jobs.items()}


def _sidecars(path: Path, band: RasterBand) -> dict[Path, bytes | None]:
    """What lies beside a raster: names of its codes for GDAL, and a style for QGIS; None where there is none."""
    names, style = path.with_name(f"{path.name}.aux.xml"), path.with_suffix(".qml")
    categories, colours = band.categories, band.colours
    return {
        names: _xml(_pam(categories)) if categories else None,
        style: paletted_style(colours, categories or {}, band.nodata) if colours else None,
    }


def _copy_to_cog(layer: ByteLayer, part: Path, geobox: GeoBox, band: RasterBand, tags: Mapping[str, str]) -> None:
    """Let GDAL stream the raw file into a COG, by way of a VRT that describes it."""
    import rasterio
    from rasterio.shutil import copy

    if not layer.is_whole:  # GDAL would take the missing rows for zeros, which say dry
        raise ValueError(f"{layer.rows} of the {layer.shape[0]} rows of {layer.path.name} have been written")
    vrt = _vrt_of(layer)
    smaller: list[ByteLayer] = []
    try:
        smaller.extend(_overviews(layer))
        vrt.write_bytes(_xml(_vrt(layer, smaller, geobox, band, tags)))
        with rasterio.Env(GDAL_PAM_ENABLED="NO"):  # names are ours to write
            copy(
                str(vrt),
                str(part),
                driver="COG",
                BLOCKSIZE=TILE_PX,
                COMPRESS="DEFLATE",
                # neighbours' differences: a fifth smaller for probabilities, nothing for codes; lossless either way
                PREDICTOR="NO" if band.colours else "YES",
                LEVEL=1,  # a fifth larger than the default, in less than half the time
                NUM_THREADS="ALL_CPUS",
                BIGTIFF="IF_SAFER",
            )
            _check_end(part, layer)
    finally:
        vrt.unlink(missing_ok=True)
        for each in smaller:
            _vrt_of(each).unlink(missing_ok=True)
            each.path.unlink(missing_ok=True)
        part.with_name(f"{part.name}.ovr.tmp").unlink(missing_ok=True)


def _overviews(layer: ByteLayer) -> Iterator[ByteLayer]:
    """The layer at half its size, at a quarter, down to one tile: every other pixel of every other row.

    GDAL would make the same, compress it aside, and decompress it again to copy it: twice the time of all the rest.
    """
    while max(layer.shape) > TILE_PX:
        rows, columns = (-(-size // 2) for size in layer.shape)
        stem = layer.path.name.partition(".")[0]
        half = ByteLayer(layer.path.with_name(f"{stem}.{rows}x{columns}.raw"), (rows, columns))
        yield half  # before it is written, so that it is cleared away also when the disk is full
        with half.path.open("wb") as file:
            for _, block in layer.blocks():  # an even number of rows
                file.write(block[::2, ::2].tobytes())
        _vrt_of(half).write_bytes(_xml(_raw_vrt(half)))
        layer = half


def _vrt_of(layer: ByteLayer) -> Path:
    return layer.path.with_name(f"{layer.path.name}.vrt")


def _raw_vrt(layer: ByteLayer) -> ET.Element:
    """A VRT that shows a raw file, and nothing else about it."""
    rows, columns = layer.shape
    vrt = ET.Element("VRTDataset", rasterXSize=str(columns), rasterYSize=str(rows))
    _say_where(ET.SubElement(vrt, "VRTRasterBand", dataType="Byte", band="1", subClass="VRTRawRasterBand"), layer)
    return vrt


def _say_where(raw: ET.Element, layer: ByteLayer) -> None:
    """Tell a band of a VRT which raw file beside it holds its pixels."""
    ET.SubElement(raw, "SourceFilename", relativeToVRT="1").text = layer.path.name
    for name, count in (("ImageOffset", 0), ("PixelOffset", 1), ("LineOffset", layer.shape[1])):
        ET.SubElement(raw, name).text = str(count)


def _check_end(part: Path, layer: ByteLayer) -> None:
    """Read the last tiles back: they lie at the end of the file, and a disk that fills up loses the end first."""
    import rasterio
    from rasterio.windows import Window

    rows, columns = layer.shape
    first = (rows - 1) // TILE_PX * TILE_PX
    with rasterio.open(part) as written:
        end = written.read(1, window=Window(0, first, columns, rows - first))
    if (end != layer.read((slice(first, rows), slice(0, columns)))).any():
        raise OSError(errno.EIO, "the end of the file does not read back as it was written")


@contextmanager
def _gdal_writing(path: Path) -> Iterator[None]:
    """Turn GDAL's failures, which for a full disk are of many kinds, into one that names ``path``."""
    from rasterio._err import CPLE_BaseError  # rasterio.shutil lets it through undressed
    from rasterio.errors import RasterioError

    try:
        yield
    except (CPLE_BaseError, RasterioError) as error:
        raise OutputNotWritableError(
            f"Cannot write {path}: GDAL stopped with {str(error)!r}. Is the disk full? Choose another place."
        ) from None


@contextmanager
def small_gdal_cache() -> Iterator[None]:
    """Set a small block cache for GDAL; the setting outlives an Env and holds for all threads, so it is restored."""
    from rasterio._env import get_gdal_config, set_gdal_config

    before = get_gdal_config("GDAL_CACHEMAX")
    set_gdal_config("GDAL_CACHEMAX", CACHE_BYTES)
    try:
        yield
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)


def _vrt(
    layer: ByteLayer, smaller: Sequence[ByteLayer], geobox: GeoBox, band: RasterBand, tags: Mapping[str, str]
) -> ET.Element:
    """A VRT that reads the raw file beside it, and finds its overviews there."""
    rows, columns = layer.shape
    vrt = ET.Element("VRTDataset", rasterXSize=str(columns), rasterYSize=str(rows))
    ET.SubElement(vrt, "SRS").text = geobox.crs.to_wkt()
    ET.SubElement(vrt, "GeoTransform").text = ", ".join(repr(float(number)) for number in geobox.affine.to_gdal())
    metadata = ET.SubElement(vrt, "Metadata")
    for key, value in sorted(tags.items()):
        ET.SubElement(metadata, "MDI", key=key).text = value
    raw = ET.SubElement(vrt, "VRTRasterBand", dataType="Byte", band="1", subClass="VRTRawRasterBand")
    ET.SubElement(raw, "Description").text = band.description
    ET.SubElement(raw, "NoDataValue").text = str(band.nodata)
    if band.unit:
        ET.SubElement(raw, "UnitType").text = band.unit
    if band.colours:
        ET.SubElement(raw, "ColorInterp").text = "Palette"
        raw.append(_colour_table(band.colours))
    _say_where(raw, layer)
    for each in smaller:
        overview = ET.SubElement(raw, "Overview")
        ET.SubElement(overview, "SourceFilename", relativeToVRT="1").text = _vrt_of(each).name
        ET.SubElement(overview, "SourceBand").text = "1"
    return vrt


def _colour_table(colours: Mapping[int, RGB]) -> ET.Element:
    """A colour table up to the highest code; codes that are not used are black, as TIFF has them."""
    table = ET.Element("ColorTable")
    for code in range(max(colours) + 1):
        red, green, blue = colours.get(code, (0, 0, 0))
        ET.SubElement(table, "Entry", c1=str(red), c2=str(green), c3=str(blue), c4="255")
    return table


def _pam(categories: Mapping[int, str]) -> ET.Element:
    """GDAL's sidecar with the name of every code up to the highest; codes that are not used have none."""
    pam = ET.Element("PAMDataset")
    names = ET.SubElement(ET.SubElement(pam, "PAMRasterBand", band="1"), "CategoryNames")
    for code in range(max(categories) + 1):
        ET.SubElement(names, "Category").text = categories.get(code, "")
    return pam


def _xml(root: ET.Element) -> bytes:
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8"))


def paletted_style(colours: Mapping[int, tuple[int, int, int]], labels: Mapping[int, str], nodata: int) -> bytes:
    """Make the QGIS style of a raster of codes, with a legend of the codes that exist.

    QGIS loads it by itself, because it lies beside the raster under the raster's name.

    A TIFF's colour table always has 256 entries, and QGIS lists every one of them as a class. What is not observed has
    no class: it is drawn transparent, so that whatever lies below shows through and nobody takes it for dry.

    Args:
        colours: Red, green, blue of each code, 0..255.
        labels: Name of each code.
        nodata: The code that is not drawn.
    """
    qgis = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    kind = {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = ET.SubElement(ET.SubElement(qgis, "pipe"), "rasterrenderer", kind)
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for code, (red, green, blue) in sorted(colours.items()):
        if code != nodata:
            colour = f"#{red:02x}{green:02x}{blue:02x}"
            entry = {"value": str(code), "label": labels.get(code, str(code)), "color": colour, "alpha": "255"}
            ET.SubElement(palette, "paletteEntry", entry)
    ET.indent(qgis)
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return (head + ET.tostring(qgis, encoding="unicode") + "\n").encode()
