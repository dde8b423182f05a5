"""Sentinel-2 scene folders: one file a band and SCL, with an item JSON, a product XML (.SAFE), or just their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from geoseg.catalog.baseline import ProcessingBaseline
from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.errors import NotIngestibleError, RadiometryUnknownError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.naming import acquired, band_names, canonical, instant, item_id
from geoseg.sources.local.plain import data_file
from geoseg.sources.local.product import BandOfFile, FileOfProduct, LinearConversion, LocalProduct, Options
from geoseg.sources.local.radiometry import check_pixels, sentinel2_conversion
from geoseg.sources.local.raster import look_at, sample
from geoseg.sources.local.safe_xml import read_xml, text_of, texts_of
from geoseg.sources.local.sidecar import Sidecar, find_sidecar
from geoseg.sources.local.validity import nodata_of

BAND_FILE = re.compile(
    r"^(?P<scene>.*?)(?:^|_)(?P<band>B(?:0?[1-9]|1[0-2]|8A)|SCL)(?:_(?P<metres>\d+)m)?$", re.IGNORECASE
)
"""``B02``, ``T29RKH_20200219T112111_B02_10m``, ``S2A_..._L2A_SCL``: scene, band, resolution."""

COMPANION = re.compile(r"(^|_)(AOT|WVP|TCI|PVI|MSK_\w+|CLDPRB|SNWPRB|visual|preview|thumbnail)(_\d+m)?$", re.IGNORECASE)
PRODUCT_NAME = re.compile(r"S2[A-D]_MSI(?P<level>L1C|L2A)_(?P<time>\d{8}T\d{6})_N\d{4}_", re.IGNORECASE)
"""ESA's product names state level, sensing time and processing baseline."""

ONLY_IN_L1C = "B10"
"""The cirrus band, which atmospheric correction removes."""


@dataclass(frozen=True, slots=True)
class Sentinel2Scene:
    """One scene.

    Attributes:
        folder: The scene's own folder, or the ``.SAFE`` folder.
        prefix: What the names of its files share, or "".
        files: Path of each band (``B02``) and of ``SCL``, the finest where several resolutions are there.
    """

    folder: Path
    prefix: str
    files: tuple[tuple[str, Path], ...]

    @property
    def path(self) -> Path:
        """What a person knows it by."""
        return self.folder / self.prefix if self.prefix and self.folder.suffix != ".SAFE" else self.folder

    def product(self, options: Options) -> LocalProduct:
        """Decide what the scene holds.

        Raises:
            NotIngestibleError: It cannot become an item.
            RadiometryUnknownError: Its offset cannot be decided.
        """
        facts = _facts(self.folder, self.prefix)
        time, notes = acquired(options.time, facts.time, self.path)
        level = _checked_level(self.path, facts.level, {band for band, _ in self.files}, options)
        conversion, said = _conversion(self.path, facts, options)
        notes += said
        data: list[FileOfProduct] = []
        masks: list[FileOfProduct] = []
        for band, path in self.files:
            file, assumed = _mask(path) if band == "SCL" else _band(band, path, options.sensor, conversion)
            (masks if band == "SCL" else data).append(file)
            notes += assumed
        if not masks:
            notes += ("no SCL beside it: clouds and their shadows are not hidden",)
        if level == "L1C":
            notes += (
                "top of the atmosphere, not surface reflectance: `geoseg map` takes an index for it, not a network",
            )
        return LocalProduct(
            item_id(facts.id or self.prefix or self.folder.stem),
            options.sensor,
            time,
            "reflectance" if options.units == "reflectance" else "dn",
            (*data, *masks),
            platform=facts.platform,
            cloud_pct=facts.cloud_pct,
            level=level,
            extra={"s2:processing_baseline": facts.baseline} if facts.baseline else {},
            notes=tuple(dict.fromkeys(notes)),
        )


# -- which files are scenes -----------------------------------------------------------------------------------------


