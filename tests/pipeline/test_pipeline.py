"""What decides whether stopped work is resumed, and what the whole line says of simulated imagery."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from geoseg import pipeline
from geoseg.core.request import Request
from geoseg.models.bundle import load_bundle, save_bundle
from geoseg.pipeline import Compute, map_flood
from tests.support.made_scenes import INSIDE
from tests.support.stac_samples import write_list


class ReachedError(Exception):
    """The work folder is about to be opened."""


@pytest.fixture
def key_of(lagoon, tmp_path, monkeypatch):
    """``key_of(option=...)``: what the work folder of a request is kept under. No block is computed."""

    def opened(out, key, *words, **options):
        raise ReachedError(key)

    monkeypatch.setattr(pipeline.WorkFolder, "open", opened)

    def key(compute=None, **options):
        facts = {"bbox": INSIDE, "date": "2024-05-01", "sensor": "s1", "model": "otsu", "catalog": str(lagoon)}
        with pytest.raises(ReachedError) as reached:
            map_flood(Request.of(**(facts | options)), tmp_path / "out", compute=compute)
        return str(reached.value)

    return key


def test_the_same_request_resumes_however_it_is_computed(key_of):
    assert key_of() == key_of() == key_of(Compute(batch_size=3))


def test_another_request_does_not_resume(key_of, add_scene, lagoon):
    add_scene(lagoon, "spring", day="2024-04-20")
    others = [
        {},
        {"model": "otsu-vh"},
        {"model": "flood-s1"},
        {"model": "flood-s1", "precision": "bf16"},
        {"resolution_m": 20.0},
        {"crs": "EPSG:3857"},
        {"bbox": "9.003,47.834,9.026,47.849"},
        {"window_days": 15},
        {"window_days": 15, "composite": "median"},
        {"before": "2024-04-20"},
    ]
    assert len({key_of(**each) for each in others}) == len(others)


def test_a_scenes_file_that_changed_does_not_resume(key_of, lagoon, tmp_path):
    before = key_of()
    path = next((tmp_path / "files").glob("lagoon.tif"))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))
    assert key_of() != before


def test_another_version_does_not_resume(key_of, monkeypatch):
    before = key_of()
    monkeypatch.setattr(pipeline, "__version__", "999.0")
    assert key_of() != before


def test_weights_that_changed_under_the_same_name_do_not_resume(key_of, tmp_path):
    from geoseg.catalog.cards import shipped

    shutil.copytree(shipped("flood-s1"), tmp_path / "mine")
    before = key_of(model=str(tmp_path / "mine"))
    model = load_bundle(tmp_path / "mine")
    next(model.module.parameters()).data.add_(0.001)
    shutil.rmtree(tmp_path / "mine")
    save_bundle(tmp_path / "mine", model.module, model.card)
    assert key_of(model=str(tmp_path / "mine")) != before


@pytest.mark.parametrize("simulated", [True, False])
def test_a_map_of_simulated_imagery_says_so(lagoon, geoseg, tmp_path, simulated):
    item = json.loads((lagoon / "local-s1" / "lagoon.json").read_text())
    item["properties"]["geoseg:simulated"] = simulated
    item["assets"] = {
        key: asset | {"href": str(tmp_path / "files" / "lagoon.tif")} for key, asset in item["assets"].items()
    }
    listed = write_list(tmp_path / "list.json", [item])
    where = ("--catalog", listed, "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")
    said = geoseg("map", *where, "--out", tmp_path / "out", "--json")
    assert said.status == 0, said.err
    notes = said.record["notes"]
    assert ("The imagery is simulated: this flood never happened." in notes) is simulated
