"""``--help`` on a terminal of 80 columns: grouped, and nothing of it cut."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

GROUPS = ("Where", "When", "Imagery", "Model", "Products", "Computing")


def help_of(*verb: str) -> str:
    environment = {**os.environ, "COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    words = [sys.executable, "-m", "geoseg", *verb, "--help"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("verb", ["map", "scenes", "evaluate"])
def test_help_fits_80_columns_and_nothing_is_cut(verb):
    text = help_of(verb)
    assert "…" not in text
    assert "..." not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_options_of_map_are_grouped():
    lines = help_of("map").splitlines()
    places = [next(i for i, line in enumerate(lines) if line.startswith(f"╭─ {group} ─")) for group in GROUPS]
    assert places == sorted(places)
    panel = {}
    for line in lines:
        if line.startswith("╭─"):
            title = line.split()[1]
        elif line.startswith("│ --"):
            panel[line.split()[1]] = title
    assert panel["--bbox"] == panel["--aoi"] == "Where"
    assert panel["--date"] == panel["--before"] == panel["--window-days"] == "When"
    assert panel["--catalog"] == panel["--sensor"] == "Imagery"
    assert panel["--model"] == "Model"
    assert panel["--out"] == panel["--overwrite"] == panel["--reference-water"] == "Products"
    assert panel["--workers"] == panel["--device"] == "Computing"
