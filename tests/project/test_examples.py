"""What README and docstrings show runs as typed: Python blocks, commands on the imagery of the demo, doctests."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import textwrap
from pathlib import Path

import pytest

import geoseg
from geoseg.simulate import ensure
from tests.support.command import geoseg as run_command

PACKAGE = Path(geoseg.__file__).parent
README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """The demo's imagery, and an empty working directory."""
    ensure("urban")
    monkeypatch.chdir(tmp_path)


def python_blocks() -> dict[str, str]:
    blocks = {f"README {n}": block for n, block in enumerate(re.findall(r"^```python\n(.*?)^```", README, re.M | re.S))}
    shown = re.search(r"::\n\n((?:    .*\n|\n)+)", geoseg.__doc__ or "")
    assert shown
    return {**blocks, "geoseg": textwrap.dedent(shown[1])}


@pytest.mark.parametrize("block", python_blocks().values(), ids=python_blocks().keys())
def test_a_python_block_runs(block, tmp_path):
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    result = names["result"]
    assert isinstance(result, geoseg.MapResult)
    assert result.flood.is_file()
    assert sum(result.shares_pct.values()) == pytest.approx(100, abs=0.01)


def test_the_commands_on_the_demos_imagery_run(tmp_path):
    lines = [line for line in README.splitlines() if re.match(r"geoseg (scenes|map) .*--catalog demo", line)]
    assert {line.split()[1] for line in lines} == {"scenes", "map"}
    for line in lines:
        said = run_command(*shlex.split(line)[1:])
        assert said.status == 0, said.err
    assert (tmp_path / "town" / "flood.tif").is_file()


def test_the_examples_of_docstrings_run():
    """Only modules that show one are imported."""
    paths = [path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(("geoseg", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in paths]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert results
    assert {name: result.failed for name, result in results.items()} == dict.fromkeys(names, 0)
    assert all(result.attempted for result in results.values())
