"""Networks are large and the machine may be small: each is built once, and at reduced depth where that is said."""

from __future__ import annotations

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
