"""The second epoch does not touch the source."""

from __future__ import annotations

import errno
import multiprocessing
import pickle
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from dask.base import tokenize

from geoseg.catalog.target import WATER
from geoseg.datasets.cache import cached
from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.errors import OutputNotWritableError

SHAPE = (300, 520)


class Source:
    """An image or a mask in a file that knows how often it was read."""

    def __init__(self, path: Path, values: np.ndarray) -> None:
        self.path, self.shape, self.dtype, self.ndim = path, values.shape, values.dtype, values.ndim
        np.save(path, values)

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        with self.path.with_suffix(".reads").open("a") as log:
            log.write("x")
        return np.load(self.path)[index]

    @property
    def reads(self) -> int:
        log = self.path.with_suffix(".reads")
        return len(log.read_text()) if log.exists() else 0

    def lazy(self) -> da.Array:
        name = f"source-{tokenize(str(self.path), self.path.stat().st_mtime_ns, self.path.stat().st_size)}"
        chunks = (*self.shape[:-2], 128, self.shape[-1])
        return da.from_array(self, chunks=chunks, name=name, asarray=False, meta=np.empty((0,) * self.ndim, self.dtype))


def values_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    image[:, :40] = np.nan
    return image, rng.integers(-1, 2, SHAPE).astype(np.int16)


def written(folder: Path, seed: int) -> list[Source]:
    names = (f"image{seed}.npy", f"mask{seed}.npy")
    return [Source(folder / name, values) for name, values in zip(names, values_of(seed), strict=True)]


def set_of(*sources: list[Source]) -> LabelledSet:
    pairs = tuple(Pair(str(n), "here", "", image.lazy(), mask.lazy()) for n, (image, mask) in enumerate(sources))
    return LabelledSet("made", pairs, ("red", "green", "blue"), "unitless", "aerial", ("dry", "water"), WATER)


def same(pair: Pair, seed: int, rows: slice = slice(None), columns: slice = slice(None)) -> None:
    image, mask = pair.read(rows, columns)
    wanted = values_of(seed)
    np.testing.assert_array_equal(image, wanted[0][:, rows, columns])
    np.testing.assert_array_equal(mask, wanted[1][rows, columns])
    assert image.dtype == np.float32 and mask.dtype == np.int16


def test_the_second_epoch_does_not_need_the_source(tmp_path):
    sources = [written(tmp_path, 1), written(tmp_path, 2)]
    data = set_of(*sources)
    first = cached(data, tmp_path / "cache")
    assert sum(source.reads for each in sources for source in each) == 0
    same(first.pairs[0], 1, slice(30, 60), slice(200, 300))
    same(first.pairs[1], 2)
    assert sources[0][0].reads == 3 == sources[0][1].reads  # each chunk once
    later = cached(data, tmp_path / "cache")  # as another process would open it
    for each in sources:
        for source in each:
            source.path.unlink()
    for both in (first, later):
        same(both.pairs[0], 1)
        same(both.pairs[1], 2, slice(255, 258), slice(500, 520))
    same(first.with_bands(("red", "green", "blue")).pairs[0], 1)
    chosen = first.with_bands(("blue",)).pairs[0].read()[0]
    np.testing.assert_array_equal(chosen, values_of(1)[0][2:])


def test_a_changed_source_is_read_again(tmp_path):
    image, mask = written(tmp_path, 1)
    same(cached(set_of([image, mask]), tmp_path / "cache").pairs[0], 1)
    changed = Source(image.path, values_of(7)[0])
    read = cached(set_of([changed, mask]), tmp_path / "cache").pairs[0].read()
    np.testing.assert_array_equal(read[0], values_of(7)[0])
    np.testing.assert_array_equal(read[1], values_of(1)[1])


def test_a_read_that_breaks_off_leaves_nothing(tmp_path):
    image, mask = written(tmp_path, 1)
    data = set_of([image, mask])
    np.save(image.path, np.zeros((3, 10, 10), np.float32))  # too small: the source breaks off half-way
    with pytest.raises(ValueError, match="broadcast"):
        cached(data, tmp_path / "cache").pairs[0].read()
    assert not list((tmp_path / "cache").iterdir())
    np.save(image.path, values_of(1)[0])
    same(cached(data, tmp_path / "cache").pairs[0], 1)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    data = cached(set_of(written(tmp_path, 1)), tmp_path / "cache")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OutputNotWritableError, match="the disk is full"):
        data.pairs[0].read()
    assert not list((tmp_path / "cache").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritableError):
        cached(data, tmp_path / "file" / "cache")


def read_all(data: LabelledSet, started: object) -> float:
    started.wait()  # type: ignore[attr-defined]
    return float(np.nansum(data.pairs[0].read()[0]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_workers_that_start_at_once_agree(tmp_path, method):
    source = written(tmp_path, 1)
    data = cached(set_of(source), tmp_path / "cache")
    if method == "fork":
        cached(set_of(written(tmp_path, 2)), tmp_path / "cache").pairs[0].read()  # zarr's own thread is running
    context = multiprocessing.get_context(method)
    with context.Manager() as manager, context.Pool(2) as pool:
        started = manager.Barrier(2)
        sums = [pool.apply_async(read_all, (data, started)) for _ in range(2)]
        assert [each.get(60) for each in sums] == [pytest.approx(float(np.nansum(values_of(1)[0])), rel=1e-5)] * 2
    assert all(not each.name.startswith(".part") for each in (tmp_path / "cache").iterdir())
    same(data.pairs[0], 1)


def test_it_can_be_pickled_after_reading(tmp_path):
    data = cached(set_of(written(tmp_path, 1)), tmp_path / "cache")
    data.pairs[0].read()
    same(pickle.loads(pickle.dumps(data)).pairs[0], 1, slice(0, 100))
