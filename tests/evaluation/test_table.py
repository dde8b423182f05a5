"""The table: exact, every score under its own name, undefined where it must be."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_regions import chip
from sklearn.metrics import f1_score, jaccard_score, recall_score

from geoseg.evaluation.records import ChipRecord, Costs, FoldRecord
from geoseg.evaluation.report import as_csv, as_json, as_markdown, summary
from geoseg.evaluation.table import scores_of, tabled

CLASSES = ("dry", "water")
MATRICES = st.tuples(*[st.tuples(st.integers(0, 40), st.integers(0, 40))] * 2)


def fold(name: str, *chips: ChipRecord, label: str = "unet", shots: int = 0, repeat: int = 0) -> FoldRecord:
    costs = Costs(
        parameters=10,
        trainable=4,
        multiply_adds=100,
        counted_px=256,
        scored_px=2 * 65536,
        score_seconds=0.5,
        train_seconds=2.0,
        peak_memory=1000,
        device="cpu",
    )
    return FoldRecord(
        fingerprint="f",
        label=label,
        model=label,
        data="made",
        sensor="s1",
        bands=("vv",),
        classes=CLASSES,
        fold=name,
        shots=shots,
        repeat=repeat,
        threshold_pct=50,
        chips=chips,
        costs=costs,
    )


def pixels(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions with this confusion matrix."""
    cells = [(truth, said) for truth in (0, 1) for said in (0, 1) for _ in range(matrix[truth][said])]
    return np.array([truth for truth, _ in cells], int), np.array([said for _, said in cells], int)


@given(st.lists(MATRICES, min_size=1, max_size=4))
def test_pooled_and_per_chip_scores_are_sklearns(matrices):
    scores = scores_of([chip(f"c{n}", matrix) for n, matrix in enumerate(matrices)], CLASSES)
    truth, said = pixels(np.sum(matrices, axis=0))
    if (truth == 1).any():
        assert scores["iou_water"] == pytest.approx(jaccard_score(truth, said))
        assert scores["f1_water"] == pytest.approx(f1_score(truth, said))
    else:
        assert math.isnan(scores["iou_water"])
    defined = [pixels(matrix) for matrix in matrices if sum(matrix[1])]
    expected = np.mean([recall_score(*each) for each in defined]) if defined else math.nan
    assert scores["recall_water_chip_mean"] == pytest.approx(expected, nan_ok=True)
    assert scores["accuracy"] == pytest.approx(np.mean(truth == said) if len(truth) else math.nan, nan_ok=True)
    # whatever was said, it was said with certainty: the error of calibration is the share that is wrong
    assert scores["ece"] == pytest.approx(np.mean(truth != said) if len(truth) else math.nan, nan_ok=True)


def test_a_region_without_water_is_in_nobodys_mean_whether_or_not_it_raised_a_false_alarm():
    wet, calm, alarmed = [[50, 10], [10, 30]], [[100, 0], [0, 0]], [[90, 10], [0, 0]]
    folds = [
        fold("a", chip("1", wet, "a"), label="first"),
        fold("b", chip("2", calm, "b"), label="first"),
        fold("a", chip("1", wet, "a"), label="second"),
        fold("b", chip("2", alarmed, "b"), label="second"),
    ]
    table = tabled("loro", folds, seed=0)
    rows = {(row.label, row.kind, row.name): row for row in table.rows}
    for label in ("first", "second"):
        assert math.isnan(rows[label, "group", "b"].scores["iou_water"])
        assert math.isnan(rows[label, "group", "b"].scores["iou_class_mean"])
        mean = rows[label, "mean", ""]
        assert (mean.scores["iou_water"], mean.units["iou_water"]) == (pytest.approx(0.6), 1)
        assert math.isnan(rows[label, "std", ""].scores["iou_water"])
    assert rows["second", "group", "b"].scores["accuracy"] == pytest.approx(0.9)
    pooled = [rows[label, "all", ""].scores["iou_water"] for label in ("first", "second")]
    assert pooled == [pytest.approx(30 / 50), pytest.approx(30 / 60)], "the false alarm counts in the pooled row"
    assert any("labels of b hold no water" in note for note in table.notes)


