"""Each class of the package has a name of its own, and modules import each other in no circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "geoseg"


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def test_no_class_name_is_used_twice():
    homes = defaultdict(list)
    for module, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module)
    assert not {name: modules for name, modules in homes.items() if len(modules) > 1}


def imports_at_import_time(module: str) -> set[str]:
    """The modules of the package that importing ``module`` imports: neither in functions nor for type checkers."""
    found = set()
    for node in TREES[module].body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "geoseg":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in TREES else node.module or "" for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in TREES}
    return found - {module, "geoseg"}


def test_no_import_circle():
    graph = {module: imports_at_import_time(module) for module in TREES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"modules import each other: {' <- '.join(error.args[1])}") from None
