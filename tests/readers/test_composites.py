"""Composites by name: one file and one line each."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from geoseg.errors import BadOptionError
from geoseg.readers import Cube
from geoseg.readers.composites import COMPOSITES
from tests.support.rasters import DAY, grid


class DarkestComposite:
    """The darkest green of all passes: what a composite of someone else's looks like."""

    keeps_passes = False
    is_done = False

    def __init__(self, bands, shape):
        self.green = bands.index("green")
        self.values = np.full((len(bands), *shape), np.nan, np.float32)
        self.source = np.full(shape, 255, np.uint8)

    def begin_pass(self):
        """Every scene counts by itself."""

    def missing_window(self):
        return slice(0, self.source.shape[0]), slice(0, self.source.shape[1])

    def feed(self, part, bands, valid, code):
        best = self.values[self.green][part]
        darker = valid & ~(bands[self.green] >= best)
        for band, taken in zip(self.values, bands, strict=True):
            np.copyto(band[part], taken, where=darker)
        self.source[part][darker] = code

    def result(self):
        return self.values, self.source


@pytest.fixture
def scenes(make_scene):
    rng = np.random.default_rng(0)
    made = []
    for number in range(3):
        green, swir = rng.integers(1001, 4000, (2, 40, 40)).astype(np.uint16)
        green[rng.random((40, 40)) < 0.3] = 0
        assets = {"B03": (green, grid(40, 40)), "B11": (swir, grid(40, 40))}
        made.append(make_scene(f"s{number}", time=DAY + timedelta(days=number), assets=assets))
    return made


def test_a_new_composite_is_one_class_and_one_line(scenes, monkeypatch):
    monkeypatch.setitem(COMPOSITES, "darkest", DarkestComposite)
    cube = Cube.of(scenes, grid(40, 40), ("swir16", "green"), instant=DAY)
    pixels = cube.with_composite("darkest").tile(0, 0)
    each = [Cube.of([scene], grid(40, 40), ("swir16", "green"), instant=DAY).tile(0, 0).values for scene in scenes]
    observed = np.isfinite(each).all(axis=1)
    darkest = np.where(observed, np.array(each)[:, 1], np.inf).argmin(axis=0)
    np.testing.assert_array_equal(pixels.source, np.where(observed.any(axis=0), darkest, 255))
    for row, col in ((3, 4), (17, 30), (39, 0)):
        if observed[:, row, col].any():
            np.testing.assert_array_equal(pixels.values[:, row, col], each[darkest[row, col]][:, row, col])


def test_a_composite_that_keeps_all_passes_is_computed_a_few_rows_at_a_time(scenes, monkeypatch):
    cube = Cube.of(scenes, grid(40, 40), ("green",), instant=DAY).with_composite("median")
    whole = cube.tile(0, 0)
    monkeypatch.setattr("geoseg.readers.cube.PASSES_BYTES", 7 * 3 * 40 * 4)
    strips = cube.tile(0, 0)
    np.testing.assert_array_equal(strips.values, whole.values)
    np.testing.assert_array_equal(strips.source, whole.source)


def test_a_composite_that_does_not_exist_is_refused_with_those_that_do(scenes):
    with pytest.raises(BadOptionError, match="expected nearest or median, got 'mean'"):
        Cube.of(scenes, grid(40, 40), ("green",), instant=DAY).with_composite("mean")
