"""Two maps into one folder: one runs, the other is told, and --overwrite is no way around it."""

from __future__ import annotations

import os

import pytest

from geoseg.core.lock import run_lock
from tests.support.made_scenes import INSIDE


@pytest.mark.parametrize("flags", [(), ("--overwrite",)])
def test_a_folder_in_use_is_refused(geoseg, lagoon, tmp_path, flags):
    where = ("--catalog", lagoon, "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")
    out = tmp_path / "out"
    with run_lock(out):
        said = geoseg("map", *where, "--out", out, *flags)
        assert said.status == 1
        assert "Another run is writing to" in said.errors[0]
        assert f"process {os.getpid()} on" in said.errors[0]
        assert not (out / "flood.tif").exists()
    assert not out.exists()
    assert geoseg("map", *where, "--out", out, *flags, "-q").status == 0
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
