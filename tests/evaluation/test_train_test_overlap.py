"""An image is known again under the names that gathering and cutting give it, and not taken for its namesake."""

from __future__ import annotations

import pytest

from geoseg.catalog.cards import ModelCard, TrainingRun, cards
from geoseg.evaluation.train_test_overlap import learned_from


def card(*trained_on: str, validated_on: tuple[str, ...] = ()) -> ModelCard:
    run = TrainingRun(
        recipe={},
        trained_on=trained_on,
        validated_on=validated_on,
        labelled_px={},
        steps=1,
        seconds=1.0,
        device="CPU",
        versions={},
        data_sha256="",
    )
    return cards()["otsu"].model_copy(update={"training": run})


@pytest.mark.parametrize(
    ("taught", "judged"),
    [
        ("Kano_1", "Kano_1"),
        ("both/Kano_1", "Kano_1"),
        ("Kano_1", "both/Kano_1"),
        ("Kano_1", "Kano_1_y0_x256"),
        ("Kano_1_y0_x256", "Kano_1"),
        ("Kano_1_y0_x256", "both/Kano_1_y256_x0"),
    ],
)
def test_it_is_the_same_image(taught, judged):
    assert learned_from(card(taught), [judged, "Lagos_1"]) == (judged,)
    assert learned_from(card("x", validated_on=(taught,)), [judged]) == (judged,), "it chose among the weights"


@pytest.mark.parametrize(("taught", "judged"), [("Lagos/1", "Kano/1"), ("Kano_1", "Kano_11"), ("a/b", "a")])
def test_it_is_another(taught, judged):
    assert learned_from(card(taught), [judged]) == ()


def test_of_a_bundle_without_a_record_nothing_is_said():
    assert learned_from(cards()["otsu"], ["Kano_1"]) == ()