def group_sentinel2(paths: list[Path]) -> tuple[list[Sentinel2Scene], list[Path]]:
    """The scenes among ``paths``, and the files that belong to none (companions such as AOT or TCI are left out)."""
    scenes: dict[tuple[Path, str], dict[str, tuple[int, Path]]] = {}
    rest = []
    for path in paths:
        match = BAND_FILE.match(path.stem)
        if match is None:
            if not COMPANION.search(path.stem):
                rest.append(path)
            continue
        folder = _safe_root(path)
        key = (folder or path.parent, "" if folder else match["scene"])
        band = _esa_name(match["band"])
        metres = int(match["metres"] or 0)
        bands = scenes.setdefault(key, {})
        if band not in bands or metres < bands[band][0]:
            bands[band] = (metres, path)
    found = [
        Sentinel2Scene(folder, prefix, tuple((band, path) for band, (_, path) in sorted(bands.items())))
        for (folder, prefix), bands in scenes.items()
    ]
    return found, rest


def _esa_name(text: str) -> str:
    text = text.upper()
    return text if text in ("SCL", "B8A") else f"B{int(text[1:]):02d}"


def _safe_root(path: Path) -> Path | None:
    return next((folder for folder in path.parents if folder.suffix.upper() == ".SAFE"), None)


