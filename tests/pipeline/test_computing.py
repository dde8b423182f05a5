"""How a map is computed changes nothing in it: processes, clusters, interruptions and restarts give the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from distributed import LocalCluster

from geoseg import Request, map_flood
from geoseg.catalog.cards import Architecture, ModelCard
from geoseg.core.lock import LOCK
from geoseg.inference.work_folder import NAME
from geoseg.models.bundle import save_bundle
from geoseg.models.registry import build
from tests.support.made_scenes import INSIDE

LAYERS = ("flood.tif", "probability.tif", "source.tif")


def same(one, other):
    return [name for name in LAYERS if (one / name).read_bytes() != (other / name).read_bytes()] == []


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A bundle of a small U-Net whose weights are random."""
    torch.manual_seed(5)
    card = ModelCard(
        name="tiny",
        title="test",
        family="cnn",
        architecture=Architecture(name="unet", options={"base": 8}),
        sensors=("s1",),
        bands=("vv", "vh"),
        unit="dB",
        normalisation={"bands": {"vv": {"mean": -14, "std": 5}, "vh": {"mean": -14, "std": 5}}},
        chip_px=128,
        overlap_px=32,
    )
    folder = tmp_path_factory.mktemp("bundle")
    model = build("unet", 2, 1, base=8)
    with torch.no_grad():
        *_, head, bias = model.parameters()
        head *= 100
        bias.zero_()
    save_bundle(folder, model, card)
    return folder


@pytest.fixture
def asked(lagoon, network):
    where = ("--catalog", lagoon, "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1")
    return (*where, "--model", network, "--device", "cpu", "-q")


@pytest.fixture
def serial(asked, geoseg, tmp_path):
    assert geoseg("map", *asked, "--out", tmp_path / "serial").status == 0
    return tmp_path / "serial"


@pytest.mark.heavy
def test_processes_and_batches(asked, serial, geoseg, tmp_path):
    said = geoseg("map", *asked, "--workers", "2", "--batch-size", "3", "--out", tmp_path / "two")
    assert (said.status, said.out, said.err) == (0, "", "")
    assert same(tmp_path / "two", serial)


@pytest.mark.heavy
def test_a_scheduler_elsewhere(asked, serial, geoseg, tmp_path):
    """A scheduler with a worker in a process of its own; the cluster lives on after the map."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://")
        said = geoseg("map", *asked, "--scheduler", address, "--out", tmp_path / "there")
        assert (said.status, said.err) == (0, "")
        assert len(cluster.scheduler.workers) == 1
    assert same(tmp_path / "there", serial)


def test_an_address_where_no_scheduler_is(asked, geoseg, tmp_path):
    said = geoseg("map", *asked, "--scheduler", "nowhere", "--out", tmp_path / "out")
    assert said.status == 1
    assert said.err.startswith("Error: No dask scheduler answers at nowhere")
    assert not (tmp_path / "out").exists()


def test_a_gpu_that_is_not_there(asked, geoseg, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = geoseg("map", *asked, "--device", "cuda", "--out", tmp_path / "out")
    assert said.status == 2
    assert said.err.startswith("Error: --device cuda was asked for, and torch sees no GPU here.")
    assert not (tmp_path / "out").exists()


# -- stopped half-way -----------------------------------------------------------------------------------------------

TALL = (3100, 260)
TALL_BOX = (9.002, 47.573, 9.034, 47.850)


@pytest.fixture
def tall(add_scene, tmp_path, network):
    """A request of several rows of blocks, and the folder it makes undisturbed."""
    add_scene(tmp_path / "tall", "tall", shape=TALL)
    options = {"date": "2024-05-01", "sensor": "s1", "catalog": str(tmp_path / "tall"), "model": str(network)}
    request = Request.of(bbox=TALL_BOX, **options)
    map_flood(request, tmp_path / "undisturbed")
    return request


HELD = """
import sys, time
from pathlib import Path
from geoseg.cli.main import main
from geoseg.inference.work_folder import WorkFolder

gate, remembered = Path(sys.argv.pop(1)), WorkFolder.commit