def test_mean_and_spread_are_the_samples_over_regions():
    ious = [0.2, 0.5, 0.9]
    folds = [
        fold(name, chip(name, [[0, 0], [round(100 * (1 - iou)), round(100 * iou)]], name))
        for name, iou in zip("abc", ious, strict=True)
    ]
    rows = {(row.kind, row.name): row for row in tabled("loro", folds, seed=0).rows}
    assert rows["mean", ""].scores["iou_water"] == pytest.approx(np.mean(ious))
    assert rows["std", ""].scores["iou_water"] == pytest.approx(np.std(ious, ddof=1))
    interval = rows["all", ""].intervals["iou_water"]
    assert (interval.units, interval.low <= interval.estimate <= interval.high) == (3, True)


def test_a_split_has_a_row_for_each_region_and_each_split():
    wet = [[50, 10], [10, 30]]
    chips = [chip("1", wet, "a", "test"), chip("2", wet, "b", "unseen"), chip("3", wet, "c", "unseen")]
    rows = tabled("split", [fold("split", *chips)], seed=0).rows
    assert [(row.block, row.kind, row.name) for row in rows] == [
        ("test", "group", "a"),
        ("test", "all", ""),
        ("unseen", "group", "b"),
        ("unseen", "group", "c"),
        ("unseen", "mean", ""),
        ("unseen", "std", ""),
        ("unseen", "all", ""),
    ]


def test_a_few_shot_curve_is_over_draws_and_what_learns_nothing_is_there_once():
    def drawn(iou: int) -> ChipRecord:
        return chip("1", [[0, 0], [100 - iou, iou]])

    folds = [
        fold("t-2-shots-1", drawn(20), shots=2, repeat=1),
        fold("t-2-shots-2", drawn(40), shots=2, repeat=2),
        fold("t-5-shots-1", drawn(60), shots=5, repeat=1),
        fold("t-5-shots-2", drawn(60), shots=5, repeat=2),
        fold("t", drawn(50), label="otsu"),
    ]
    table = tabled("fewshot", folds, seed=0)
    means = {row.shots: row.scores["iou_water"] for row in table.rows if row.kind == "mean"}
    assert means == {2: pytest.approx(0.3), 5: pytest.approx(0.6)}
    assert [row.scores["iou_water"] for row in table.rows if row.label == "otsu"] == [pytest.approx(0.5)]
    assert {row.label: row.score for row in table.costs} == {"unet": pytest.approx(0.6), "otsu": pytest.approx(0.5)}
    assert not table.pairs


def test_two_models_are_compared_on_the_regions_and_on_the_chips_that_both_saw():
    worse, better = [[50, 10], [20, 20]], [[55, 5], [5, 35]]
    folds = [
        fold(region, *(chip(f"{region}{n}", matrix, region) for n in range(2)), label=label)
        for label, matrix in (("first", worse), ("second", better))
        for region in "abcdefgh"
    ]
    pairs = tabled("loro", folds, seed=0).pairs
    assert [(row.first, row.second, row.units) for row in pairs] == [
        ("first", "second", "region"),
        ("first", "second", "chip"),
    ]
    assert pairs[0].found.difference == pytest.approx(20 / 50 - 35 / 45)
    assert pairs[0].found.permutation.p == pytest.approx(2 / 2**8)


def test_every_form_says_the_same_and_json_holds_no_nan():
    folds = [fold("a", chip("1", [[50, 10], [10, 30]], "a")), fold("b", chip("2", [[9, 0], [0, 0]], "b"))]
    table = tabled("loro", folds, seed=0)
    lines = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert [line["row"] for line in lines] == ["group", "group", "mean", "std", "all"]
    assert (lines[0]["iou_water"], lines[1]["iou_water"]) == ("0.600000", "")
    assert lines[2]["n_iou_water"] == "1"
    plain = json.loads(as_json(table), parse_constant=pytest.fail)
    assert plain["rows"][1]["scores"]["iou_water"] is None
    assert plain["costs"][0]["chips_per_second"] == pytest.approx(4.0)
    for text in (as_markdown(table), summary(table)):
        assert "0.600, n = 1" in text
        assert "nan" not in text
