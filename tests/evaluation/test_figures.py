"""Figures: what they colour is what happened."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.image
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import UNLABELLED
from geoseg.evaluation.counts import Confusion
from geoseg.evaluation.figures import (
    FALSE_ALARM,
    HIDDEN,
    HIT,
    MISS,
    RIGHT_DRY,
    UNKNOWN,
    accuracy_against_cost,
    outcomes,
    region_bars,
)
from geoseg.evaluation.rows import CostRow, Row, Table


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


def cost(label: str, score: float, parameters: int, multiply_adds: int, learned_from: int = 0) -> CostRow:
    size, speed = (parameters, None, multiply_adds), (10.0, 1, None, 1.0, float("nan"), "cpu")
    return CostRow(label, "s1", score, *size, *speed, learned_from)


def table(rows=(), costs=()) -> Table:
    return Table("loro", "iou_water", (), tuple(rows), tuple(costs), (), ())


def test_what_costs_nothing_stands_apart_and_every_mark_is_whole_and_explained():
    costs = [
        cost("otsu", 0.0, 0, 0),
        cost("ndwi", 0.7, 0, 0),
        cost("small", 0.8, 30_733, 50_000_000),
        cost("large", 1.0, 34_500_000, 65_000_000_000, learned_from=3),
    ]
    figure = accuracy_against_cost(table(costs=costs))
    left = figure.axes[0]
    marks = [line for line in left.lines if line.get_marker() != "None"]
    (border,) = [line for line in left.lines if line.get_marker() == "None"]
    places = [float(line.get_xdata()[0]) for line in marks]
    ticks = dict(zip([text.get_text() for text in left.get_xticklabels()], left.get_xticks(), strict=True))
    assert places[0] == places[1] == ticks["0"] < float(border.get_xdata()[0]) < places[2] < places[3]
    assert len({float(mark.get_markersize()) for mark in marks}) == 1, "a size would have to be explained"
    low, high = left.get_ylim()
    assert low < 0
    assert high > 1
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["otsu (none)", "ndwi (none)", "small (30,733)", "large (34.5 M)"]
    assert [mark.get_markerfacecolor() == "white" for mark in marks] == [False, False, False, True]


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=8))
@example([1.0])
@example([1e-4, 1e4])
@example([0.01, 9.9])
@settings(max_examples=3, deadline=None)
def test_labels_of_an_axis_do_not_touch(spent):
    networks = [cost(str(number), 0.6, 10, round(1e9 * each)) for number, each in enumerate(spent)]
    figure = accuracy_against_cost(table(costs=[cost("otsu", 0.5, 0, 0), *networks]))
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    assert len(boxes) >= 2, "0, and something beside it"
    assert all(before.x1 < after.x0 for before, after in pairwise(sorted(boxes, key=lambda box: box.x0)))


def test_bars_of_what_was_learned_from_are_hatched():
    kinds = (("a", "group"), ("b", "group"), ("", "mean"), ("", "std"), ("", "mean_unseen"))
    rows = [
        Row(label, "s1", "", name, kind, 1, 9, 3, 0, {"iou_water": 0.5}, learned_from=known)
        for label in ("mine", "otsu")
        for name, kind in kinds
        for known in [int(label == "mine" and (name == "a" or kind == "mean"))]
    ]
    axes = region_bars(table(rows), "").axes[0]
    hatched = [[bool(bar.get_hatch()) for bar in bars] for bars in axes.containers if len(bars) == 4]
    assert hatched == [[True, False, True, False], [False] * 4]
    assert any("hatched" in text.get_text() for text in axes.texts)