def commit(*what):
    remembered(*what)
    while gate.exists():
        time.sleep(0.005)

WorkFolder.commit = commit
main()
"""
"""``geoseg`` that waits after each row of blocks while a file is there: the blow falls half-way on any machine."""


def held(request, out, *more, **options):
    """A command that is stopped half-way by the file ``gate`` beside its output, and that file."""
    gate = out.with_name("gate")
    gate.touch()
    words = [sys.executable, "-c", HELD, str(gate), *request.command(out=out).split()[1:], *more, "-q"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    return process, gate


@pytest.mark.heavy
@pytest.mark.parametrize(("blow", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_run_that_is_stopped_carries_on(tall, tmp_path, blow, status):
    out = tmp_path / "stopped"
    process, _ = held(tall, out)
    journal, deadline = out / NAME / "map" / "journal.json", time.monotonic() + 120
    while not journal.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(blow)
    said, error = process.communicate(timeout=60)
    assert (process.returncode, said) == (status, "")
    assert error == ("Stopped. The same command carries on where it was.\n" if blow is signal.SIGINT else "")
    left = {NAME, LOCK} if blow is signal.SIGKILL else {NAME}  # a killed process cannot remove its lock
    assert {path.name for path in out.iterdir()} == left
    rows = json.loads(journal.read_text())["row"]
    assert rows >= 1

    begun = []
    map_flood(tall, out, report=lambda event: begun.append(event.done) if event.step == "map" else None)
    assert begun[0] > 0
    assert same(out, tmp_path / "undisturbed")
    assert not (out / NAME).exists()
    assert not (out / LOCK).exists()


@pytest.mark.heavy
def test_another_request_does_not_carry_on_with_the_work_of_this_one(tall, tmp_path):
    out = tmp_path / "out"

    def stop(event):
        if event.step == "map" and event.done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_flood(tall, out, report=stop)
    assert (out / NAME).exists()
    begun = []
    other = tall.with_(resolution_m=20.0)
    map_flood(other, out, report=lambda event: begun.append(event.done) if event.step == "map" else None)
    assert begun[0] == 0
    map_flood(other, Path(tmp_path / "fresh"))
    assert same(out, tmp_path / "fresh")


# -- processes that die, or are stopped ------------------------------------------------------------------------------


def workers_of(parent: int) -> list[int]:
    """Processes that dask started for a command: its descendants that compute."""
    return [
        process.pid
        for process in psutil.Process(parent).children(recursive=True)
        if any("multiprocessing.spawn" in word for word in process.cmdline())
    ]


def begun(process: subprocess.Popen[str], journal: Path, *, workers: int) -> list[int]:
    """Wait until some rows are done and all the workers are there."""
    deadline = time.monotonic() + 200
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        if journal.exists() and len(pids := workers_of(process.pid)) >= workers:
            return pids
        time.sleep(0.01)


@pytest.fixture
def otsu(tall, tmp_path):
    """The same request by ``otsu``, whose survey runs on the workers as well."""
    request = tall.with_(model="otsu", resolution_m=5.0)
    map_flood(request, tmp_path / "by-otsu")
    return request


@pytest.mark.heavy
def test_a_killed_worker_changes_nothing(otsu, tmp_path):
    out = tmp_path / "killed"
    process, gate = held(otsu, out, "--workers", "2")
    os.kill(min(begun(process, out / NAME / "map" / "journal.json", workers=2)), signal.SIGKILL)
    gate.unlink()
    said, _ = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, "")
    assert same(out, tmp_path / "by-otsu")


@pytest.mark.heavy
def test_a_stop_leaves_no_process_and_nothing_half_written(otsu, tmp_path):
    """As a terminal does it: every process of the group gets the signal."""
    out = tmp_path / "stopped"
    process, _ = held(otsu, out, "--workers", "2", start_new_session=True)
    pids = begun(process, out / NAME / "map" / "journal.json", workers=2)
    os.killpg(process.pid, signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    assert error == "Stopped. The same command carries on where it was.\n"
    assert [path.name for path in out.iterdir()] == [NAME]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    map_flood(otsu, out)
    assert same(out, tmp_path / "by-otsu")
