"""Imports point down only; neighbours are strangers; importing geoseg is free."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "geoseg"
LAYERS = [
    {"errors", "__init__"},
    {"core"},
    {"catalog"},
    {"sources", "readers", "models", "simulate"},
    {"inference"},
    {"water"},
    {"products"},
    {"datasets"},
    {"training"},
    {"evaluation"},
    {"resolve", "acquire", "pipeline", "result", "demo", "doctor"},
    {"cli", "__main__"},
]
LINE = {"resolve", "acquire", "pipeline", "result", "demo", "doctor", "__main__", "cli"}
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "geoseg"
                else [node.module or ""]
            )
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("geoseg.")}
    return {room for room in rooms if room != "__version__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = room_of(path)
    assert own in LEVEL, f"{own} has no layer: give it one here and in docs/architecture.md"
    if own == "__init__":
        return  # lazy names only, held by test_importing_geoseg_is_free
    for room in imported_rooms(path) - {own}:
        line = own in LINE and room in LINE
        assert LEVEL[room] < LEVEL[own] or line, f"{path} imports {room}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_say_where_from(path):
    """A relative import would pass by test_imports_point_down."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    lines = [node.lineno for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
    assert not lines, f"{path} imports relatively on lines {lines}: write geoseg.ROOM"


def test_no_room_is_a_junk_drawer():
    assert not [path for path in MODULES if path.stem in {"utils", "helpers", "common", "misc"}]


@pytest.mark.parametrize("statement", ["import geoseg", "import geoseg.cli.main"])
def test_importing_is_free(statement):
    heavy = ("torch", "xarray", "dask", "rasterio", "geopandas", "shapely", "numpy")
    code = f"{statement}; import sys; print(*[m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
