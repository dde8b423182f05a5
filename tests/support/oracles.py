"""The published implementations, loaded file by file so that none of their import side effects stay."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

import torch

from tests.support.install_oracles import folder


@contextmanager
def _packages(**places: str) -> Iterator[None]:
    """Stand-ins for packages whose own ``__init__`` would import far too much; gone again afterwards."""
    before = set(sys.modules)
    precision = torch.get_float32_matmul_precision()
    environment = dict(os.environ)
    for name, place in places.items():
        dotted = name.replace("__", ".")
        sys.modules[dotted] = types.ModuleType(dotted)
        sys.modules[dotted].__path__ = [place]
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {"src", "terratorch"}:
                del sys.modules[name]
        torch.set_float32_matmul_precision(precision)
        os.environ.clear()
        os.environ.update(environment)


def _place(name: str) -> str:
    assert folder(name).is_dir(), f"{name} is not at {folder(name)}: run python tests/support/install_oracles.py"
    return str(folder(name))


@cache
def claymodel() -> ModuleType:
    """Clay's own model file."""
    with _packages(src=_place("claymodel")):
        return importlib.import_module("src.model")


@cache
def terratorch_prithvi() -> ModuleType:
    """terratorch's copy of Prithvi."""
    base = _place("terratorch") + "/terratorch"
    places = {
        "terratorch": base,
        "terratorch__models": f"{base}/models",
        "terratorch__models__backbones": f"{base}/models/backbones",
    }
    with _packages(**places):
        return importlib.import_module("terratorch.models.backbones.prithvi_mae")


@cache
def terratorch_upernet() -> ModuleType:
    """terratorch's UPerNet."""
    base = _place("terratorch") + "/terratorch"
    places = {
        "terratorch": base,
        "terratorch__models": f"{base}/models",
        "terratorch__models__decoders": f"{base}/models/decoders",
    }
    registry = types.ModuleType("terratorch.registry")
    registry.TERRATORCH_DECODER_REGISTRY = types.SimpleNamespace(register=lambda cls: cls)
    with _packages(**places):
        sys.modules["terratorch.registry"] = registry
        return importlib.import_module("terratorch.models.decoders.upernet_decoder")
