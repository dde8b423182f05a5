"""Figures: what they colour is what happened."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.pair import UNLABELLED
from geoseg.evaluation.counts import NOT_OBSERVED, Confusion
from geoseg.evaluation.figures import FALSE_ALARM, HIDDEN, HIT, MISS, RIGHT_DRY, UNKNOWN, outcomes


@given(st.integers(0, 2**32 - 1))
def test_an_error_map_counts_what_the_table_counts(seed):
    random = np.random.default_rng(seed)
    truth = random.choice([UNLABELLED, 0, 1], (30, 20)).astype(np.int16)
    mask = random.choice([0, 1, NOT_OBSERVED], (30, 20)).astype(np.uint8)
    found, counted = outcomes(truth, mask), Confusion.of(truth, mask, 2)
    counts = {code: int((found == code).sum()) for code in (HIT, MISS, FALSE_ALARM, RIGHT_DRY, HIDDEN, UNKNOWN)}
    assert [counts[RIGHT_DRY], counts[FALSE_ALARM], counts[MISS], counts[HIT]] == counted.matrix.ravel().tolist()
    assert counts[HIDDEN] == counted.not_observed
    assert counts[UNKNOWN] == (truth == UNLABELLED).sum()
    assert sum(counts.values()) == truth.size


def test_every_kind_is_drawn(loro):
    out, answer = loro
    drawn = {name.rpartition("/figures/")[2] for name in answer["files"] if name.endswith(".png")}
    errors = {f"errors/{name}.png" for name in ("Kano_0", "Kano_1", "Lagos_0", "Niamey_0", "Sahara_0")}
    assert drawn == {"regions.png", "accuracy-cost.png"} | errors
    for name in drawn:
        picture = matplotlib.image.imread(out / "figures" / name)
        assert min(picture.shape[:2]) > 200
        assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 5


@pytest.mark.parametrize("name", ["Kano_0"])
def test_an_error_map_shows_false_alarms_in_their_colour(loro, name):
    picture = matplotlib.image.imread(loro[0] / "figures" / "errors" / f"{name}.png")[..., :3]
    land = np.array([0xEF, 0xE9, 0xDC]) / 255
    assert (np.abs(picture - land).max(axis=-1) < 0.01).mean() > 0.02, "the background that was right"
