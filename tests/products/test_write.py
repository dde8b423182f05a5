"""Products of a finished run move to their place together, and the record never speaks of other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.core.request import Request
from geoseg.errors import GeosegError
from geoseg.pipeline import map_flood
from tests.support.command import geoseg
from tests.support.made_scenes import INSIDE, write_scene


@pytest.fixture
def request_(tmp_path):
    scene = write_scene(tmp_path / "lagoon.tif")
    words = ("--sensor", "s1", "--units", "db", "--date", "2024-05-01", "-o", tmp_path / "catalog", "-q")
    assert geoseg("catalog", "add", scene, *words).status == 0
    return Request.of(
        bbox=INSIDE, date="2024-05-01", sensor="s1", model="otsu", catalog=str(tmp_path / "catalog" / "catalog.json")
    )


def test_a_replacement_that_fails_half_way_leaves_no_record_of_the_earlier_run(request_, tmp_path, monkeypatch):
    """The old run.json beside a new flood.tif would describe another map."""
    out = tmp_path / "out"
    map_flood(request_, out)
    assert {"flood.tif", "run.json"} <= {path.name for path in out.iterdir()}
    replace, failing = Path.replace, []

    def fails_at_the_mask(self, target):
        if Path(target) == out / "flood.tif":
            failing.append(target)
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_at_the_mask)
    with pytest.raises(GeosegError):
        map_flood(request_, out, overwrite=True)
    assert failing
    assert not (out / "run.json").exists()
    monkeypatch.undo()
    map_flood(request_, out, overwrite=True)
    assert (out / "run.json").is_file()
