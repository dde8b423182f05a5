"""Digital numbers to physical quantities: decided from the record and the item, then applied to arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.baseline import ProcessingBaseline
from geoseg.catalog.collections import (
    Collection,
    Decibels,
    DeclaredPerAsset,
    LinearPower,
    LinearScale,
    NoConversion,
    Unsupported,
)
from geoseg.catalog.sensors import sensor, sensors
from geoseg.core.scene import Scene
from geoseg.errors import RadiometryUnknownError
from geoseg.readers.read_spec import Conversion

Floats = NDArray[np.float32]

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
        case Unsupported():
            raise RadiometryUnknownError(f"Scene {scene.id} cannot be mapped: {rule.reason}")
        case LinearScale():
            return Conversion(rule.scale, _checked_offset(scene, rule, stated), _with_fill(scene, nodata))
        case LinearPower():
            return Conversion(rule.scale, nodata=nodata, quantity="power")
        case Decibels():
            return Conversion(rule.scale, rule.offset, nodata, "db")
        case DeclaredPerAsset():
            return _declared(scene, asset, stated, nodata)
        case NoConversion():
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


def _with_fill(scene: Scene, nodata: tuple[float, ...]) -> tuple[float, ...]:
    """Add the digital number 0 where the sensor's provider documents it as fill, whatever else items declare."""
    described = sensors().get(scene.sensor)
    return nodata if described is None or not described.zero_is_fill or 0 in nodata else (*nodata, 0.0)


def _checked_offset(scene: Scene, rule: LinearScale, stated: Mapping[str, Any]) -> float:
    """The offset that record and baseline give, once what the asset states does not contradict it."""
    expected, source = _expected_offset(scene, rule)
    if rule.offset_removed_if:
        expected = _offset_left(scene, rule, expected)
    scale, offset = _number(stated, "scale"), _number(stated, "offset")
    if rule.stated == "ignored":
        return expected
    if rule.stated == "required" and (scale is None or offset is None):
        raise _undecided(scene, "its assets state no raster:bands scale and offset")
    wrong_scale = scale is not None and not math.isclose(scale, rule.scale, rel_tol=1e-6)
    wrong_offset = offset is not None and not math.isclose(offset, expected, abs_tol=1e-6)
    if wrong_scale:
        raise _undecided(scene, f"its assets state scale {scale:g} where its collection has {rule.scale:g}")
    if wrong_offset:
        raise _undecided(scene, f"its assets state offset {offset:g} where {source} has {expected:g}")
    return expected


def _expected_offset(scene: Scene, rule: LinearScale) -> tuple[float, str]:
    """The offset before anything the item states, and what it comes from."""
    if rule.offset != "by-baseline":
        return rule.offset, "its collection"
    described = sensor(scene.sensor)
    if described.baseline_offset is None:
        raise _undecided(scene, f"its collection says by-baseline, and sensor {scene.sensor} has no baseline_offset")
    baseline = ProcessingBaseline.of_item(scene.id, scene.item.get("properties", {}))
    if baseline is None:
        raise _undecided(scene, "the item names no processing baseline")
    return described.baseline_offset.of(baseline), f"baseline {baseline}"


def _offset_left(scene: Scene, rule: LinearScale, expected: float) -> float:
    """The offset that is still in the numbers: the item's claim decides, not ``raster:bands``.

    Earth Search's ``raster:bands`` repeat -0.1 where it has been taken off. "Not taken off" with a baseline that has
    an offset is a claim known to be wrong for many scenes (earth-search issue 71): the numbers cannot tell.
    """
    if expected == 0:
        return 0.0
    claims = {scene.item.get("properties", {}).get(name) for name in rule.offset_removed_if}
    if True in claims:
        return 0.0
    if False in claims:
        raise _undecided(scene, "the item says its offset has not been applied, a claim known to be wrong")
    raise _undecided(scene, "the item does not say whether its offset has been applied")


def _undecided(scene: Scene, why: str) -> RadiometryUnknownError:
    return RadiometryUnknownError(
        f"The offset of scene {scene.id} cannot be decided, and its reflectance may be wrong by it: {why}. Map from "
        "another catalogue (--catalog planetary-computer), or add checked files with `geoseg catalog add --units`."
    )


def _declared(
    scene: Scene, asset: Mapping[str, Any], stated: Mapping[str, Any], nodata: tuple[float, ...]
) -> Conversion:
    units = asset.get("geoseg:units") or scene.item.get("properties", {}).get("geoseg:units")
    scale, offset = _number(stated, "scale"), _number(stated, "offset")
    described = sensor(scene.sensor)
    if described.polarised != (units in ("db", "linear")) and units in ("db", "linear", "reflectance", "dn", "uint8"):
        raise RadiometryUnknownError(
            f"Scene {scene.id} declares units {units!r}, which sensor {scene.sensor} does not measure. "
            "Add it again with `geoseg catalog add --sensor --units`."
        )
    whole = str(stated.get("data_type", "")).startswith(("uint", "int"))
    if units == "dn" or (units == "reflectance" and whole):
        nodata = _with_fill(scene, nodata)
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