# -- metadata -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the scene's metadata say; empty where they do not.

    Attributes:
        id: Of the product.
        time: Sensing.
        level: ``L1C`` or ``L2A``.
        baseline: Processing baseline as ``05.09``.
        applied: The distributor has taken the offset off already; None: it does not say.
        offset: Stated outright by the product's XML.
        quantum: Reflectance of one digital number, stated by the product's XML.
        platform: Satellite.
        cloud_pct: Cloud share in per cent.
    """

    id: str = ""
    time: datetime | None = None
    level: str = ""
    baseline: str = ""
    applied: bool | None = None
    offset: int | None = None
    quantum: float | None = None
    platform: str = ""
    cloud_pct: float | None = None


def _facts(folder: Path, prefix: str) -> _Facts:
    for name in ("MTD_MSIL2A.xml", "MTD_MSIL1C.xml"):
        if (folder / name).is_file():
            return _facts_of_xml(read_xml(folder / name), folder / name)
    beside = [path for path in folder.glob("*.json") if path.stem.startswith(prefix.rstrip("_"))]
    sidecar = find_sidecar(beside)
    return _facts_of_sidecar(sidecar) if sidecar else _facts_of_name(f"{folder.name}_", f"{prefix}_")


def _facts_of_xml(root: ElementTree.Element, path: Path) -> _Facts:
    try:
        offsets = {int(text) for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET") for text in texts_of(root, tag)}
        quantum = text_of(root, "BOA_QUANTIFICATION_VALUE") or text_of(root, "QUANTIFICATION_VALUE")
        time = text_of(root, "PRODUCT_START_TIME")
        cloud = text_of(root, "Cloud_Coverage_Assessment")
        step = 1 / float(quantum) if quantum else None
    except (ValueError, ZeroDivisionError):
        raise NotIngestibleError(f"{path} holds a number that is none. Fetch it again.") from None
    if len(offsets) > 1:
        raise RadiometryUnknownError(
            f"{path} states other offsets for other bands ({sorted(offsets)}): say --s2-offset."
        )
    return _Facts(
        id=(text_of(root, "PRODUCT_URI") or path.parent.name).removesuffix(".SAFE"),
        time=instant(time) if time else None,
        level="L1C" if "L1C" in path.name else "L2A",
        baseline=text_of(root, "PROCESSING_BASELINE") or "",
        offset=next(iter(offsets), None),
        quantum=step,
        platform=(text_of(root, "SPACECRAFT_NAME") or "").lower(),
        cloud_pct=float(cloud) if cloud else None,
    )


def _facts_of_sidecar(sidecar: Sidecar) -> _Facts:
    properties = sidecar.properties
    applied = properties.get("earthsearch:boa_offset_applied")
    named = _facts_of_name(str(properties.get("s2:product_uri", "")))
    stated = properties.get("s2:processing_baseline") or properties.get("processing:version")
    kind = str(properties.get("s2:product_type", ""))
    return _Facts(
        id=sidecar.id,
        time=sidecar.time or named.time,
        level={"S2MSI1C": "L1C", "S2MSI2A": "L2A"}.get(kind, named.level),
        baseline=str(stated) if stated else named.baseline,
        applied=applied if isinstance(applied, bool) else None,
        platform=sidecar.platform,
        cloud_pct=sidecar.cloud_pct,
    )


def _facts_of_name(*names: str) -> _Facts:
    for name in names:
        if match := PRODUCT_NAME.search(name):
            time = datetime.strptime(match["time"].upper(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            return _Facts(
                time=time, level=match["level"].upper(), baseline=str(ProcessingBaseline.of_name(match[0].upper()))
            )
    return _Facts()


# -- decisions ------------------------------------------------------------------------------------------------------


def _conversion(path: Path, facts: _Facts, options: Options) -> tuple[LinearConversion, tuple[str, ...]]:
    """Reflectance of the scene's numbers. What the person says counts before metadata, which are known to err here.

    Raises:
        RadiometryUnknownError: Nothing decides it.
    """
    quantum = facts.quantum or layout(options.sensor).quantum or 1.0
    stated = _stated_offset(path, facts, options.sensor, quantum)
    given = 0 if options.units == "reflectance" else options.s2_offset
    offset = stated if given is None else given
    if offset is None:
        raise RadiometryUnknownError(
            f"{path} does not tell for sure whether 1000 was added to its numbers (processing baseline "
            "04.00 on). Put ESA's MTD_MSIL2A.xml or an item JSON beside it, or say --s2-offset -1000 "
            "(it was), --s2-offset 0 (it was not, or has been taken off), or --units reflectance."
        )
    overruled = given is not None and stated is not None and given != stated
    notes = (f"offset {given} as you said; its metadata say {stated}",) if overruled else ()
    return sentinel2_conversion(offset, quantum), notes


def _stated_offset(path: Path, facts: _Facts, sensor: str, quantum: float) -> int | None:
    if facts.offset is not None:
        return facts.offset
    if not facts.baseline:
        return None
    baseline = ProcessingBaseline.parse(facts.baseline)
    if baseline is None:
        raise RadiometryUnknownError(
            f"{path} states processing baseline {facts.baseline!r}, which is none. Say --s2-offset -1000 or 0."
        )
    rule = sensor_record(sensor).baseline_offset
    offset = round(rule.of(baseline) / quantum) if rule else 0
    if offset == 0 or facts.applied:
        return 0
    # Earth Search says "not applied" of scenes whose offset it has taken off: there the numbers could be either
    return None if facts.applied is False else offset


def _checked_level(path: Path, stated: str, bands: set[str], options: Options) -> str:
    level = "L1C" if stated == "L1C" or ONLY_IN_L1C in bands else stated or options.level or ""
    if level == "L1C" and options.level != "L1C":
        raise RadiometryUnknownError(
            f"{path} is level 1C, top of the atmosphere, not surface reflectance. Take the L2A product, "
            "or accept it with --level L1C."
        )
    return level


def _band(band: str, path: Path, sensor: str, conversion: LinearConversion) -> tuple[FileOfProduct, tuple[str, ...]]:
    raster = look_at(path)
    name = canonical(band, sensor)
    if raster.count != 1 or name is None:
        raise NotIngestibleError(f"{path} has {raster.count} bands where a band's own file has one.")
    band_names(raster, sensor, (), (name,))  # refuses a description that says otherwise
    nodata, notes = nodata_of(raster, sensor)
    file = data_file(name, raster, (name,), nodata, (conversion,))
    check_pixels(raster, sample(raster), sensor, "dn", (conversion,))
    return file, notes


def _mask(path: Path) -> tuple[FileOfProduct, tuple[str, ...]]:
    raster = look_at(path)
    if raster.count != 1 or not raster.integer:
        raise NotIngestibleError(
            f"{path} is no scene classification: it has {raster.count} bands of {raster.dtypes[0]}."
        )
    return FileOfProduct("scl", "mask", raster, (BandOfFile("scl", raster.dtypes[0], 0),)), ()
