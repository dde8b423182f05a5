"""A run's image cache changes how often pixels are read, and nothing else."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pytest

from geoseg.datasets.pair import ImageCache, Pair
from tests.support.little_sets import little_set, pair, scene, set_of


class Counted:
    """An array that counts how many of its elements were read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype, self.ndim, self.read = values, values.shape, values.dtype, values.ndim, 0

    def __getitem__(self, key: object) -> np.ndarray:
        part = self.values[key]
        self.read += part.size
        return part


def counted(size: int, number: int) -> tuple[Pair, Counted]:
    source = Counted(np.random.default_rng(number).random((2, size, size)).astype(np.float32))
    image = da.from_array(source, chunks=(2, 8, 8), name=f"image-{number}", meta=np.empty((0, 0, 0), np.float32))
    mask = da.from_array(np.ones((size, size), np.int16), chunks=8)
    return Pair(f"p{number}", "r", "", image, mask), source


def test_an_image_is_read_once_and_looks_the_same():
    plain, source = counted(16, 0)
    cached = set_of(plain).in_memory(ImageCache()).pairs[0]
    for rows, columns in ((slice(0, 8), slice(8, 16)), (slice(None), slice(None)), (slice(3, 5), slice(2, 9))):
        for mine, plain_part in zip(cached.read(rows, columns), plain.read(rows, columns), strict=True):
            assert np.array_equal(mine, plain_part)
    source.read = 0
    cached.read()
    assert source.read == 0
    cached.images.clear()
    cached.read()
    assert source.read == 2 * 16 * 16


def test_what_does_not_fit_is_read_window_by_window_and_pushes_nothing_out():
    (small, first), (large, second) = counted(16, 0), counted(32, 1)
    data = set_of(small, large).in_memory(ImageCache(limit_bytes=16 * 16 * 10 + 100))
    for each in data.pairs * 2:
        each.read(slice(0, 8), slice(0, 8))
    assert first.read == 2 * 16 * 16
    assert second.read == 2 * (2 * 8 * 8)


def test_a_cache_is_shared_by_a_run_and_belongs_to_it():
    one, other = ImageCache(), ImageCache()
    data = little_set().in_memory(one)
    assert {id(each.images) for each in data.in_memory(other).pairs} == {id(one)}
    assert all(each.images is None for each in little_set().pairs)


def test_a_cache_travels_empty():
    data = set_of(pair(*scene(0))).in_memory(ImageCache())
    data.pairs[0].read()
    size = len(pickle.dumps(data.pairs[0].images))
    assert size < 200


@pytest.mark.parametrize("bands", [("vv",), ("vh", "vv")])
def test_other_bands_are_other_images(bands):
    data = little_set().in_memory(ImageCache())
    data.pairs[0].read()
    chosen = data.with_bands(bands)
    wanted = little_set().with_bands(bands).pairs[0].read()[0]
    assert np.array_equal(chosen.pairs[0].read()[0], wanted)
