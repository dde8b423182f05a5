"""The processing baseline of a Sentinel-2 product."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.catalog.baseline import ProcessingBaseline

NAME = "S2A_MSIL2A_20200322T074609_N0214_R135_T36NYH_20200322T1"


@given(st.integers(0, 99), st.integers(0, 99))
def test_what_is_written_is_read_again(major, minor):
    baseline = ProcessingBaseline(major, minor)
    assert ProcessingBaseline.parse(str(baseline)) == baseline
    assert ProcessingBaseline.of_name(f"S2A_MSIL2A_20200322T074609_N{major:02d}{minor:02d}_R135") == baseline


def test_the_ninth_of_a_series_is_older_than_the_eleventh():
    assert ProcessingBaseline.parse("5.9") < ProcessingBaseline.parse("05.11")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "properties", "baseline"),
    [
        ("x", {"s2:processing_baseline": "04.00"}, "04.00"),
        ("x", {"processing:version": "5.12"}, "05.12"),
        ("x", {"sentinel:processing_baseline": "02.14"}, "02.14"),
        (NAME, {}, "02.14"),
        (NAME, {"s2:processing_baseline": "05.00"}, "05.00"),
        ("x", {"s2:product_uri": f"{NAME}.SAFE"}, "02.14"),
        ("x", {"sentinel:product_id": NAME}, "02.14"),
        ("x", {"s2:processing_baseline": "newest"}, "None"),
        ("x", {}, "None"),
    ],
)
def test_items_tell_their_baseline(name, properties, baseline):
    assert str(ProcessingBaseline.of_item(name, properties)) == baseline
