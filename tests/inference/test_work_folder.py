"""A run that is killed carries on, and never from pixels that are not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OutputNotWritableError
from geoseg.inference.layers import ByteLayer
from geoseg.inference.work_folder import JOURNAL, NAME, WorkFolder

SHAPE = (30, 7)
LAYERS = ("probability", "source")


def reopened(folder, key="a" * 64, shape=SHAPE, layers=LAYERS):
    return WorkFolder.open(folder, key, shape, layers)


def rows(start, stop):
    return np.arange(start * SHAPE[1], stop * SHAPE[1], dtype=np.uint8).reshape(-1, SHAPE[1])


def half_done(folder):
    work = reopened(folder)
    for layer in work.layers.values():
        layer.write(0, rows(0, 10))
    work.commit(1, {"sums": np.arange(6, dtype=np.int64).reshape(2, 3), "top": np.array(10)})
    return work


def test_rows_that_nobody_wrote_cannot_be_read(tmp_path):
    work = reopened(tmp_path)
    assert (work.row, work.carry()) == (0, {})
    layer = work.layers["probability"]
    for wanted in (slice(0, 30), slice(9, 11), slice(10, 11)):
        with pytest.raises(ValueError, match="not in a layer of"):
            layer.read((wanted, slice(0, 7)))
        layer.write(0, rows(0, 10))
    assert not layer.is_whole


def test_a_layer_larger_than_the_disk_is_refused_before_it_is_begun(tmp_path):
    with pytest.raises(OutputNotWritableError, match="full"):
        ByteLayer.create(tmp_path / "a.raw", (2**30, 2**30))


def test_what_was_committed_is_there_again(tmp_path):
    half_done(tmp_path)
    again = reopened(tmp_path)
    assert again.row == 1
    assert (again.layers["probability"].read((slice(0, 10), slice(0, 7))) == rows(0, 10)).all()
    carry = again.carry()
    assert carry["sums"].dtype == np.int64
    assert (carry.pop("sums") == [[0, 1, 2], [3, 4, 5]]).all()
    assert "sums" in again.carry(), "taking the carry apart must not change what the folder remembers"


@pytest.mark.parametrize(
    "other", [{"key": "b" * 64}, {"shape": (30, 8)}, {"layers": ("probability",)}], ids=["key", "shape", "layers"]
)
def test_other_work_starts_afresh(tmp_path, other):
    half_done(tmp_path)
    assert reopened(tmp_path, **other).row == 0


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / JOURNAL).write_text('{"key"'),
        lambda folder: (folder / JOURNAL).write_text("[]"),
        lambda folder: (folder / JOURNAL).unlink(),
        lambda folder: (folder / "carry-1.npz").unlink(),
        lambda folder: _shorten(folder / "carry-1.npz"),
        lambda folder: _shorten(folder / "source.raw"),
        lambda folder: (folder / "probability.raw").unlink(),
    ],
    ids=["half journal", "other journal", "no journal", "no carry", "half carry", "short layer", "no layer"],
)
def test_damaged_work_starts_afresh(tmp_path, damage):
    half_done(tmp_path)
    damage(tmp_path / NAME / "map")
    work = reopened(tmp_path)
    assert work.row == 0
    assert [layer.rows for layer in work.layers.values()] == [0, 0]


def test_old_carries_do_not_pile_up(tmp_path):
    work = half_done(tmp_path)
    work.commit(2, {"top": np.array(20)})
    work.commit(3)
    assert sorted(file.name for file in (tmp_path / NAME / "map").iterdir()) == [
        JOURNAL,
        "probability.raw",
        "source.raw",
    ]
    WorkFolder.discard(tmp_path)
    assert not (tmp_path / NAME / "map").exists()


def test_work_does_not_run_backwards(tmp_path):
    with pytest.raises(ValueError, match="committed from the top"):
        half_done(tmp_path).commit(0)


KILLED = """
import os, sys
import numpy as np
from pathlib import Path
from geoseg.inference.work_folder import WorkFolder
work = WorkFolder.open(Path(sys.argv[1]), "a" * 64, (30, 7), ("probability", "source"))
for row in range(work.row, 3):
    print(row, flush=True)
    block = np.full((10, 7), row, np.uint8)
    work.layers["probability"].write(row * 10, block)
    if row == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
    work.commit(row + 1, {"row": np.array(row)})
"""


def test_a_killed_process_is_carried_on_by_the_next(tmp_path):
    def run(dies_at):
        return subprocess.run(
            [sys.executable, "-c", KILLED, tmp_path, dies_at], capture_output=True, text=True, check=False
        )

    killed = run("1")
    assert (killed.returncode, killed.stdout.split()) == (-signal.SIGKILL, ["0", "1"])
    assert json.loads((tmp_path / NAME / "map" / JOURNAL).read_text())["row"] == 1
    rest = run("9")
    assert rest.stdout.split() == ["1", "2"], rest.stderr
    whole = reopened(tmp_path).layers["probability"].read((slice(0, 30), slice(0, 7)))
    assert (whole == np.repeat([0, 1, 2], 10)[:, None]).all()


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 11))
def test_a_layer_reads_back_what_was_written_however_it_is_cut(tmp_path_factory, heights, width, step):
    values = np.random.default_rng(sum(heights)).integers(0, 255, (sum(heights), width)).astype(np.uint8)
    layer = ByteLayer.create(tmp_path_factory.mktemp("layer") / "a.raw", values.shape)
    for first, height in zip(np.cumsum([0, *heights]), heights, strict=False):
        layer.write(int(first), values[first : first + height])
    assert (np.concatenate([block for _, block in layer.blocks(step)]) == values).all()
    assert layer.decimated(1).tolist() == values.tolist()
    assert (
        layer.decimated(step).tolist()
        == values[min(step // 2, len(values) - 1) :: step, min(step // 2, width - 1) :: step].tolist()
    )
    assert layer.path.stat().st_size == values.size


@pytest.mark.parametrize(
    ("first", "block"),
    [
        (0, np.zeros((31, 7), np.uint8)),
        (0, np.zeros((2, 6), np.uint8)),
        (0, np.zeros((2, 7))),
        (1, np.zeros((2, 7), np.uint8)),
    ],
    ids=["too tall", "too narrow", "floats", "with a gap above"],
)
def test_a_block_that_does_not_fit_is_refused(tmp_path, first, block):
    layer = ByteLayer.create(tmp_path / "a.raw", SHAPE)
    with pytest.raises(ValueError, match="layer"):
        layer.write(first, block)
