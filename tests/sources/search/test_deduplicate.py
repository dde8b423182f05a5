"""One granule catalogued twice is used once; two halves of a tile are both used."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from geoseg.catalog.baseline import ProcessingBaseline
from geoseg.core.scene import Scene
from geoseg.sources.search.deduplicate import granule_of, without_older

TIME = datetime(2022, 6, 12, 18, 29, 19, 24000, tzinfo=UTC)
BOX = (8.0, 11.0, 9.0, 12.0)


def scene(name, baseline=None, collection="planetary-computer/sentinel-2-l2a", sensor="s2", time=TIME, **properties):
    if baseline:
        properties["s2:processing_baseline"] = baseline
    return Scene(name, collection, sensor, time, BOX, "Sentinel-2B", None, {"properties": properties})


OLD = scene("S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T123251", "04.00")
NEW = scene("S2B_MSIL2A_20220612T182919_R027_T24XWR_20240101T000000", "05.10")


@pytest.mark.parametrize("order", [[OLD, NEW], [NEW, OLD]])
def test_the_newest_baseline_stays(order):
    kept, older = without_older(order)
    assert kept == [NEW]
    assert [(each.id, "baseline 05.10" in each.reason) for each in older] == [(OLD.id, True)]


@pytest.mark.parametrize(
    "other",
    [
        scene("S2B_MSIL2A_20220612T182919_R027_T24XWR_20220613T999999", "04.00"),  # the other half of a tile
        scene("S2B_MSIL2A_20220612T182919_R027_T25XWR_20240101T000000", "05.10"),
        scene(NEW.id, "05.10", time=TIME.replace(second=40)),
        scene("radar", sensor="s1"),
        scene("no tile in this name", "05.10"),
    ],
    ids=["same baseline", "other tile", "other time", "other sensor", "unknown tile"],
)
def test_what_is_no_duplicate_stays(other):
    kept, older = without_older([OLD, other])
    assert (kept, older) == ([OLD, other], [])


def test_of_two_collections_one_is_used():
    plain = scene("S2B_20EPT_20250731_0_L2A", "05.11", "earth-search/sentinel-2-l2a", **{"grid:code": "MGRS-20EPT"})
    first = scene(
        "S2B_T20EPT_20250731T131905_L2A", "05.11", "earth-search/sentinel-2-c1-l2a", **{"grid:code": "MGRS-20EPT"}
    )
    kept, older = without_older([first, plain])
    assert kept == [first]
    assert "earth-search/sentinel-2-c1-l2a" in older[0].reason


@pytest.mark.parametrize(
    ("made", "baseline"),
    [
        (OLD, "04.00"),
        (scene("x", **{"processing:version": "5.12"}), "05.12"),
        (scene("S2B_MSIL2A_20200322T074609_N0500_R135_T36NYH_20230612T214223"), "05.00"),
        (scene("x", **{"s2:product_uri": "S2A_MSIL2A_20200322T074609_N0214_R135_T36NYH_20200322T1.SAFE"}), "02.14"),
        (scene("x", "newest"), ""),
        (scene("x"), ""),
    ],
)
def test_baselines_are_read(made, baseline):
    found = ProcessingBaseline.of_item(made.id, made.item["properties"])
    assert str(found or "") == baseline


def test_granules_are_told_by_second_and_tile():
    assert granule_of(OLD) == ("sentinel-2b", TIME.replace(microsecond=0), "24XWR")
    assert granule_of(scene("S2B_20EPT_20250731_0_L2A")) == ("sentinel-2b", TIME.replace(microsecond=0), "20EPT")
