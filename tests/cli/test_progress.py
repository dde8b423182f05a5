"""Progress off a terminal: a log file hears when a step begins, when it is done, and now and then between."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from geoseg.cli import progress as draw
from geoseg.core.progress import Progress


@pytest.fixture
def told():
    """A reporter, and what it has written."""
    console = Console(file=StringIO(), width=200)
    report = draw._lines(console)

    def lines(*events: Progress) -> list[str]:
        for event in events:
            report(event)
        return console.file.getvalue().splitlines()

    return lines


def steps(done, note=""):
    return Progress("train", done, 500, "steps", note)


def test_a_step_is_told_when_it_begins_and_when_it_is_done(told):
    assert told(steps(0), steps(100), steps(499), steps(500, "loss 0.4"), steps(500, "loss 0.4")) == [
        "train 0/500 steps ...",
        "train done loss 0.4",
    ]


def test_the_next_fold_begins_again(told):
    lines = told(steps(0), steps(500), steps(1, "Nigeria"), steps(500, "Nigeria"))
    assert lines[2:] == ["train 1/500 steps Nigeria ...", "train done Nigeria"]


def test_long_work_is_heard_of(told, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(draw.time, "monotonic", lambda: now[0])
    told(steps(0))
    for done in range(1, 240):  # a step a second
        now[0] += 1
        lines = told(steps(done, "loss 0.5"))
    assert lines[1:] == [f"train {done}/500 steps loss 0.5" for done in (61, 122, 183)]


@pytest.mark.parametrize(
    ("event", "reached"),
    [
        (Progress("labels", 3, 529, "images"), "3/529 images"),
        (Progress("map", 0.26, 4.25, "Mpx"), "0.3/4.2 Mpx"),
        (Progress("search", 0), ""),
        (Progress("folds", 1000, 2000, "folds"), "1,000/2,000 folds"),
    ],
)
def test_figures_are_whole_where_the_whole_is(event, reached):
    assert draw._reached(event) == reached
