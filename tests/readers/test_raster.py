"""Files that are not whole: masks beside a remote image, bodies that arrive broken, tiles that hold no bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.core.scene import Scene
from geoseg.readers import Cube
from tests.support.listener import Listener
from tests.support.rasters import DAY, grid, write

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    running = Listener(tmp_path)
    yield running
    running.close()


def scene(href: str, mask: str = "none") -> Scene:
    asset = {"href": href, "eo:bands": [{"name": "vv"}], "geoseg:mask": mask}
    item = {"properties": {"geoseg:units": "db"}, "assets": {"data": asset}}
    return Scene("own", "local/s1", "s1", DAY, (10, 40, 20, 50), item=item)


def cube(href: str, mask: str = "none", size: int = 256) -> Cube:
    return Cube.of([scene(href, mask)], grid(size, size), ("vv",), instant=DAY)


def radar() -> np.ndarray:
    return np.random.default_rng(0).normal(-12, 1, (256, 256)).astype(np.float32)


def test_a_mask_beside_a_remote_image_counts_as_beside_a_local_one(listener):
    path = write(listener.folder / "a.tif", radar(), grid(256, 256), **TILED)
    half = np.where(np.arange(256) < 128, 0, 255).astype(np.uint8)[None].repeat(256, 0)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(half)
    near, far = (cube(href, "internal").tile(0, 0) for href in (str(path), f"{listener.url}/a.tif"))
    assert far.failures == near.failures == ()
    np.testing.assert_array_equal(far.source, near.source)
    np.testing.assert_array_equal(far.values, near.values)
    assert (far.source == 255).mean() == 0.5


@pytest.mark.parametrize("fault", ["cut", "garbled", "refused"])
def test_what_arrives_broken_is_asked_for_again(listener, fault):
    path = write(listener.folder / "a.tif", radar(), grid(256, 256), **TILED)
    Path(f"{path}.faults").write_text(fault)
    far = cube(f"{listener.url}/a.tif").tile(0, 0)
    assert Path(f"{path}.faults").read_text() == ""
    assert far.failures == ()
    np.testing.assert_array_equal(far.values, cube(str(path)).tile(0, 0).values)


def test_what_stays_broken_is_a_failure_by_name(listener):
    path = write(listener.folder / "a.tif", radar(), grid(256, 256), **TILED)
    Path(f"{path}.faults").write_text("garbled " * 20)
    (failure,) = cube(f"{listener.url}/a.tif").tile(0, 0).failures
    assert "a.tif cannot be read" in failure.reason


def without_a_tile(path: Path, *tags: int) -> Path:
    """Entry 5 of the offsets (324) or the byte counts (325) of the tiles is 0."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, form, _, place = struct.unpack_from("<HHII", content, entry)
        if tag in tags:
            width = {3: 2, 4: 4}[form]
            content[place + 5 * width : place + 6 * width] = bytes(width)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("tags", [(324,), (325,), (324, 325)])
def test_a_tile_without_bytes_is_said(tmp_path, tags):
    path = without_a_tile(write(tmp_path / "a.tif", radar(), grid(256, 256), **TILED), *tags)
    pixels = cube(str(path)).tile(0, 0)
    assert (pixels.source == 255).all()
    (failure,) = pixels.failures
    assert "a.tif" in failure.reason


def test_a_tile_without_bytes_is_nodata_where_the_file_declares_nodata(tmp_path):
    path = without_a_tile(write(tmp_path / "a.tif", radar(), grid(256, 256), nodata=-9999, **TILED), 324, 325)
    pixels = cube(str(path)).tile(0, 0)
    assert pixels.failures == ()
    empty = np.zeros((256, 256), bool)
    empty[64:128, 64:128] = True
    np.testing.assert_array_equal(pixels.source == 255, empty)
