"""One minute of the fuzzer with a fixed seed, and faults that it must find."""

from __future__ import annotations

import pytest

from tests.fuzz import run
from tests.fuzz.inputs import KINDS


@pytest.mark.timeout(400)
def test_a_minute_of_faulty_inputs_is_refused_without_a_fault():
    tried, faults = run.fuzz(2000, seed=0, seconds=60)
    assert tried >= len(KINDS)
    assert not faults, faults[0]


def test_the_guard_finds_files_and_connections_outside(tmp_path):
    guard = run._Guard(tmp_path / "inside")
    guard("open", (str(tmp_path / "inside" / "a"), None, 1))
    guard("socket.connect", (None, ("127.0.0.1", 80)))
    assert guard.found == ""
    guard("open", (str(tmp_path / "a"), None, 1))
    assert "wrote" in guard.found
    with pytest.raises(OSError, match="no connection"):
        guard("socket.connect", (None, ("169.254.169.254", 80)))


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), SystemExit(3)])
def test_an_error_that_is_not_ours_is_a_fault(tmp_path, monkeypatch, error):
    def broken(good, rng, folder):
        raise error

    monkeypatch.setitem(KINDS, "item", broken)
    assert "Traceback" in run._tried("item", 0, None, tmp_path / "x", run._Guard(tmp_path))
