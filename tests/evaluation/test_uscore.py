"""U-Score: as the authors' calculator has it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.evaluation.uscore import FLOOR, ModelCost, u_score, u_scores

# the calculator's own example: U-Net on BUSI, whose percentiles and speeds it prints
UNET = ModelCost(0.6557507, 34.527041, 65.522368512, 137.05495085406875)
BUSI, THEIR_SPEED = (0.5837592, 0.7062627), (24.28, 121.63)


def test_it_is_the_harmonic_mean_that_the_page_computes():
    # by hand: a = 0.58767, p = 0.19802, g below the floor, s above 1
    parts = (4.32 - math.log(34.527041)) / 3.93, FLOOR, 1.0
    efficiency = 3 / sum(1 / part for part in parts)
    assert u_score(UNET, BUSI, THEIR_SPEED) == pytest.approx(200 / (1 / 0.587670 + 1 / efficiency), rel=1e-4)
    assert u_score(UNET, BUSI, THEIR_SPEED) == pytest.approx(19.26, abs=0.01)


@given(st.floats(0, 1), st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 1000))
def test_it_lies_between_the_floor_and_a_hundred(iou, parameters, multiply_adds, speed):
    score = u_score(ModelCost(iou, parameters, multiply_adds, speed), BUSI, THEIR_SPEED)
    assert 100 * FLOOR - 1e-9 <= score <= 100 + 1e-9


@given(st.floats(0.58, 0.7), st.floats(2, 70), st.floats(3, 60), st.floats(25, 120))
def test_more_accurate_smaller_or_faster_is_never_worse(iou, parameters, multiply_adds, speed):
    def score(**better: float) -> float:
        facts = {"iou": iou, "parameters_m": parameters, "multiply_adds_g": multiply_adds, "chips_per_second": speed}
        return u_score(ModelCost(**(facts | better)), BUSI, THEIR_SPEED)

    for better in (
        {"iou": iou + 0.01},
        {"parameters_m": parameters / 2},
        {"multiply_adds_g": multiply_adds / 2},
        {"chips_per_second": speed * 2},
    ):
        assert score(**better) >= score()


def test_two_models_have_no_percentiles():
    pair = {"a": UNET, "b": UNET}
    assert all(math.isnan(each) for each in u_scores(pair).values())
    lost = ModelCost(float("nan"), 1, 1, 1)
    assert all(math.isnan(each) for each in u_scores(pair | {"c": lost}).values())
    cheap = ModelCost(0.7, 0.0, 0.0, 500.0)
    scored = u_scores(pair | {"baseline": cheap, "lost": lost})
    assert max(scored, key=lambda name: -1 if math.isnan(scored[name]) else scored[name]) == "baseline"
    assert scored["baseline"] == pytest.approx(100)
    assert math.isnan(scored["lost"])
