"""Plain rasters: one file with all bands, or one file a polarisation, and no product metadata beside it."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rasterio.coords import disjoint_bounds
from rasterio.transform import array_bounds

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import NotIngestibleError, RadiometryUnknownError, ReadError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.naming import ALPHA, acquired, band_names, canonical, is_left_out, item_id, time_in_name
from geoseg.sources.local.product import BandOfFile, FileOfProduct, LinearConversion, LocalProduct, Options, Units
from geoseg.sources.local.radiometry import check_pixels, decide
from geoseg.sources.local.raster import RasterFile, look_at, sample
from geoseg.sources.local.validity import nodata_of

BAND_IN_NAME = re.compile(r"^(?P<scene>.*?)(?:^|[-_. ])(?P<band>[A-Za-z0-9]+)(?:_db|[-_ ]?\(raw\))?$", re.IGNORECASE)
"""``blue``, ``scene_B02``, ``..._Sentinel-2_L2A_B02_(Raw)`` (EO Browser): scene and band of a file with one band."""

MASK_NAME = re.compile(r"^(?P<image>.+)_(?P<mask>udm2?)$", re.IGNORECASE)
"""``composite_udm2`` beside ``composite``: the mask that Planet's composite tool writes."""

COMPANION = re.compile(r"^(?P<scene>.+)_(?:inc_map(?:_ell)?|ls_map|dem|rgb|area|scatarea)$", re.IGNORECASE)
"""``X_ls_map`` beside ``X_VV``: layers that HyP3 delivers with radar, which no model reads."""

