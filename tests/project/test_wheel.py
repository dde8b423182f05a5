"""The wheel works on its own: installed from scratch, outside the checkout, without the repository in reach."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import rasterio

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd, **environment):
    """Run a command away from the checkout, and show what it said where it fails."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "GEOSEG"))
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} said\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_facts_and_no_imagery(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for kind in ("data_catalog", "configs"):
        packed = {name.removeprefix("geoseg/_facts/") for name in names if name.startswith(f"geoseg/_facts/{kind}/")}
        here = {str(path.relative_to(ROOT)) for path in (ROOT / kind).rglob("*") if path.is_file()}
        assert packed == here
    assert "geoseg/py.typed" in names
    assert not [name for name in names if name.endswith((".tif", ".png", ".jp2", ".webp", ".parquet"))]


@pytest.fixture
def venv(tmp_path):
    """A place for a new environment, gone afterwards: it takes several gigabytes."""
    yield tmp_path / "venv"
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_fresh_installation_maps_the_demo(wheel, venv, tmp_path):
    """A new environment with the declared dependencies, at the versions of constraints.txt, and nothing else."""
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    constraints = ("-c", ROOT / "constraints.txt")
    run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", *constraints, wheel, cwd=tmp_path)
    where = run(venv / "bin" / "python", "-c", "import geoseg; print(geoseg.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(venv)
    said = run(
        venv / "bin" / "geoseg", "demo", "--json", "--out", "out", cwd=tmp_path, GEOSEG_CACHE=str(tmp_path / "cache")
    )
    answer = json.loads(said)
    with rasterio.open(tmp_path / "out" / "flood.tif") as mask:
        assert mask.count == 1
        assert mask.nodata == 255
    assert answer["flood"].endswith("flood.tif")
