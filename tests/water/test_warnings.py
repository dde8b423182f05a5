"""What a person is warned of, and what not."""

from __future__ import annotations

import pytest

from geoseg.catalog.cards import card
from geoseg.core.scene import RejectedScene
from geoseg.readers import Failure
from geoseg.water.areas import ClassAreas
from geoseg.water.mask import MaskSummary
from geoseg.water.warnings import NO_REFERENCE, MapFindings, observation_warnings, result_warnings


def areas(dry=0, flood=0, permanent=0, hidden=0, reference=(0, 0)) -> ClassAreas:
    pixels = {0: dry, 1: flood, 2: permanent, 255: hidden}
    return ClassAreas(pixels, {code: count / 100 for code, count in pixels.items()}, reference)


def warned(found: ClassAreas, model: str = "otsu", **more) -> list[str]:
    facts = {"reference_gap": "", "scene_threshold_info": {}, "failed": (), "rejected": ()} | more
    summary = MaskSummary(found, facts.pop("reference_px", 0), facts.pop("unknown_reference_px", 0))
    return result_warnings(MapFindings(card(model), summary, **facts))


def test_a_common_map_warns_of_nothing():
    assert warned(areas(80, 20), "flood-s1") == []
    assert observation_warnings(areas(80, 20)) == []


@pytest.mark.parametrize(("seen", "warns"), [(0, True), (49, True), (50, False), (100, False)])
def test_known_water_that_was_missed_by_more_than_half(seen, warns):
    """A model that sees less than half of the water that is known to be there does not see the flood either."""
    said = warned(areas(80, 20, reference=(100, seen)))
    assert said == ([f"Only {seen} % of the known permanent water was found: do not trust what is called dry."] * warns)


def test_no_known_water_is_no_warning():
    assert warned(areas(80, 20, reference=(0, 0))) == []


@pytest.mark.parametrize("model", ["flood-s1", "otsu"])
@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"dry": 9}, "found no water anywhere"),
        ({"dry": 9, "hidden": 5}, "found no water anywhere"),
        ({"flood": 9}, "calls all of the observed area water"),
        ({"flood": 5, "permanent": 4}, "calls all of the observed area water"),
        ({"dry": 9, "permanent": 1}, None),
        ({"dry": 1, "flood": 9}, None),
        ({"hidden": 9}, None),
    ],
)
def test_a_network_that_gives_one_class_to_all_it_saw_is_doubted_and_a_baseline_is_not(model, found, said):
    notes = warned(areas(**found), model)
    if said is None or model == "otsu":
        assert notes == []
    else:
        (note,) = notes
        assert said in note
        assert "flood-s1" in note


@pytest.mark.parametrize(
    ("hidden", "says"), [(0, ""), (0.9, ""), (1, "1 %"), (40, "40 %"), (100, "NOTHING WAS OBSERVED")]
)
def test_what_was_not_observed(hidden, says):
    notes = observation_warnings(areas(dry=10 * (100 - hidden), hidden=10 * hidden))
    assert [says in note for note in notes] == [True] * bool(says)


def test_an_area_without_a_pixel():
    assert "NOTHING WAS COUNTED" in observation_warnings(areas())[0]


def test_scenes_that_are_not_in_the_map_are_named():
    failed = (Failure("S1A_x", "it is truncated"), Failure("S1A_x", "again"))
    notes = warned(areas(80, 20), failed=failed, rejected=(RejectedScene("S1B_y", "no VV."), RejectedScene("z", "z")))
    assert any("S1A_x" in note and note.startswith("1 scene ") for note in notes)
    assert any("S1B_y (no VV)" in note and "1 more" in note for note in notes)


GAP = "{share} of the flood lies outside."


@pytest.mark.parametrize(
    ("unknown_px", "said"),
    [(0, None), (1, "5 %"), (5, "25 %"), (20, "100 %")],
)
def test_flood_over_ground_without_reference(unknown_px, said):
    notes = warned(areas(80, 20), reference_gap=GAP, reference_px=50, unknown_reference_px=unknown_px)
    assert notes == ([f"{said} of the flood lies outside."] if said else [])


def test_a_small_share_is_not_called_nothing():
    (note,) = warned(areas(80, 900), reference_gap=GAP, reference_px=50, unknown_reference_px=1)
    assert note == "Less than 1 % of the flood lies outside."


def test_a_reference_that_covers_nothing_is_told_once():
    assert warned(areas(80, 20), reference_gap=GAP, unknown_reference_px=20) == [NO_REFERENCE]
