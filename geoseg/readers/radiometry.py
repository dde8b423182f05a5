"""Digital numbers to physical quantities: decided from the record and the item, then applied to arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.collections import (
    Collection,
    Declared,
    LinearPower,
    Raw,
    Refused,
    Sentinel2Boa,
    Uint8,
)
from geoseg.core.scene import Scene
from geoseg.errors import RadiometryUnknownError
from geoseg.readers.read_spec import Conversion

Floats = NDArray[np.float32]

BOA_SCALE = 1e-4
"""Sentinel-2 L2A: QUANTIFICATION_VALUE 10000 of the product metadata."""

BOA_OFFSET = -0.1
"""BOA_ADD_OFFSET -1000 of processing baseline 04.00 and later, in reflectance."""

OFFSET_SINCE = 4.0
"""Processing baseline from which the digital numbers carry +1000 (ESA, 25 January 2022)."""

ZERO_IS_FILL = ("s2", "planetscope")
"""Sensors whose providers document the digital number 0 as "not observed"."""

# -- deciding ---------------------------------------------------------------------------------------------------


def conversion(scene: Scene, record: Collection, asset: Mapping[str, Any], index: int) -> Conversion:
    """How one band of a scene becomes a physical quantity.

    Args:
        scene: The scene.
        record: The collection that says how to read it.
        asset: The band's asset, as the item has it.
        index: The band's place in its file, 1-based.

    Raises:
        RadiometryUnknownError: It cannot be decided; says why, and what decides it.
    """
    stated = band_metadata(asset, index)
    nodata = _stated_nodata(stated, record)
    rule = record.radiometry
    match rule:
        case Refused():
            raise RadiometryUnknownError(f"Scene {scene.id} cannot be mapped: {rule.reason}")
        case Sentinel2Boa():
            scale, offset = _sentinel2(scene, rule, stated)
            return Conversion(scale, offset, _with_zero(nodata))
        case LinearPower():
            return Conversion(nodata=nodata, quantity="power")
        case Uint8():
            return Conversion(1 / 255, 0.0, nodata)
        case Declared():
            return _declared(scene, asset, stated, nodata)
        case Raw():
            return Conversion(nodata=nodata)


def band_metadata(asset: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """What an asset states of one of its bands: ``raster:bands`` (STAC 1.0), or ``bands`` and the asset (1.1)."""
    old = _nth(asset.get("raster:bands"), index)
    if old is not None:
        return old
    new = dict(asset) | dict(_nth(asset.get("bands"), index) or {})
    names = {"raster:scale": "scale", "raster:offset": "offset", "nodata": "nodata", "unit": "unit"}
    return {short: new[key] for key, short in names.items() if new.get(key) is not None}


def _nth(bands: object, index: int) -> Mapping[str, Any] | None:
    if isinstance(bands, Sequence) and index <= len(bands) and isinstance(bands[index - 1], Mapping):
        return dict(bands[index - 1])
    return None


def _stated_nodata(stated: Mapping[str, Any], record: Collection) -> tuple[float, ...]:
    value = stated.get("nodata", record.nodata)
    try:
        number = float(value) if value is not None else math.nan  # STAC writes "nan" and "inf" as text
    except (TypeError, ValueError):
        number = math.nan
    return () if math.isnan(number) else (number,)


def _with_zero(nodata: tuple[float, ...]) -> tuple[float, ...]:
    """ESA and Planet document the digital number 0 as fill, whatever else an item or a file declares."""
    return nodata if 0 in nodata else (*nodata, 0.0)


def _sentinel2(scene: Scene, rule: Sentinel2Boa, stated: Mapping[str, Any]) -> tuple[float, float]:
    baseline = _baseline(scene)
    expected = BOA_OFFSET if baseline >= OFFSET_SINCE else 0.0
    offset = _number(stated, "offset")
    if rule.offset_from == "raster_bands":
        scale = _number(stated, "scale")
        if scale is None or offset is None:
            raise _undecided(scene, "its assets state no raster:bands scale and offset")
        if not math.isclose(offset, expected, abs_tol=1e-6) or not math.isclose(scale, BOA_SCALE, rel_tol=1e-6):
            raise _undecided(
                scene,
                f"its assets state scale {scale:g} and offset {offset:g}; baseline {baseline:05.2f} has {expected:g}",
            )
        return scale, offset
    if rule.offset_from == "baseline":
        if offset is not None and not math.isclose(offset, expected, abs_tol=1e-6):
            raise _undecided(
                scene, f"its assets state offset {offset:g} where baseline {baseline:05.2f} has {expected:g}"
            )
        return BOA_SCALE, expected
    return BOA_SCALE, _claimed_offset(scene, expected)


def _claimed_offset(scene: Scene, expected: float) -> float:
    """Earth Search: the claim decides, not ``raster:bands``, which repeats -0.1 where it has been applied.

    "Not applied" with a baseline that wants it is a claim known to be wrong for many scenes (earth-search issue 71):
    the numbers cannot tell, so neither can we.
    """
    if expected == 0:
        return 0.0
    claims = {
        scene.item.get("properties", {}).get(f"{prefix}:boa_offset_applied") for prefix in ("earthsearch", "sentinel")
    }
    if True in claims:
        return 0.0
    said = (
        "says its offset has not been applied, a claim known to be wrong"
        if False in claims
        else ("does not say whether its offset has been applied")
    )
    raise _undecided(scene, f"the item {said}")


def _baseline(scene: Scene) -> float:
    """Processing baseline, from the properties or from the product name (``_N0500_``)."""
    properties = scene.item.get("properties", {})
    for key in ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version"):
        text = str(properties.get(key, ""))
        if re.fullmatch(r"\d{1,2}\.\d{1,2}", text):
            return float(text)
    for name in (scene.id, str(properties.get("s2:product_uri", "")), str(properties.get("sentinel:product_id", ""))):
        match = re.search(r"_N(\d{2})(\d{2})_", name)
        if match:
            return float(f"{match[1]}.{match[2]}")
    raise _undecided(scene, "the item names no processing baseline")


def _undecided(scene: Scene, why: str) -> RadiometryUnknownError:
    return RadiometryUnknownError(
        f"The reflectance of scene {scene.id} is uncertain by 0.1: {why}. Map from another catalogue "
        "(--catalog planetary-computer), or add checked files with `geoseg catalog add --units`."
    )


def _declared(
    scene: Scene, asset: Mapping[str, Any], stated: Mapping[str, Any], nodata: tuple[float, ...]
) -> Conversion:
    units = asset.get("geoseg:units") or scene.item.get("properties", {}).get("geoseg:units")
    scale, offset = _number(stated, "scale"), _number(stated, "offset")
    radar = scene.sensor == "s1"
    if radar != (units in ("db", "linear")) and units in ("db", "linear", "reflectance", "dn", "uint8"):
        raise RadiometryUnknownError(
            f"Scene {scene.id} declares units {units!r}, which sensor {scene.sensor} does not measure. "
            "Add it again with `geoseg catalog add --sensor --units`."
        )
    whole = str(stated.get("data_type", "")).startswith(("uint", "int"))
    if scene.sensor in ZERO_IS_FILL and (units == "dn" or (units == "reflectance" and whole)):
        nodata = _with_zero(nodata)
    linear = Conversion(1.0 if scale is None else scale, offset or 0.0, nodata)
    match units:
        case "db":
            return replace(linear, quantity="db")
        case "linear":
            return replace(linear, quantity="power")
        case "reflectance":
            return linear
        case "dn" if scale is not None:
            return linear
        case "uint8":
            return linear if scale is not None else replace(linear, scale=1 / 255)
        case _:
            missing = "digital numbers without a scale" if units == "dn" else "no units"
            raise RadiometryUnknownError(
                f"Scene {scene.id} declares {missing}. Add it again with `geoseg catalog add --units`."
            )


def _number(stated: Mapping[str, Any], key: str) -> float | None:
    value = stated.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- applying ---------------------------------------------------------------------------------------------------


def with_file_nodata(rule: Conversion, file_nodata: float | None) -> Conversion:
    """Add the file's own nodata value to those that item and record state."""
    if file_nodata is None or math.isnan(file_nodata) or file_nodata in rule.nodata:
        return rule
    return replace(rule, nodata=(*rule.nodata, float(file_nodata)))


