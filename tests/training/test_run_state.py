"""Runs that are ended from outside, or meet another in their folder: nothing is lost, and nothing passes for done."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import rasterio
import torch
import yaml
from rasterio.transform import from_origin

from geoseg.catalog.cards import CARD
from geoseg.core.lock import LOCK, run_lock
from geoseg.core.progress import Progress
from geoseg.errors import BadLabelsError, BandMismatchError, InputRangeError, OutputExistsError, ResumeError
from geoseg.training import finetune as whole
from geoseg.training.finetune import RUN
from geoseg.training.loop import LAST
from tests.support.little_sets import finetune, little_set, pair, recipe, same_weights, scene, set_of, write_folder


class DiedError(Exception):
    """The machine stopped here."""


def dying(*_: object) -> None:
    raise DiedError


def test_a_run_that_dies_after_its_last_step_keeps_the_averaged_weights(tmp_path, monkeypatch):
    how = recipe(ema=0.9, validation=0.0)
    finetune(little_set(), how, tmp_path / "unhurt")
    finetune(little_set(), recipe(validation=0.0), tmp_path / "not-averaged")
    with monkeypatch.context() as patch, pytest.raises(DiedError):
        patch.setattr(whole, "save_bundle", dying)
        finetune(little_set(), how, tmp_path / "hurt")
    finetune(little_set(), how, tmp_path / "hurt", resume=True)
    assert same_weights(tmp_path / "hurt", tmp_path / "unhurt")
    assert not same_weights(tmp_path / "hurt", tmp_path / "not-averaged")


def test_a_run_that_is_told_to_end_has_not_ended_well(tmp_path):
    def told(event: Progress) -> None:
        if event.step == "train" and event.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt):
            finetune(little_set(), recipe(), tmp_path / "m", report=told)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not (tmp_path / "m" / CARD).exists()
    assert finetune(little_set(), recipe(), tmp_path / "m", resume=True).history[-1]["step"] == 4


def test_overwriting_removes_what_a_run_left_and_nothing_else(tmp_path):
    out = tmp_path / "project"
    write_folder(out / RUN, 2)  # a person's own images, where a run keeps its logs
    kept = sorted((out / RUN).rglob("*.tif"))
    finetune(little_set(), recipe(steps=1), out)
    first = sorted((out / RUN).rglob("metrics.csv"))
    finetune(little_set(), recipe(steps=1), out, overwrite=True)
    assert sorted((out / RUN).rglob("*.tif")) == kept
    assert len(kept) >= 4
    assert sorted((out / RUN).rglob("metrics.csv")) == first  # anew, not beside the old ones


def test_two_runs_do_not_share_a_folder(tmp_path):
    with run_lock(tmp_path / "m"), pytest.raises(OutputExistsError, match=f"Another run .*process {os.getpid()} "):
        finetune(little_set(), recipe(steps=1), tmp_path / "m", overwrite=True)
    finetune(little_set(), recipe(steps=1), tmp_path / "m", overwrite=True)  # it has let go
    assert not list((tmp_path / "m").rglob(LOCK))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a checkpoint", b"\x80\x02N."])
def test_a_damaged_checkpoint_is_told(tmp_path, monkeypatch, content):
    with monkeypatch.context() as patch, pytest.raises(DiedError):
        patch.setattr(whole, "save_bundle", dying)
        finetune(little_set(), recipe(), tmp_path / "m")
    (tmp_path / "m" / RUN / LAST).write_bytes(content)
    with pytest.raises(ResumeError, match=r"last\.ckpt is damaged .* --overwrite"):
        finetune(little_set(), recipe(), tmp_path / "m", resume=True)


# -- bundles to go on from ------------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path) -> Path:
    finetune(little_set(), recipe(steps=1), tmp_path / "start")
    return tmp_path / "start"


def rewrite(bundle: Path, change) -> None:
    card = yaml.safe_load((bundle / CARD).read_text())
    change(card)
    (bundle / CARD).write_text(yaml.safe_dump(card))


def test_a_run_does_not_go_on_from_another_card(start, tmp_path, monkeypatch):
    how = recipe(model=str(start), options={})
    with monkeypatch.context() as patch, pytest.raises(DiedError):
        patch.setattr(whole, "save_bundle", dying)
        finetune(little_set(), how, tmp_path / "m")
    rewrite(start, lambda card: card["normalisation"]["bands"]["vv"].update(mean=-3.0))
    with pytest.raises(ResumeError, match="another card"):
        finetune(little_set(), how, tmp_path / "m", resume=True)


def test_a_bundle_of_other_classes_is_not_gone_on_from(start, tmp_path):
    rewrite(start, lambda card: card.update(classes=["dry"]))
    with pytest.raises(BandMismatchError, match=r"tells water \(dry\)"):
        finetune(little_set(), recipe(model=str(start), options={}), tmp_path / "m")


# -- images that are not what they are said to be -------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True])
def test_power_is_not_taken_for_decibels(start, tmp_path, again):
    image, mask = scene(1)
    power = set_of(pair(*scene(0)), pair(10 ** (image / 10), mask, "b"))
    how = recipe(model=str(start), options={}) if again else recipe()
    with pytest.raises(InputRangeError, match="b of little is said to be in dB, but nearly all pixels lie between 0"):
        finetune(power, how, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_complex_images_are_refused_by_name(tmp_path):
    from geoseg.datasets.raster_file import read_header
    from geoseg.errors import SceneUnreadableError

    path = tmp_path / "slc.tif"
    where = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 10, 10)}
    with rasterio.open(path, "w", driver="GTiff", dtype="complex64", count=1, height=4, width=4, **where) as file:
        file.write(torch.zeros(1, 4, 4, dtype=torch.complex64).numpy())
    with pytest.raises(SceneUnreadableError, match="complex64"):
        read_header(path)


def test_a_polygon_beyond_the_earth_is_named(tmp_path):
    import geopandas
    from shapely.geometry import Polygon

    from geoseg.datasets.polygons import read_polygons

    far = Polygon([(0, 0), (1e308, 0), (1, 1)])
    frame = geopandas.GeoDataFrame({"class": ["dry"]}, geometry=[far], crs="EPSG:32632")
    frame.to_file(tmp_path / "far.gpkg")
    with pytest.raises(BadLabelsError, match="feature 1 lies nowhere on Earth"):
        read_polygons(tmp_path / "far.gpkg")
