"""Digital numbers to physical quantities: what is decided, what is refused, and the numbers that come out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.catalog.collections import Collection, collection
from geoseg.core.scene import Scene
from geoseg.errors import RadiometryUnknownError
from geoseg.readers.radiometry import apply_scale_offset, conversion, to_averaging_domain, to_output_unit
from geoseg.readers.read_spec import Conversion
from tests.support.rasters import DAY

PC = "planetary-computer/sentinel-2-l2a"
EARTH_SEARCH = "earth-search/sentinel-2-l2a"
C1 = "earth-search/sentinel-2-c1-l2a"
CDSE = "cdse/sentinel-2-l2a"


def scene(properties: dict[str, Any], name: str = "scene", sensor: str = "s2") -> Scene:
    return Scene(name, "any", sensor, DAY, (0, 0, 1, 1), item={"properties": properties})


def started(numbers: np.ndarray, rule: Conversion, *, mixed: bool) -> np.ndarray:
    return to_averaging_domain(apply_scale_offset(numbers, rule), rule, mixed=mixed)


def decide(record: str | Collection, properties: dict[str, Any], asset: dict[str, Any] | None = None, **more: Any):
    rule = collection(record) if isinstance(record, str) else record
    return conversion(scene(properties, **more), rule, asset or {}, 1)


def stated(offset: float, scale: float = 1e-4) -> dict[str, Any]:
    return {"raster:bands": [{"nodata": 0, "scale": scale, "offset": offset}]}


@pytest.mark.parametrize(
    ("record", "properties", "asset", "offset"),
    [
        (PC, {"s2:processing_baseline": "02.12"}, {}, 0.0),
        (PC, {"s2:processing_baseline": "03.01"}, {}, 0.0),
        (PC, {"s2:processing_baseline": "04.00"}, {}, -0.1),
        (PC, {"s2:processing_baseline": "05.11"}, {}, -0.1),
        (CDSE, {"processing:version": "05.12"}, {"raster:scale": 1e-4, "raster:offset": -0.1}, -0.1),
        (EARTH_SEARCH, {"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": False}, stated(0), 0.0),
        (EARTH_SEARCH, {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": True}, stated(-0.1), 0.0),
        (EARTH_SEARCH, {"sentinel:processing_baseline": "05.11", "sentinel:boa_offset_applied": True}, {}, 0.0),
        (C1, {"s2:processing_baseline": "05.11"}, stated(-0.1), -0.1),
        (C1, {"s2:processing_baseline": "02.14"}, stated(0), 0.0),
    ],
)
def test_the_sentinel_2_offset(record, properties, asset, offset):
    assert decide(record, properties, asset) == Conversion(1e-4, offset, (0.0,))


@pytest.mark.parametrize("name", ["S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223"])
def test_the_baseline_is_read_from_the_product_name_where_the_properties_lack_it(name):
    assert decide(CDSE, {}, name=name).offset == -0.1


@pytest.mark.parametrize(
    ("record", "properties", "asset", "words"),
    [
        (PC, {}, {}, "names no processing baseline"),
        (PC, {"s2:processing_baseline": "05.11"}, stated(0), "offset 0 where baseline 05.11 has -0.1"),
        (EARTH_SEARCH, {"s2:processing_baseline": "05.11"}, stated(-0.1), "does not say"),
        (
            EARTH_SEARCH,
            {"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": False},
            stated(-0.1),
            "a claim known to be wrong",
        ),
        (C1, {"s2:processing_baseline": "05.11"}, stated(0), "baseline 05.11 has -0.1"),
        (C1, {"s2:processing_baseline": "05.11"}, {}, "state no raster:bands scale and offset"),
        (C1, {"s2:processing_baseline": "02.14"}, stated(-0.1), "baseline 02.14 has 0"),
    ],
)
def test_a_sentinel_2_offset_that_cannot_be_decided_is_refused(record, properties, asset, words):
    with pytest.raises(RadiometryUnknownError, match=words) as refusal:
        decide(record, properties, asset, name="S2X")
    assert "S2X" in str(refusal.value)
    assert "--catalog" in str(refusal.value)


@pytest.mark.parametrize(
    ("sensor", "units", "numbers", "expected"),
    [
        ("s1", "db", {}, Conversion(quantity="db")),
        ("s1", "linear", {"nodata": -32768}, Conversion(nodata=(-32768.0,), quantity="power")),
        ("s2", "reflectance", {"nodata": "nan"}, Conversion()),
        ("s2", "dn", {"scale": 1e-4, "offset": -0.1, "nodata": 0}, Conversion(1e-4, -0.1, (0.0,))),
        ("aerial", "uint8", {}, Conversion(1 / 255)),
        ("planetscope", "dn", {"scale": 2e-5, "offset": 0, "nodata": 0}, Conversion(2e-5, 0.0, (0.0,))),
    ],
)
def test_what_a_persons_own_item_declares(sensor, units, numbers, expected):
    asset = {"raster:bands": [numbers]}
    assert decide(f"local/{sensor}", {"geoseg:units": units}, asset, sensor=sensor) == expected


@pytest.mark.parametrize(
    ("sensor", "units", "words"),
    [
        ("s2", None, "declares no units"),
        ("s2", "dn", "digital numbers without a scale"),
        ("s2", "db", "does not measure"),
        ("s1", "reflectance", "does not measure"),
        ("s1", "amplitude", "declares no units"),
    ],
)
def test_what_is_not_declared_is_refused_with_the_option_that_decides(sensor, units, words):
    with pytest.raises(RadiometryUnknownError, match=words) as refusal:
        decide(f"local/{sensor}", {"geoseg:units": units}, sensor=sensor)
    assert "--units" in str(refusal.value)


def test_uncalibrated_sentinel_1_is_refused_and_points_to_rtc():
    with pytest.raises(RadiometryUnknownError, match=r"uncalibrated amplitude.*sentinel-1-rtc"):
        decide("planetary-computer/sentinel-1-grd", {}, sensor="s1")


def test_band_metadata_of_the_second_band_counts_for_the_second_band():
    asset = {"raster:bands": [{"scale": 1.0}, {"scale": 3.0, "offset": 0.5}]}
    rule = conversion(scene({"geoseg:units": "reflectance"}), collection("local/s2"), asset, 2)
    assert (rule.scale, rule.offset) == (3.0, 0.5)


# -- the numbers -------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=50))
def test_reflectance_agrees_with_the_formula_in_double_precision(numbers):
    dn = np.array([numbers], dtype=np.uint16)
    values = to_output_unit(
        started(dn, Conversion(1e-4, -0.1, (0.0,)), mixed=False), Conversion(1e-4, -0.1), mixed=False
    )
    expected = np.where(dn == 0, np.nan, (dn.astype(np.float64) - 1000) / 10000)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, atol=1e-6)


@given(st.lists(st.floats(-10, 1000, width=32), min_size=1, max_size=50))
def test_decibels_of_a_power_that_is_not_above_zero_are_not_observed(numbers):
    power = np.array([numbers], dtype=np.float32)
    rule = Conversion(nodata=(-9.0,), quantity="power")
    values = to_output_unit(started(power, rule, mixed=False), rule, mixed=False)
    np.testing.assert_array_equal(np.isnan(values), power <= 0)
    positive = power > 0
    np.testing.assert_allclose(values[positive], 10 * np.log10(power[positive].astype(np.float64)), atol=1e-4)


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_not_observed(strange):
    values = started(np.array([[strange, 1.0]], dtype=np.float64), Conversion(), mixed=False)
    np.testing.assert_array_equal(np.isnan(values), [[True, False]])


def test_a_nodata_value_that_the_type_cannot_hold_hides_nothing():
    values = started(np.array([[0, 255]], dtype=np.uint8), Conversion(nodata=(-9999.0,)), mixed=False)
    np.testing.assert_array_equal(values, [[0, 255]])
