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
from sklearn.metrics import f1_score, jaccard_score, recall_score

from geoseg.evaluation.records import ChipRecord, Costs, FoldRecord
from geoseg.evaluation.report import as_csv, as_json, as_markdown, summary
from geoseg.evaluation.table import build_table, scores_of
from tests.support.made_regions import chip

CLASSES = ("dry", "water")
WORSE, BETTER = [[50, 10], [20, 20]], [[55, 5], [5, 35]]
MATRICES = st.tuples(*[st.tuples(st.integers(0, 40), st.integers(0, 40))] * 2)


def fold(
    name: str,
    *chips: ChipRecord,
    label: str = "unet",
    shots: int = 0,
    repeat: int = 0,
    learned_from: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> FoldRecord:
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
        learned_from=learned_from,
        threshold_pct=50,
        chips=chips,
        costs=costs,
        notes=notes,
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
    table = build_table("loro", folds, seed=0)
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
    rows = {(row.kind, row.name): row for row in build_table("loro", folds, seed=0).rows}
    assert rows["mean", ""].scores["iou_water"] == pytest.approx(np.mean(ious))
    assert rows["std", ""].scores["iou_water"] == pytest.approx(np.std(ious, ddof=1))
    interval = rows["all", ""].intervals["iou_water"]
    assert (interval.units, interval.low <= interval.estimate <= interval.high) == (3, True)


def test_a_split_has_a_row_for_each_region_and_each_split():
    wet = [[50, 10], [10, 30]]
    chips = [chip("1", wet, "a", "test"), chip("2", wet, "b", "unseen"), chip("3", wet, "c", "unseen")]
    rows = build_table("split", [fold("split", *chips)], seed=0).rows
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
    table = build_table("fewshot", folds, seed=0)
    means = {row.shots: row.scores["iou_water"] for row in table.rows if row.kind == "mean"}
    assert means == {2: pytest.approx(0.3), 5: pytest.approx(0.6)}
    assert [row.scores["iou_water"] for row in table.rows if row.label == "otsu"] == [pytest.approx(0.5)]
    assert {row.label: row.score for row in table.costs} == {"unet": pytest.approx(0.6), "otsu": pytest.approx(0.5)}
    assert not table.pairs


def test_ways_to_fine_tune_are_compared_after_as_many_shots():
    """Over draws, and over chips with the counts of all draws together."""
    folds = [
        fold("t", *(chip(f"c{n}", matrix) for n in range(7)), label=label, shots=shots, repeat=draw)
        for label, matrix in (("unet frozen", WORSE), ("unet full", BETTER))
        for shots in (2, 5)
        for draw in range(1, 7)
    ]
    table = build_table("fewshot", folds, seed=0)
    assert [(row.first, row.second, row.block, row.units) for row in table.pairs] == [
        ("unet frozen", "unet full", f"{shots} shots", units) for shots in (2, 5) for units in ("draw", "chip")
    ]
    tests = [row.found.permutation for row in table.pairs[:2]]
    assert [(test.pairs, test.p) for test in tests] == [(6, pytest.approx(2 / 2**6)), (7, pytest.approx(2 / 2**7))]
    assert all(row.found.difference == pytest.approx(20 / 50 - 35 / 45) for row in table.pairs)
    assert "Draws of the same number" in as_markdown(table)


def judged(label: str, matrix, learned: str = "") -> list[FoldRecord]:
    """A contender in the regions a to h, of which it knew some."""
    return [
        fold(
            region,
            *(chip(f"{region}{n}", matrix, region) for n in range(2)),
            label=label,
            learned_from=tuple(f"{region}{n}" for n in range(2) if region in learned),
        )
        for region in "abcdefgh"
    ]


def test_what_a_bundle_had_learned_from_is_marked_and_no_model_is_ranked_by_it():
    known = fold("a", chip("a0", [[60, 0], [0, 40]], "a"), label="mine", learned_from=("a0",))
    folds = [known, *judged("mine", WORSE)[1:4], *judged("otsu", BETTER)[:4], *judged("third", WORSE)[:4]]
    table = build_table("loro", folds, seed=0)
    rows = {(row.label, row.kind, row.name): row for row in table.rows}
    assert [name for (label, _, name), row in rows.items() if label == "mine" and name and row.learned_from] == ["a"]
    mean, unseen = rows["mine", "mean", ""], rows["mine", "mean_unseen", ""]
    assert mean.scores["iou_water"] == pytest.approx((1 + 3 * 0.4) / 4)
    assert (unseen.scores["iou_water"], unseen.units["iou_water"], unseen.chips) == (pytest.approx(0.4), 3, 6)
    assert rows["otsu", "mean_unseen", ""].units["iou_water"] == 3, "the same regions for every model"
    assert {row.label: row.score for row in table.costs} == {
        "mine": pytest.approx(0.4),
        "otsu": pytest.approx(35 / 45),
        "third": pytest.approx(0.4),
    }
    scores = {row.label: row.u_score for row in table.costs}
    assert scores["mine"] == pytest.approx(scores["third"]), "what it knew does not lift its U-Score"
    assert all(row.left_out == (("a",) if "mine" in (row.first, row.second) else ()) for row in table.pairs)
    tested = [row.found for row in table.pairs if (row.first, row.second, row.units) == ("mine", "otsu", "chip")]
    assert [found.wilcoxon.pairs for found in tested] == [6]
    text = as_markdown(table)
    assert text.splitlines()[2].startswith("**Warning:** mine had learned from 1 of the 4 regions: a. ")
    assert "over b, c, d, from which no model here had learned" in table.warning
    assert "| a † " in text
    assert text.count("Warning") == 1


def test_bundles_that_leave_no_common_region_have_means_of_their_own_and_no_test():
    table = build_table("loro", [*judged("one", WORSE, "abcdef"), *judged("two", BETTER, "gh")], seed=0)
    units = {row.label: row.units["iou_water"] for row in table.rows if row.kind == "mean_unseen"}
    assert units == {"one": 2, "two": 6}
    assert not table.pairs
    assert "nor U-Scores compare models" in table.warning
    assert any("one and two" in note for note in table.notes if note.startswith("Not compared"))


def test_a_bundle_that_knew_everything_is_ranked_by_what_it_knew_and_that_is_marked():
    table = build_table("loro", judged("mine", WORSE, "abcdefgh"), seed=0)
    assert {row.kind for row in table.rows} == {"group", "mean", "std", "all"}
    assert table.costs[0].learned_from == 16
    assert "| 0.400 † " in as_markdown(table).split("## Cost")[1]


def test_part_of_a_region_spoils_it():
    chips = [chip(f"{region}{n}", WORSE, region, "test") for region in "ab" for n in range(2)]
    table = build_table("split", [fold("split", *chips, learned_from=("a1",))], seed=0)
    assert "1 of the 2 regions: a (1 of 2 images)" in table.warning
    row = next(row for row in table.rows if row.kind == "all_unseen")
    assert (row.chips, row.learned_from) == (2, 0)


def test_nothing_is_marked_where_nothing_was_known():
    table = build_table("loro", judged("otsu", WORSE), seed=0)
    assert table.warning == ""
    assert {row.kind for row in table.rows} == {"group", "mean", "std", "all"}
    assert "†" not in as_markdown(table) + summary(table)


def test_a_note_is_said_once_whoever_it_is_of():
    folds = [fold(name, chip(name, WORSE, name), label=label, notes=("Few.",)) for label in "xy" for name in "abcd"]
    folds.append(fold("a", chip("a", WORSE, "a"), label="z", notes=("Few.",)))
    assert build_table("loro", folds, seed=0).notes == ("x (4 folds), y (4 folds), z (a): Few.",)


def test_what_is_averaged_over_chips_is_not_called_pixels():
    scores, _, per_chip = as_markdown(build_table("loro", judged("otsu", WORSE), seed=0)).partition("## Per chip")
    assert "| all pixels" in scores
    assert "mean over chips" not in scores
    assert "| mean over chips" in per_chip
    assert "| all pixels" not in per_chip


def test_the_table_begins_with_a_line_a_model():
    lines = as_markdown(build_table("loro", [*judged("one", WORSE), *judged("two", BETTER)], seed=0)).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:6]]
    assert cells[0] == ["model", "mean water IoU (std)", "regions", "train s", "score s"]
    assert cells[2:] == [["one", "0.400 (0.000)", "8", "16", "4.0"], ["two", "0.778 (0.000)", "8", "16", "4.0"]]


def test_two_models_are_compared_on_the_regions_and_on_the_chips_that_both_saw():
    worse, better = [[50, 10], [20, 20]], [[55, 5], [5, 35]]
    folds = [
        fold(region, *(chip(f"{region}{n}", matrix, region) for n in range(2)), label=label)
        for label, matrix in (("first", worse), ("second", better))
        for region in "abcdefgh"
    ]
    pairs = build_table("loro", folds, seed=0).pairs
    assert [(row.first, row.second, row.units) for row in pairs] == [
        ("first", "second", "region"),
        ("first", "second", "chip"),
    ]
    assert pairs[0].found.difference == pytest.approx(20 / 50 - 35 / 45)
    assert pairs[0].found.permutation.p == pytest.approx(2 / 2**8)


def test_every_form_says_the_same_and_json_holds_no_nan():
    folds = [fold("a", chip("1", [[50, 10], [10, 30]], "a")), fold("b", chip("2", [[9, 0], [0, 0]], "b"))]
    table = build_table("loro", folds, seed=0)
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
