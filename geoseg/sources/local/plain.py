"""Plain rasters: one file with all bands, or one file a polarisation, and no product metadata beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import RadiometryUnknownError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.naming import ALPHA, acquired, band_names, is_left_out, item_id
from geoseg.sources.local.product import BandOfFile, Conversion, FileOfProduct, Options, Product, Units
from geoseg.sources.local.radiometry import check_pixels, decide
from geoseg.sources.local.raster import RasterFile, look_at, sample
from geoseg.sources.local.validity import nodata_of

POLARISATION = re.compile(r"^(?P<scene>.*?)[-_.]?(?P<band>vv|vh|hh|hv)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PlainFiles:
    """One acquisition: one file, or one for each polarisation.

    Attributes:
        id: Of the item.
        paths: Its files, in the order of their names.
    """

    id: str
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """What a person knows it by."""
        return self.paths[0]

    def product(self, options: Options) -> Product:
        """Decide what the files hold.

        Raises:
            NotIngestibleError: They cannot become an item.
            RadiometryUnknownError: Their numbers cannot be decided, or contradict what was declared.
        """
        files: list[FileOfProduct] = []
        units: set[Units] = set()
        notes: tuple[str, ...] = ()
        for path in self.paths:
            file, unit, said = self._file(path, options)
            files.append(file)
            units.add(unit)
            notes += said
        time, said = acquired(options.time, stated_time(files[0].raster), self.path)
        notes += said
        level = _level(files, options)
        if level in ("L1C", "TOA"):
            notes += (
                "top of the atmosphere, not surface reflectance: `geoseg map` takes an index for it, not a network",
            )
        return Product(
            item_id(self.id),
            options.sensor,
            time,
            units.pop(),
            tuple(files),
            level=level,
            notes=tuple(dict.fromkeys(notes)),
        )

    def _file(self, path: Path, options: Options) -> tuple[FileOfProduct, Units, tuple[str, ...]]:
        raster = look_at(path)
        units, conversion = decide(raster, options)
        named = POLARISATION.match(path.stem) if sensor_record(options.sensor).polarised and raster.count == 1 else None
        given = () if len(self.paths) > 1 else options.bands
        names = band_names(raster, options.sensor, given, (named["band"].lower(),) if named else None)
        nodata, notes = nodata_of(raster, options.sensor)
        file = data_file(
            names[0] if len(self.paths) > 1 else "data", raster, names, nodata, (conversion,) * raster.count
        )
        if left_out := [number for number, name in enumerate(names, start=1) if is_left_out(name)]:
            notes += (f"left out, as no model reads it: band {', '.join(map(str, left_out))}",)
        check_pixels(raster, sample(raster), options.sensor, units, tuple(band.conversion for band in file.bands))
        return file, units, notes


def data_file(
    name: str,
    raster: RasterFile,
    names: tuple[str, ...],
    nodata: tuple[float | None, ...],
    conversions: tuple[Conversion, ...],
) -> FileOfProduct:
    """A file of measured bands; an alpha band among them keeps its place and gets no conversion."""
    bands = tuple(
        BandOfFile(band, dtype, *((None, None) if band == ALPHA or is_left_out(band) else (empty, conversion)))
        for band, dtype, empty, conversion in zip(names, raster.dtypes, nodata, conversions, strict=True)
    )
    return FileOfProduct(name, "data", raster, bands)


def stated_time(raster: RasterFile) -> datetime | None:
    """Acquisition in a file that Planet corrected for the atmosphere: its processor writes it as the TIFF's date.

    In any other file that tag means when the file was written, and is not looked at.
    """
    if not _is_corrected(raster):
        return None
    try:
        return datetime.strptime(raster.tags["TIFFTAG_DATETIME"], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None


def _is_corrected(raster: RasterFile) -> bool:
    """Planet's processor wrote that it corrected the file for the atmosphere."""
    return "atmospheric_correction" in raster.tags.get("TIFFTAG_IMAGEDESCRIPTION", "")


def _level(files: list[FileOfProduct], options: Options) -> str:
    """Level of the reflectance: of Sentinel-2 with its cirrus band L1C, as atmospheric correction removes that band.

    Raises:
        RadiometryUnknownError: It is, and the person did not say that this is meant.
    """
    if _is_corrected(files[0].raster):
        return "SR"
    only_at_top, at_top = layout(options.sensor).only_at_top, layout(options.sensor).levels["toa"]
    with_cirrus = [file for file in files if any(band.name in only_at_top for band in file.bands)]
    if with_cirrus and options.level != at_top:
        raise RadiometryUnknownError(
            f"{with_cirrus[0].raster.path} has the cirrus band B10: it is level 1C, top of the "
            "atmosphere, not surface reflectance. Take the L2A product, or accept it with --level L1C."
        )
    return options.level or ""


def group_plain(paths: list[Path], sensor: str) -> list[PlainFiles]:
    """One acquisition a file; Sentinel-1 files whose names differ in the polarisation at their end are one."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    polarised = sensor_record(sensor).polarised
    for path in paths:
        match = POLARISATION.match(path.stem) if polarised else None
        scene = (match["scene"] or path.parent.name) if match else path.stem
        groups.setdefault((path.parent, scene), []).append(path)
    return [PlainFiles(scene, tuple(sorted(members))) for (_, scene), members in groups.items()]
