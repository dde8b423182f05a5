"""Blocks give the same bytes here and on a cluster, whole or resumed, also when a worker dies half-way."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from geoseg.catalog.cards import Architecture, ModelCard
from geoseg.core.area import Area
from geoseg.core.grid import output_grid
from geoseg.core.progress import silent
from geoseg.core.request import Dates
from geoseg.inference.dask_executor import DaskExecutor, local_cluster
from geoseg.inference.job import InferenceJob, ModelInput
from geoseg.inference.local import LocalExecutor
from geoseg.inference.run import PROBABILITY, SOURCE, predict
from geoseg.inference.threshold import fit_scene_threshold
from geoseg.inference.tiles import TileReader
from geoseg.inference.windows import WindowPlan
from geoseg.inference.work_folder import WorkFolder
from geoseg.models.bundle import save_bundle
from geoseg.models.inference import Predictor
from geoseg.models.registry import build
from geoseg.readers import Cube
from geoseg.sources.local.add import add
from geoseg.sources.local.options import TypedOptions
from geoseg.sources.search import find_scenes

DAY = datetime(2024, 5, 1, 12, tzinfo=UTC)
SHAPE = (331, 290)
BATCH = 4


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Two Sentinel-1 scenes of one place; the later one has a hole, the earlier one less extent."""
    folder = tmp_path_factory.mktemp("catalog")
    rng = np.random.default_rng(7)
    for number, (day, rows) in enumerate((("2024-05-01", SHAPE[0]), ("2024-04-25", 200))):
        base = np.where(np.add.outer(np.arange(rows), np.arange(SHAPE[1])) % 160 < 70, -20.0, -9.0)
        values = (base + rng.normal(0, 1.5, (2, rows, SHAPE[1]))).astype(np.float32)
        if number == 0:
            values[:, 90:230, 60:210] = np.nan
        path = folder / f"scene-{number}.tif"
        profile = {
            "driver": "GTiff",
            "dtype": "float32",
            "count": 2,
            "height": rows,
            "width": SHAPE[1],
            "nodata": np.nan,
        }
        place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 10, 10)}
        with rasterio.open(path, "w", **profile, **place) as file:
            file.write(values)
            file.descriptions = ("VV", "VH")
        add([path], folder, TypedOptions(sensor="s1", date=day, units="db").checked())
    return folder


@pytest.fixture(scope="module")
def cube(catalog):
    area = Area.from_bbox((9.0, 47.823, 9.0385, 47.8525))
    scenes = find_scenes(area, Dates.parse("2024-04-20/2024-05-02"), "s1", str(catalog)).scenes
    assert len(scenes) == 2
    return lambda tile_px: Cube.of(scenes, output_grid(area.bbox, 10), ("vv", "vh"), instant=DAY, tile_px=tile_px)


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """A small U-Net with random weights whose probabilities spread over 0..100."""
    torch.manual_seed(3)
    architecture = Architecture(name="unet", options={"base": 4})
    card = ModelCard(
        name="tiny",
        title="test",
        family="cnn",
        architecture=architecture,
        sensors=("s1",),
        bands=("vv", "vh"),
        unit="dB",
        normalisation={"bands": {"vv": {"mean": -14, "std": 5}, "vh": {"mean": -14, "std": 5}}},
        chip_px=64,
        overlap_px=16,
    )
    folder = tmp_path_factory.mktemp("bundle")
    network = build("unet", 2, 1, base=4)
    with torch.no_grad():
        *_, head, bias = network.parameters()
        head *= 500
        bias.zero_()
    save_bundle(folder, network, card)
    return str(folder)


def work_of(cube, model, *, block_px=96, tile_px=128):
    predictor = Predictor.of(model, "cpu")
    card, imagery = predictor.card, ModelInput(("vv", "vh"), cube(tile_px))
    plan = WindowPlan.over(tuple(imagery.image.geobox.shape), card.chip_px, card.overlap_px, block_px=block_px)
    return InferenceJob(plan, imagery, predictor, BATCH)


def mapped(executor, work, out, key="k"):
    folder = WorkFolder.open(out, key, work.plan.shape, (PROBABILITY, SOURCE))
    failures = predict(executor, work, folder, silent, "map")
    assert failures == ()
    whole = (slice(0, work.plan.shape[0]), slice(0, work.plan.shape[1]))
    return {name: layer.read(whole) for name, layer in folder.layers.items()}


def same(one, other):
    return all((one[name] == other[name]).all() for name in (PROBABILITY, SOURCE))


@pytest.fixture(scope="module")
def serial(cube, unet, tmp_path_factory):
    return mapped(LocalExecutor(), work_of(cube, unet), tmp_path_factory.mktemp("serial"))