def apply_scale_offset(numbers: NDArray[np.generic], rule: Conversion) -> Floats:
    """Convert digital numbers to the file's own quantity: reflectance, dB or linear power.

    Returns:
        float32, NaN where a number is a nodata value, NaN or infinite.
    """
    values = numbers.astype(np.float32)
    if numbers.dtype.kind == "f":
        values[~np.isfinite(values)] = np.nan
    for nodata in rule.nodata:
        np.copyto(values, np.float32(np.nan), where=numbers == nodata)
    if rule.scale != 1:
        values *= np.float32(rule.scale)
    if rule.offset != 0:
        values += np.float32(rule.offset)
    return values


def mask_outside(values: Floats, valid: tuple[float, float], rule: Conversion) -> None:
    """NaN, in place, where what was ``apply_scale_offset`` lies outside ``valid`` (in dB for a power)."""
    low, high = (10 ** (bound / 10) for bound in valid) if rule.quantity == "power" else valid
    np.copyto(values, np.float32(np.nan), where=(values < low) | (values > high))


def to_averaging_domain(values: Floats, rule: Conversion, *, mixed: bool) -> Floats:
    """What was ``apply_scale_offset``, as a quantity that may be averaged; see ``started``."""
    if rule.quantity == "power":
        values[values <= 0] = np.nan
    if rule.quantity == "db" and mixed:
        values = np.power(np.float32(10), values / np.float32(10))
    return values


def to_output_unit(values: Floats, rule: Conversion, *, mixed: bool) -> Floats:
    """Convert to the sensor's unit, in place: dB = 10 log10(power) where power was sampled."""
    if rule.quantity == "power" or (rule.quantity == "db" and mixed):
        np.log10(values, out=values)
        values *= np.float32(10)
    return values
