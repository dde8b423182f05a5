"""The same from Python, help, and the doctor."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import geoseg as package
from geoseg import Request, map_flood
from tests.support.made_scenes import INSIDE, codes


def test_a_result_holds_paths_shares_and_lazy_arrays(lagoon, geoseg, tmp_path):
    request = Request.of(bbox=INSIDE, date="2024-05-01", sensor="s1", catalog=str(lagoon), model="otsu")
    result = map_flood(request, tmp_path / "python")
    lazy = result.lazy()
    assert {name: array.dtype for name, array in lazy.items()} == {
        "pixels": np.float32,
        "source": np.uint8,
        "flood": np.uint8,
        "probability": np.uint8,
    }
    assert all(array.chunks is not None for array in lazy.values())
    for name in ("flood", "probability", "source"):
        assert (lazy[name].to_numpy() == codes(getattr(result, name))).all(), name
    pixels = lazy["pixels"].to_numpy()
    assert list(lazy["band"].values) == list(result.cube.bands)
    assert (np.isfinite(pixels).all(axis=0) == (codes(result.flood) != 255)).all()
    where = ("--catalog", lagoon, "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")
    said = geoseg("map", *where, "--out", tmp_path / "command", "--json").record
    assert Path(said["flood"]).read_bytes() == result.flood.read_bytes()
    assert said["shares_pct"] == result.shares_pct
    assert result.record()["notes"] == said["notes"]


def test_errors_are_geosegs_own_and_builtin_kinds(lagoon, tmp_path):
    with pytest.raises(ValueError, match="swapped") as caught:
        Request.of(bbox=(47.8, 95, 47.9, 95.1), date="2024-05-01", sensor="s1")
    assert isinstance(caught.value, package.GeosegError)
    request = Request.of(bbox=INSIDE, date="2024-05-04", sensor="s1", catalog=str(lagoon))
    with pytest.raises(LookupError, match="No s1 scene"):
        map_flood(request, tmp_path / "out")
    with pytest.raises(TypeError, match="resolution"):
        Request.of(bbox=INSIDE, date="2024-05-01", sensor="s1", resolution=20)


# -- what stdout and stderr hold ------------------------------------------------------------------------------------


def test_json_is_one_object_and_all_else_is_on_stderr(lagoon, geoseg, tmp_path):
    where = ("--catalog", lagoon, "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1", "--model", "otsu")
    said = geoseg("map", *where, "--out", tmp_path / "a", "--json")
    decoder = json.JSONDecoder()
    record, end = decoder.raw_decode(said.out)
    assert said.out[end:].strip() == ""
    assert set(record) >= {"flood", "shares_pct", "area_km2", "scenes", "failed", "rejected", "notes", "seconds"}
    assert "map" in said.err
    quiet = geoseg("map", *where, "--out", tmp_path / "b", "-q")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    plain = geoseg("map", *where, "--out", tmp_path / "c")
    assert str(tmp_path / "c" / "flood.tif") in plain.out
    assert "Note: Class 1 is water" in plain.err


def test_quiet_silences_libraries_too():
    words = "import logging, warnings; from geoseg.cli.progress import set_up_logging; set_up_logging({}); "
    words += "warnings.warn('careful'); logging.getLogger('urllib3').warning('retry'); "
    words += "logging.getLogger('geoseg.x').warning('ours')"
    said = {}
    for verbosity in (-1, 0, 1):
        line = [sys.executable, "-c", words.format(verbosity)]
        said[verbosity] = subprocess.run(line, capture_output=True, text=True, check=True).stderr
    assert said[-1] == ""
    assert "ours" in said[0]
    assert "retry" not in said[0]
    assert "careful" not in said[0]
    assert "retry" in said[1]
    assert "careful" in said[1]


# -- help and doctor ------------------------------------------------------------------------------------------------


def test_help_shows_the_verbs_and_examples(geoseg):
    verbs = geoseg("--help")
    assert verbs.status == 0
    for verb in ("map", "scenes", "catalog", "models", "demo", "doctor"):
        assert verb in verbs.out
    help_ = geoseg("map", "--help")
    assert help_.status == 0
    assert "geoseg map --bbox" in " ".join(help_.out.split())
    for flag in ("--aoi", "--reference-water", "--window-days", "--scheduler", "--overwrite", "--config"):
        assert flag in help_.out


def test_python_m_geoseg_is_the_command():
    done = subprocess.run([sys.executable, "-m", "geoseg", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"geoseg {package.__version__}\n"
    wrong = subprocess.run([sys.executable, "-m", "geoseg", "mapp"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
    assert "mapp" in wrong.stderr


def test_the_doctor_says_which_credentials_are_set_and_never_their_values(geoseg, monkeypatch):
    monkeypatch.setenv("PL_API_KEY", "PLAK-very-secret")
    plain, record = geoseg("doctor"), geoseg("doctor", "--json")
    assert plain.status == record.status == 0, plain.err
    assert "very-secret" not in plain.out + plain.err + record.out + record.err
    state = record.record
    assert state["credentials"]["PL_API_KEY"] is True
    assert state["credentials"]["AWS_SECRET_ACCESS_KEY"] is False
    assert state["problems"] == []
    assert state["gdal"]["drivers"]["COG"] is True
    assert state["packages"]["torch"]
    for word in ("torch", "GDAL", "cache", "PL_API_KEY", "not set"):
        assert word in plain.out


def test_the_doctor_finds_a_cache_that_cannot_be_written(geoseg, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "file" / "cache"))
    said = geoseg("doctor", "--json")
    assert said.status == 1
    assert any("GEOSEG_CACHE" in problem for problem in said.record["problems"])


# -- odd places -----------------------------------------------------------------------------------------------------


def test_names_with_spaces_and_umlauts_and_relative_paths(geoseg, add_scene, tmp_path, monkeypatch):
    """A catalogue with a trailing slash, relative paths, an output two folders deep; and the command it records."""
    odd = tmp_path / "Überflutung im März (1)"
    add_scene(odd / "mein katalog", "Donau 1.5.")
    monkeypatch.chdir(odd)
    where = ("--catalog", "mein katalog/", "--bbox", INSIDE, "--date", "2024-05-01", "--sensor", "s1")
    said = geoseg("map", *where, "--out", "Ergebnis/tief/höher", "--json")
    assert said.status == 0, said.err
    assert (odd / "Ergebnis" / "tief" / "höher" / "flood.tif").is_file()
    assert geoseg("scenes", *where, "--json").record["scenes"][0]["id"]
    command = shlex.split(json.loads(Path(said.record["run"]).read_text())["command"])
    assert command[command.index("--catalog") + 1] == str(odd / "mein katalog")
    assert command[command.index("--out") + 1] == str(odd / "Ergebnis" / "tief" / "höher")
