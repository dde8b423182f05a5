"""A clone without the real data: tests that need them are skipped and counted, and CI refuses to skip them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("tests/pipeline/test_sen1floods11.py", "tests/products/test_preview.py")
"""One file whose tests all need the data, by way of other fixtures, and one where only some do."""


def run_pytest(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("GEOSEG_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", *ROOMS, "-p", "no:cacheprovider", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**outside, **environment}, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture
def absent(tmp_path: Path) -> str:
    """Where no data are."""
    return str(tmp_path / "absent")


@pytest.mark.heavy
def test_tests_of_real_data_are_skipped_and_counted(absent):
    done = run_pytest("-m", "real_data", GEOSEG_TEST_DATA=absent)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, told, summary = done.stdout.strip().splitlines()
    skipped = int(re.match(r"(\d+) skipped, \d+ deselected in", summary)[1])
    assert skipped > 5
    assert told.startswith(f"{skipped} tests were skipped: the real data are not at {absent}.")


@pytest.mark.heavy
def test_the_other_tests_of_a_file_still_run(absent):
    done = run_pytest("-k", "test_preview", GEOSEG_TEST_DATA=absent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed, \d+ skipped", done.stdout.splitlines()[-1])


@pytest.mark.heavy
def test_ci_fails_without_data(absent):
    done = run_pytest(GEOSEG_TEST_DATA=absent, GEOSEG_REQUIRE_TEST_DATA="1")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"the real data are not at {absent}" in done.stderr
    assert "GEOSEG_REQUIRE_TEST_DATA=1 make test" in (ROOT / ".ci" / "run").read_text()


def test_one_place_knows_where_the_data_are():
    """A test that found the data in another way than through the fixture would fail in a clone, not be skipped."""
    here = Path(__file__).resolve()
    files = [path for path in (ROOT / "tests").rglob("*.py") if path not in (here, ROOT / "tests" / "conftest.py")]
    assert len(files) > 50
    assert [path.name for path in files if re.search(r"GEOSEG_TEST_DATA|shared.{1,5}data", path.read_text())] == []
