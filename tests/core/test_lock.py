"""One folder has one writer, whoever asks second is told who the first is, and a dead writer holds nothing."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time

import pytest

from geoseg.core.lock import LOCK, Holder, run_lock
from geoseg.errors import OutputExistsError

HOLD = """
import sys, time
from pathlib import Path
from geoseg.core.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds ``tmp_path / "out"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out"), "https://x.org/?sig=SECRETSECRET"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_told_of_the_first(tmp_path, other):
    with pytest.raises(OutputExistsError) as error, run_lock(tmp_path / "out"):
        raise AssertionError("two writers")
    said = str(error.value)
    assert f"process {other.pid} on " in said
    assert "since " in said
    assert str(tmp_path / "out") in said
    assert "SECRETSECRET" not in said


def test_a_killed_process_holds_nothing(tmp_path, other):
    other.kill()
    other.wait()
    assert (tmp_path / "out" / LOCK).exists()
    with run_lock(tmp_path / "out"):
        assert Holder.read(tmp_path / "out" / LOCK).pid == os.getpid()
    assert not (tmp_path / "out" / LOCK).exists()


@pytest.mark.parametrize(("gone", "taken"), [(True, True), (False, False)])
def test_a_lock_of_a_process_that_is_gone_is_taken_over(tmp_path, gone, taken):
    """As a child that outlived its parent keeps it, or a file system that forgets to let go."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path = tmp_path / LOCK
    this = Holder.this_process()
    Holder(ended.pid if gone else os.getpid(), this.host, "geoseg map", time.time() - 7200).write(path)
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if taken:
            with run_lock(tmp_path):
                pass
        else:
            with pytest.raises(OutputExistsError, match=r"since 2 hours .geoseg map"), run_lock(tmp_path):
                raise AssertionError


def test_another_machines_process_is_never_called_gone():
    assert not Holder(2**22 + 1, "elsewhere", "geoseg map", 0.0).is_gone


def test_a_failed_run_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        raise ZeroDivisionError
    with run_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_says_nothing_is_still_one(tmp_path):
    with (tmp_path / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OutputExistsError, match="does not name itself"), run_lock(tmp_path):
            raise AssertionError


def test_a_folder_that_the_lock_made_goes_when_nothing_was_written(tmp_path):
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "out"):
        raise ZeroDivisionError
    assert not (tmp_path / "out").exists()
    (tmp_path / "own").mkdir()
    with run_lock(tmp_path / "own"):
        pass
    assert (tmp_path / "own").is_dir()