def test_the_map_is_a_map(serial):
    assert serial[PROBABILITY].shape == serial[SOURCE].shape
    assert ((serial[PROBABILITY] == 255) == (serial[SOURCE] == 255)).all()
    assert set(np.unique(serial[SOURCE])) == {0, 1, 255}
    assert len(np.unique(serial[PROBABILITY])) > 20


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(40, 400), st.integers(100, 400), st.integers(1, 9), st.integers(1, 3))
def test_neither_chunks_nor_batches_nor_threads_change_the_map(
    cube, unet, serial, tmp_path_factory, block_px, tile_px, batch, ahead
):
    work = work_of(cube, unet, block_px=block_px, tile_px=tile_px)
    work = InferenceJob(work.plan, work.imagery, work.predictor, batch)
    executor = LocalExecutor(read_ahead=ahead, threads=ahead, keep_bytes=100_000 * batch)
    assert same(mapped(executor, work, tmp_path_factory.mktemp("cut")), serial)


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_in_lanes_as_for_a_gpu_give_the_map(cube, unet, serial, tmp_path, monkeypatch, batch):
    monkeypatch.setattr(Predictor, "on_cpu", False)
    work = work_of(cube, unet)
    work = InferenceJob(work.plan, work.imagery, work.predictor, batch)
    laned = mapped(LocalExecutor(), work, tmp_path)
    assert (laned[SOURCE] == serial[SOURCE]).all()
    assert ((laned[PROBABILITY] == 255) == (serial[PROBABILITY] == 255)).all()
    off = np.abs(laned[PROBABILITY].astype(int) - serial[PROBABILITY])
    assert off.max() <= 1  # another batch sums in another order


def test_a_stopped_run_carries_on_to_the_same_bytes(cube, unet, serial, tmp_path):
    work = work_of(cube, unet)

    class Stops(LocalExecutor):
        def run(self, work, blocks):
            for number, outcome in enumerate(super().run(work, blocks)):
                if number == 7:
                    raise KeyboardInterrupt
                yield outcome

    with pytest.raises(KeyboardInterrupt):
        mapped(Stops(), work, tmp_path)
    assert WorkFolder.open(tmp_path, "k", work.plan.shape, (PROBABILITY, SOURCE)).row > 0
    begun = []

    class Watches(LocalExecutor):
        def run(self, work, blocks):
            blocks = list(blocks)
            begun.append(blocks[0].row)
            yield from super().run(work, blocks)

    assert same(mapped(Watches(), work, tmp_path), serial)
    assert begun[0] > 0


def test_a_tile_reader_reads_each_tile_once(cube, monkeypatch):
    some = cube(64)
    read = []
    real = Cube.tile
    monkeypatch.setattr(Cube, "tile", lambda self, iy, ix: (read.append((iy, ix)), real(self, iy, ix))[1])
    reader = TileReader(some, keep_bytes=2**24)
    whole = reader.read((0, some.geobox.shape[0]), (0, some.geobox.shape[1]))
    part = reader.read((33, 190), (70, 200))
    assert len(read) == len(set(read)) == some.tiles[0] * some.tiles[1]
    assert np.array_equal(part.values, whole.values[:, 33:190, 70:200], equal_nan=True)
    forgetful = TileReader(some)
    again = forgetful.read((33, 190), (70, 200))
    assert np.array_equal(again.values, part.values, equal_nan=True)
    assert (again.source == part.source).all()


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(2) as cluster:
        yield cluster


def test_a_cluster_gives_the_same_bytes(cube, unet, serial, cluster, tmp_path):
    assert same(mapped(cluster, work_of(cube, unet), tmp_path), serial)


def test_a_threshold_settled_on_a_cluster_is_the_same(cube, cluster):
    imagery = ModelInput(Predictor.of("otsu").card.bands, ModelInput(("vv", "vh"), cube(512)).image)
    imagery = ModelInput(imagery.bands, Cube.of(imagery.image.scenes, imagery.image.geobox, imagery.bands, instant=DAY))
    here = fit_scene_threshold(LocalExecutor(), imagery, Predictor.of("otsu"), silent)
    there = fit_scene_threshold(cluster, imagery, Predictor.of("otsu"), silent)
    assert here.scene_threshold_info() == there.scene_threshold_info()
    assert here.scene_threshold_info()["threshold_from"] == "tiles"


def test_a_worker_that_dies_half_way_changes_nothing(cube, unet, serial, tmp_path):
    with local_cluster(2) as cluster:
        pids = cluster.client.run(os.getpid)

        class Kills(DaskExecutor):
            def run(self, work, blocks):
                for number, outcome in enumerate(super().run(work, blocks)):
                    if number == 3:
                        os.kill(min(pids.values()), signal.SIGKILL)
                    yield outcome

        assert same(mapped(Kills(cluster.client), work_of(cube, unet), tmp_path), serial)
        assert set(cluster.client.run(os.getpid).values()) != set(pids.values())