LEVEL_IN_NAME = re.compile(r"(?:^|[-_])(L1C|L2A)(?:[-_]|$)")
POLARISATION = re.compile(r"^(?P<scene>.*?)[-_.]?(?P<band>vv|vh|hh|hv)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PlainFiles:
    """One acquisition: one file, or one for each polarisation.

    Attributes:
        id: Of the item.
        paths: Its files, in the order of their names.
        masks: Mask files beside them, by the name of the asset (``udm2``).
        companions: Other layers beside them, which are left out.
    """

    id: str
    paths: tuple[Path, ...]
    masks: tuple[tuple[str, Path], ...] = ()
    companions: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        """What a person knows it by."""
        return self.paths[0]

    def product(self, options: Options) -> LocalProduct:
        """Decide what the files hold.

        Raises:
            NotIngestibleError: They cannot become an item.
            RadiometryUnknownError: Their numbers cannot be decided, or contradict what was declared.
        """
        files: list[FileOfProduct] = []
        units: set[Units] = set()
        notes: tuple[str, ...] = ()
        faults = _Faults()
        for path in self.paths:
            with faults:
                file, unit, said = self._file(path, options, faults)
                files.append(file)
                units.add(unit)
                notes += said
        raster = look_at(self.path)
        with faults:
            time, said = acquired(options.time, stated_time(raster) or time_in_name(self.path), self.path)
            notes += said
        faults.raise_all(self.path)
        masks = tuple(mask_file(path, raster, name, layout(options.sensor).masks[name]) for name, path in self.masks)
        if self.companions:
            left_out = ", ".join(path.name for path in self.companions)
            notes += (f"left out, as no model reads them: {left_out}",)
        level = _level(files, options)
        if level in ("L1C", "TOA"):
            notes += (
                "top of the atmosphere, not surface reflectance: `geoseg map` takes an index for it, not a network",
            )
        return LocalProduct(
            item_id(self.id),
            options.sensor,
            time,
            units.pop(),
            (*files, *masks),
            level=level,
            notes=tuple(dict.fromkeys(notes)),
        )

    def _file(self, path: Path, options: Options, faults: _Faults) -> tuple[FileOfProduct, Units, tuple[str, ...]]:
        raster = look_at(path)
        several = len(self.paths) > 1
        if several and raster.count != 1:
            raise NotIngestibleError(
                f"{path} is named like a file of one band among {len(self.paths)}, and has {raster.count} bands. Move "
                "or rename the files that do not belong together."
            )
        named = _band_of(path, options.sensor, several=several) if raster.count == 1 else None
        decided = None
        with faults:
            decided = decide(raster, options)
        names = band_names(raster, options.sensor, () if several else options.bands, (named,) if named else None)
        if several and options.bands and not set(names) <= set(options.bands):
            raise NotIngestibleError(
                f"{path} is one of {len(self.paths)} files of one band each, {names[0]} by its name, which --bands "
                "does not hold. Leave --bands out: the names of the files tell."
            )
        if decided is None:
            raise _AlreadyNamedError
        units, conversion = decided
        nodata, notes = nodata_of(raster, options.sensor)
        file = data_file(names[0] if several else "data", raster, names, nodata, (conversion,) * raster.count)
        if left_out := [number for number, name in enumerate(names, start=1) if is_left_out(name)]:
            notes += (f"left out, as no model reads it: band {', '.join(map(str, left_out))}",)
        check_pixels(raster, sample(raster), options.sensor, units, tuple(band.conversion for band in file.bands))
        return file, units, notes


def data_file(
    name: str,
    raster: RasterFile,
    names: tuple[str, ...],
    nodata: tuple[float | None, ...],
    conversions: tuple[LinearConversion, ...],
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
    named = LEVEL_IN_NAME.search(files[0].raster.path.stem)
    only_at_top, at_top = layout(options.sensor).only_at_top, layout(options.sensor).levels["toa"]
    with_cirrus = [file for file in files if any(band.name in only_at_top for band in file.bands)]
    if with_cirrus and options.level != at_top:
        raise RadiometryUnknownError(
            f"{with_cirrus[0].raster.path} has the cirrus band B10: it is level 1C, top of the "
            "atmosphere, not surface reflectance. Take the L2A product, or accept it with --level L1C."
        )
    return options.level or (named[1] if named and named[1] in layout(options.sensor).levels.values() else "")


def group_plain(paths: list[Path], sensor: str) -> list[PlainFiles]:
    """Group files into acquisitions: one file each, or files of one band each whose names differ in the band only.

    A mask named after an image (``composite_udm2`` beside ``composite``) belongs to it.
    """
    images, masks = _without_masks(paths, sensor)
    images, companions = _without_companions(images, sensor)
    groups: dict[tuple[Path, str, bool], list[Path]] = {}
    for path in images:
        match = _band_match(path, sensor)
        scene = (match["scene"].rstrip("-_. ") or path.parent.name) if match else path.stem
        groups.setdefault((path.parent, scene, match is not None), []).append(path)
    found = []
    for (_, scene, by_band), members in groups.items():
        bands = {_band_of(path, sensor, several=True) for path in members}
        together = by_band and (sensor_record(sensor).polarised or len(bands) == len(members) > 1)
        parts = [(scene, members)] if together else [(path.stem, [path]) for path in members]
        found += [
            PlainFiles(
                name,
                tuple(sorted(part)),
                tuple(masks.get(part[0], ())),
                tuple(sorted(companions.get((part[0].parent, name.lower()), ()))),
            )
            for name, part in parts
        ]
    return found


def _without_companions(paths: list[Path], sensor: str) -> tuple[list[Path], dict[tuple[Path, str], list[Path]]]:
    """The images, and by folder and scene the layers that belong to one of them."""
    if not sensor_record(sensor).polarised:
        return paths, {}
    scenes = {(path.parent, path.stem.lower()) for path in paths}
    scenes |= {(path.parent, match["scene"].lower()) for path in paths if (match := POLARISATION.match(path.stem))}
    images, companions = [], dict[tuple[Path, str], list[Path]]()
    for path in paths:
        match = COMPANION.match(path.stem)
        if match and (key := (path.parent, match["scene"].lower())) in scenes:
            companions.setdefault(key, []).append(path)
        else:
            images.append(path)
    return images, companions


def _without_masks(paths: list[Path], sensor: str) -> tuple[list[Path], dict[Path, list[tuple[str, Path]]]]:
    """The images, and the masks of each."""
    by_stem = {(path.parent, path.stem.lower()): path for path in paths}
    images, masks = [], dict[Path, list[tuple[str, Path]]]()
    for path in paths:
        match = MASK_NAME.match(path.stem) if layout(sensor).masks else None
        image = by_stem.get((path.parent, match["image"].lower())) if match else None
        if match is None or image is None or match["mask"].lower() not in layout(sensor).masks:
            images.append(path)
        else:
            masks.setdefault(image, []).append((match["mask"].lower(), path))
    return images, masks


def _band_match(path: Path, sensor: str) -> re.Match[str] | None:
    """Scene and band in the name of a file of one band; of radar only a polarisation counts, at the very end."""
    if sensor_record(sensor).polarised:
        match = POLARISATION.match(path.stem)
        return match or _known_band(BAND_IN_NAME.match(path.stem), sensor)
    return _known_band(BAND_IN_NAME.match(path.stem), sensor)


def _known_band(match: re.Match[str] | None, sensor: str) -> re.Match[str] | None:
    return match if match and canonical(match["band"], sensor) in sensor_record(sensor).bands else None


def _band_of(path: Path, sensor: str, *, several: bool) -> str | None:
    """The band that a file's name says; of optical imagery only where files of other bands lie beside it."""
    match = _band_match(path, sensor)
    return canonical(match["band"], sensor) if match and (several or sensor_record(sensor).polarised) else None


def mask_file(path: Path, image: RasterFile, name: str, names: tuple[str, ...]) -> FileOfProduct:
    """Describe the mask of an image.

    Args:
        path: Of the mask.
        image: What it belongs to.
        name: Of its asset.
        names: Of its bands, in file order.

    Raises:
        NotIngestibleError: It does not lie on the image, or has other bands than its kind has.
    """
    raster = look_at(path)
    if raster.count != len(names):
        raise NotIngestibleError(
            f"{path} has {raster.count} bands where a {name.upper()} has {len(names)}. Fetch it again."
        )
    if raster.crs != image.crs or not _overlap(raster, image):
        raise NotIngestibleError(f"{path} does not lie on {image.path.name}: they are not of one scene and clip.")
    return FileOfProduct(name, "mask", raster, tuple(map(BandOfFile, names, raster.dtypes)))


def _overlap(a: RasterFile, b: RasterFile) -> bool:
    """The two share ground."""
    return not disjoint_bounds(array_bounds(*a.shape, a.transform), array_bounds(*b.shape, b.transform))


class _AlreadyNamedError(Exception):
    """The file lacks something that is in the list of faults already."""


class _Faults(AbstractContextManager["_Faults"]):
    """Collects what is missing, so that all of it is asked for at once."""

    def __init__(self) -> None:
        self._found: list[NotIngestibleError | ReadError] = []

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keep a refusal, and go on."""
        if isinstance(error, NotIngestibleError | ReadError):
            self._found.append(error)
            return True
        return isinstance(error, _AlreadyNamedError)

    def raise_all(self, path: Path) -> None:
        """Raise one error that holds every refusal.

        Raises:
            GeosegError: The first refusal, with the sentences of the others.
        """
        if not self._found:
            return
        first, *others = self._found
        texts = {str(each).removeprefix(str(path)).lstrip(": "): None for each in others}
        texts.pop(str(first).removeprefix(str(path)).lstrip(": "), None)
        also = (f"Also: it {text}" if text[:1].islower() else f"Also: {text}" for text in texts)
        raise type(first)(" ".join([str(first), *also]))
