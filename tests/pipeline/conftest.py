"""The command line run in this process, and catalogues of real and of made scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import CommandResult
from tests.support.command import geoseg as run_geoseg
from tests.support.made_scenes import write_scene


@pytest.fixture(scope="session")
def geoseg() -> Callable[..., CommandResult]:
    """Run the command line: ``geoseg("map", "--bbox", ...)``."""
    return run_geoseg


def catalogue(folder: Path, *words: object) -> Path:
    """A catalogue made by ``geoseg catalog add``."""
    said = run_geoseg("catalog", "add", *words, "-o", folder, "-q")
    assert said.status == 0, said.err
    return folder


@pytest.fixture(scope="session")
def sen1floods11(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ten Sentinel-1 chips."""
    options = ("--sensor", "s1", "--units", "db", "--date", "2018-09-21")
    return catalogue(tmp_path_factory.mktemp("sen1floods11"), data / "sen1floods11" / "S1Hand", *options)


@pytest.fixture(scope="session")
def planetscope(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Harvey, Deering and the two 8-band clips."""
    folder, root = tmp_path_factory.mktemp("planetscope"), data / "planetscope"
    catalogue(folder, root / "harvey", root / "deering", "--sensor", "planetscope")
    return catalogue(folder, root / "superdove_8band", "--sensor", "planetscope", "--units", "reflectance")


@pytest.fixture(scope="session")
def sentinel2(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Sentinel-2 L2A folder."""
    return catalogue(tmp_path_factory.mktemp("sentinel2"), data / "sentinel2_l2a", "--sensor", "s2")


@pytest.fixture
def add_scene(tmp_path: Path) -> Callable[..., Path]:
    """Add a made Sentinel-1 scene to a catalogue: ``add_scene(catalog, "name", day=..., **options)`` gives its file."""

    def add(catalog: Path, name: str, *, day: str = "2024-05-01", **options: Any) -> Path:
        path = write_scene(tmp_path / "files" / f"{name}.tif", **options)
        catalogue(catalog, path, "--sensor", "s1", "--units", "db", "--date", day)
        return path

    return add


@pytest.fixture
def lagoon(tmp_path: Path, add_scene: Callable[..., Path]) -> Path:
    """A catalogue of one made scene with water in the middle, taken on 2024-05-01."""
    add_scene(tmp_path / "lagoon", "lagoon")
    return tmp_path / "lagoon"
