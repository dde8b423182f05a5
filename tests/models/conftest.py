"""Networks are large and the machine may be small: each is built once, and at reduced depth where that is said."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from geoseg.models.registry import build


@pytest.fixture(scope="session")
def network():
    """``network(name, bands, classes, **options)``: a network with fixed random weights, in evaluation, built once."""

    @cache
    def made(name: str, bands: int, classes: int, **options: object) -> torch.nn.Module:
        torch.manual_seed(0)
        return build(name, bands, classes, **options).eval()

    return made


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Tiny networks: a second thread costs more than it brings, above all where others use the machine too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
