"""One small evaluation, done once for this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import answered
from tests.support.made_regions import PLAIN, REGIONS, TINY, write_regions


@pytest.fixture(scope="session")
def regions(tmp_path_factory) -> Path:
    """Chips of four regions."""
    return write_regions(tmp_path_factory.mktemp("data") / "chips", REGIONS, dry=["Sahara"])


@pytest.fixture(scope="session")
def words(regions) -> tuple[object, ...]:
    """``evaluate loro`` without its folder."""
    return ("evaluate", "loro", "--data", regions, *PLAIN, "--model", "otsu,unet", *TINY)


@pytest.fixture(scope="session")
def loro(words, tmp_path_factory) -> tuple[Path, dict]:
    """Its folder, and what it answered."""
    out = tmp_path_factory.mktemp("loro") / "out"
    return out, answered(*words, "--out", out)
