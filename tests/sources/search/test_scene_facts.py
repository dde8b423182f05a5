"""Level of reflectance and ground track, in the words of several providers."""

from __future__ import annotations

import pytest

from geoseg.catalog.collections import collection
from geoseg.core.scene import Track
from geoseg.sources.search.scene_facts import reflectance_of, track_of

OWN = "local/s2"


@pytest.mark.parametrize(
    ("record", "properties", "name", "level"),
    [
        (OWN, {"geoseg:reflectance": "toa"}, "x", "toa"),
        (OWN, {"geoseg:reflectance": "surface"}, "x", "surface"),
        (OWN, {"geoseg:reflectance": "unknown"}, "x", "unknown"),
        (OWN, {"geoseg:level": "L1C"}, "x", "toa"),
        (OWN, {"processing:level": "L2A"}, "x", "surface"),
        (OWN, {"processing:level": "Level-1C"}, "x", "toa"),
        (OWN, {"s2:product_type": "S2MSI1C"}, "x", "toa"),
        (OWN, {"s2:product_uri": "S2B_MSIL1C_20220612T182919_N0400_R027_T24XWR_1.SAFE"}, "x", "toa"),
        (OWN, {}, "S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251", "surface"),
        (OWN, {"processing:level": 7}, "x", "unknown"),
        (OWN, {"processing:level": ["L1C"]}, "x", "unknown"),
        ("local/planetscope", {"geoseg:level": "TOA"}, "x", "toa"),
        ("local/planetscope", {"geoseg:level": "SR"}, "x", "surface"),
        ("planetary-computer/sentinel-2-l2a", {"geoseg:reflectance": "toa"}, "x", "surface"),
        ("planetary-computer/sentinel-1-rtc", {"processing:level": "L1"}, "x", None),
        ("local/aerial", {"geoseg:reflectance": "toa"}, "x", None),
    ],
)
def test_the_level_is_the_records_else_the_items(record, properties, name, level):
    assert reflectance_of({"id": name, "properties": properties}, collection(record)) == level


@pytest.mark.parametrize(
    ("properties", "track"),
    [
        ({"sat:relative_orbit": 22, "sat:orbit_state": "ascending"}, Track(22, "ascending")),
        ({"sat:relative_orbit": 22.0, "sat:orbit_state": "DESCENDING"}, Track(22, "descending")),
        ({}, Track()),
        ({"sat:relative_orbit": "22", "sat:orbit_state": "geostationary"}, Track()),
        ({"sat:relative_orbit": True, "sat:orbit_state": None}, Track()),
        ({"sat:relative_orbit": float("nan"), "sat:orbit_state": 3}, Track()),
        ({"sat:relative_orbit": 10**400}, Track()),
    ],
)
def test_the_track_is_what_the_item_states(properties, track):
    assert track_of({"properties": properties}) == track
