"""PlanetScope orders: AnalyticMS (radiance) or AnalyticMS_SR, their UDM or UDM2, their XML and JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from geoseg.errors import BadDateError, NotIngestibleError, RadiometryUnknownError
from geoseg.sources.local.layouts import layout
from geoseg.sources.local.naming import acquired, band_names, instant, item_id
from geoseg.sources.local.plain import data_file, mask_file
from geoseg.sources.local.product import FileOfProduct, LinearConversion, LocalProduct, Options
from geoseg.sources.local.radiometry import check_pixels
from geoseg.sources.local.raster import RasterFile, look_at, sample
from geoseg.sources.local.safe_xml import elements_of, read_xml, text_of
from geoseg.sources.local.sidecar import Sidecar, find_sidecar
from geoseg.sources.local.validity import nodata_of

NAME = re.compile(
    r"^(?P<scene>(?P<day>\d{8})_(?P<clock>\d{6})(?:_\d{2})?_[0-9a-f]{4}|\d+_\d+_\d{4}-\d{2}-\d{2}_[0-9a-f]{4})"
    r"(?:_[13][AB])?_(?P<rest>.+)$",
    re.IGNORECASE,
)
"""``20170831_172754_101c_3B_AnalyticMS_SR_clip``: scene, then what the file holds (Planet's naming)."""


@dataclass(frozen=True, slots=True)
class PlanetScene:
    """One scene of an order: the image that is used, and the folder its companions lie in.

    Attributes:
        scene: Planet's id of the scene.
        image: AnalyticMS or AnalyticMS_SR.
        passed_over: Other images of the scene in the same order.
    """

    scene: str
    image: Path
    passed_over: tuple[Path, ...] = ()

    @property
    def path(self) -> Path:
        """What a person knows it by."""
        return self.image

    def product(self, options: Options) -> LocalProduct:
        """Decide what the scene holds.

        Raises:
            NotIngestibleError: It cannot become an item.
            RadiometryUnknownError: Its numbers cannot be decided.
        """
        raster = look_at(self.image)
        companions = self._companions(".json", ".xml", ".tif", ".tiff")
        xml = _metadata(self.image, [path for path in companions if path.suffix == ".xml"])
        sidecar = find_sidecar(path for path in companions if path.suffix == ".json")
        stated = (xml.time if xml else None) or (sidecar.time if sidecar else None) or self._time_in_name()
        time, notes = acquired(options.time, stated, self.image)
        level, conversions = self._conversions(raster, xml, sidecar, layout(options.sensor).quantum or 1.0)
        names = band_names(raster, options.sensor, options.bands, layout(options.sensor).order_of(raster.count))
        nodata, assumed = nodata_of(raster, options.sensor)
        image = data_file("data", raster, names, nodata, conversions)
        check_pixels(raster, sample(raster), options.sensor, "dn", tuple(band.conversion for band in image.bands))
        masks = _masks(self.image, raster, companions, layout(options.sensor).masks)
        notes += assumed
        if not masks:
            notes += ("no UDM or UDM2 beside it: clouds are not hidden",)
        if self.passed_over:
            notes += (f"not used: {', '.join(path.name for path in self.passed_over)}",)
        return LocalProduct(
            item_id(self.scene),
            options.sensor,
            time,
            "dn",
            (image, *masks),
            platform=(sidecar.platform if sidecar else "") or (xml.platform if xml else ""),
            cloud_pct=_first(sidecar.cloud_pct if sidecar else None, xml.cloud_pct if xml else None),
            level=level,
            notes=notes,
        )

    def _companions(self, *suffixes: str) -> list[Path]:
        """Files of the same scene in the same folder."""
        return [
            path
            for path in sorted(self.image.parent.iterdir())
            if path.suffix.lower() in suffixes and path.name.lower().startswith(self.scene.lower())
        ]

    def _conversions(
        self, raster: RasterFile, xml: _Xml | None, sidecar: Sidecar | None, quantum: float
    ) -> tuple[str, tuple[LinearConversion, ...]]:
        rest = _rest(self.image)
        if "_sr" in rest or "toar" in rest:
            return ("SR" if "_sr" in rest else "TOA"), (LinearConversion(quantum, 0.0, "reflectance"),) * raster.count
        scales = (xml.coefficients if xml else None) or (sidecar.scales_of(self.image.name) if sidecar else None)
        if not scales:
            raise RadiometryUnknownError(
                f"{self.image} is radiance, and no metadata XML beside it gives its "
                "reflectanceCoefficient. Put the order's *_metadata.xml into the same folder, or order "
                "AnalyticMS_SR."
            )
        if len(scales) != raster.count:
            raise RadiometryUnknownError(
                f"{self.image} has {raster.count} bands and its metadata {len(scales)} reflectance "
                "coefficients: they do not belong together. Fetch the order again."
            )
        return "TOA", tuple(LinearConversion(scale, 0.0, "reflectance") for scale in scales)

    def _time_in_name(self) -> datetime | None:
        match = NAME.match(self.image.stem)
        if match is None or match["day"] is None:
            return None
        try:
            return datetime.strptime(match["day"] + match["clock"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None


# -- which files are scenes -----------------------------------------------------------------------------------------


def is_planet(path: Path) -> bool:
    """The file is named as Planet names its products."""
    return NAME.match(path.stem) is not None


def group_planet(paths: list[Path]) -> list[PlanetScene]:
    """The scenes among files named as Planet names them: surface reflectance before radiance, whole before clip."""
    scenes: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        match = NAME.match(path.stem)
        if match and "analytic" in _rest(path) and "udm" not in _rest(path):
            scenes.setdefault((path.parent, match["scene"]), []).append(path)
    found = []
    for (_, scene), images in scenes.items():
        best, *others = sorted(images, key=lambda path: ("_sr" not in _rest(path), len(path.name), path.name))
        found.append(PlanetScene(scene, best, tuple(others)))
    return found


def stray(paths: list[Path]) -> list[Path]:
    """Masks and visual products without an analytic image of their scene."""
    scenes = {(each.image.parent, each.scene) for each in group_planet(paths)}
    return [path for path in paths if (m := NAME.match(path.stem)) and (path.parent, m["scene"]) not in scenes]


def _rest(path: Path) -> str:
    match = NAME.match(path.stem)
    return f"_{match['rest'].lower()}" if match else ""


# -- metadata -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Xml:
    """What the metadata XML says.

    Attributes:
        time: Acquisition.
        platform: Satellite.
        cloud_pct: Cloud share in per cent.
        coefficients: Top-of-atmosphere reflectance of one digital number, by band in file order.
    """

    time: datetime | None
    platform: str
    cloud_pct: float | None
    coefficients: tuple[float, ...]


def _metadata(image: Path, candidates: list[Path]) -> _Xml | None:
    named = [path for path in candidates if "metadata" in path.stem.lower()]
    clipped = "_clip" in image.stem.lower()
    named.sort(
        key=lambda path: (("_clip" in path.stem.lower()) != clipped, ("_8b" in path.stem) != ("_8b" in image.stem))
    )
    if not named:
        return None
    root = read_xml(named[0])
    try:
        time = text_of(root, "acquisitionDateTime") or text_of(root, "acquisitionDate")
        cloud = text_of(root, "cloudCoverPercentage")
        return _Xml(
            instant(time) if time else None,
            text_of(root, "serialIdentifier") or "",
            float(cloud) if cloud else None,
            tuple(factor for _, factor in sorted(_coefficients(root))),
        )
    except (ValueError, BadDateError) as error:
        raise NotIngestibleError(f"{named[0]} holds a value that cannot be ({error}). Fetch it again.") from None


def _coefficients(root: Element) -> list[tuple[int, float]]:
    pairs = []
    for element in elements_of(root, "bandSpecificMetadata"):
        number, factor = text_of(element, "bandNumber"), text_of(element, "reflectanceCoefficient")
        if number and factor:
            if not 0 < float(factor) < 1:
                raise ValueError(f"reflectanceCoefficient {factor}")
            pairs.append((int(number), float(factor)))
    return pairs


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


# -- masks ----------------------------------------------------------------------------------------------------------


def _masks(
    image: Path, raster: RasterFile, companions: list[Path], bands: Mapping[str, tuple[str, ...]]
) -> tuple[FileOfProduct, ...]:
    """The scene's UDM2 and UDM, the clipped ones for a clipped image.

    Raises:
        NotIngestibleError: One does not lie on the image, or has other bands than its kind has.
    """
    clipped = "_clip" in image.stem.lower()
    found = {}
    for path in companions:
        rest = _rest(path)
        if path.suffix.lower() not in (".tif", ".tiff") or "udm" not in rest:
            continue
        name = "udm2" if "udm2" in rest else "udm"
        if name not in found or ("_clip" in rest) == clipped:
            found[name] = path
    return tuple(mask_file(path, raster, name, bands[name]) for name, path in sorted(found.items()))
