"""A raster file that names other files makes GDAL open none of them: a listener in another process hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.core import open_raster as module
from geoseg.core.open_raster import closing_raster, open_raster
from geoseg.core.scene import Scene
from geoseg.errors import GeosegError, SceneUnreadableError
from geoseg.readers import Cube
from geoseg.sources.local.raster import look_at, sample
from geoseg.water.reference import open_reference
from tests.support.listener import Listener
from tests.support.rasters import DAY, grid, write


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    running = Listener(tmp_path)
    yield running
    running.close()


def vrt(address: str) -> str:
    source = f"<SourceFilename>{address}</SourceFilename><SourceBand>1</SourceBand>"
    band = f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource>{source}</SimpleSource></VRTRasterBand>'
    flags = '<Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>'
    return f'<VRTDataset rasterXSize="64" rasterYSize="64">{flags}{band}</VRTDataset>'


def attacked(path: Path, attack: str, address: str) -> Path:
    """A sound file of 64 x 64 pixels, of which one thing leads to ``address``."""
    write(path, np.full((64, 64), -12, np.float32), grid(64, 64))
    beside = Path(f"{path}.{attack}")
    match attack:
        case "msk" | "ovr" | "OVR":
            beside.write_text(vrt(f"/vsicurl/{address}"))
        case "msk.ovr":
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
                file.write_mask(np.full((64, 64), 255, np.uint8))
            beside.write_text(vrt(f"/vsicurl/{address}"))
        case "aux.xml":
            entry = f'<MDI key="OVERVIEW&#95;FILE">/vsicurl/{address}</MDI>'
            beside.write_text(f'<PAMDataset><Metadata domain="overviews">{entry}</Metadata></PAMDataset>')
        case "own":
            with rasterio.open(path, "r+") as file:
                file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{address}")
        case "place":
            with rasterio.open(path, "r+") as file:
                file.update_tags(ns="GEOLOCATION", X_DATASET=f"/vsicurl/{address}", X_BAND="1")
    return path


ATTACKS = ["msk", "ovr", "OVR", "msk.ovr", "aux.xml", "own", "place"]


def scene(href: str) -> Scene:
    asset = {"href": href, "eo:bands": [{"name": "vv"}], "geoseg:mask": "none"}
    item = {"properties": {"geoseg:units": "db"}, "assets": {"data": asset}}
    return Scene("own", "local/s1", "s1", DAY, (10, 40, 20, 50), item=item)


def use(dataset: rasterio.DatasetReader) -> None:
    """All that makes GDAL look for masks and overviews."""
    for _ in dataset.mask_flag_enums, dataset.overviews(1), dataset.files:
        pass
    dataset.read(1, out_shape=(4, 4))
    dataset.read_masks(1, out_shape=(4, 4))


def test_the_listener_hears_what_gdal_does_by_itself(listener, tmp_path):
    """Else the tests below would prove nothing."""
    path = attacked(tmp_path / "a.tif", "own", f"{listener.url}/stolen.tif")
    with rasterio.open(path) as dataset:
        use(dataset)
    assert any("stolen" in line for line in listener.asked)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_local_file_names_is_fetched(listener, tmp_path, attack):
    path = attacked(tmp_path / "a.tif", attack, f"{listener.url}/stolen.tif")
    with pytest.raises(SceneUnreadableError), closing_raster(path) as dataset:
        use(dataset)
    with pytest.raises(GeosegError):
        sample(look_at(path))
    with pytest.raises(GeosegError):
        open_reference(path)
    for cube in (Cube.of([scene(str(path))], grid(64, 64), ("vv",), instant=DAY),):
        assert cube.tile(0, 0).failures
        assert cube.thumbnail(8).pixels.failures
    assert listener.asked == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_a_remote_file_names_is_fetched(listener, tmp_path, attack):
    attacked(listener.folder / f"{attack}.tif", attack, f"{listener.url}/stolen.tif")
    cube = Cube.of([scene(f"{listener.url}/{attack}.tif")], grid(64, 64), ("vv",), instant=DAY)
    named = attack in ("own", "place")
    assert bool(cube.tile(0, 0).failures) == named
    assert bool(cube.thumbnail(8).pixels.failures) == named
    asked = {line.split()[1] for line in listener.asked}
    assert asked == {f"/{attack}.tif"}


def test_a_format_that_names_files_is_no_image(listener, tmp_path):
    path = tmp_path / "a.tif"
    path.write_text(vrt(f"/vsicurl/{listener.url}/stolen.tif"))
    with pytest.raises(rasterio.errors.RasterioIOError):
        open_raster(path)
    assert listener.asked == []


def test_sound_files_beside_a_local_file_still_count(tmp_path):
    path = write(tmp_path / "a.tif", np.full((64, 64), -12, np.float32), grid(64, 64))
    half = np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[None].repeat(64, 0)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(half)
    Path(f"{path}.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    with closing_raster(path) as dataset:
        assert dataset.nodata == 7
        np.testing.assert_array_equal(dataset.read_masks(1), half)


def test_a_block_of_gigabytes_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BLOCK", 2**16)
    options = {"blockysize": 64, "interleave": "pixel", "compress": "deflate"}
    path = write(tmp_path / "a.tif", np.full((4, 64, 64), -12.0), grid(64, 64), **options)
    (failure,) = Cube.of([scene(str(path))], grid(64, 64), ("vv",), instant=DAY).tile(0, 0).failures
    assert "blocks of 64 x 64 pixels" in failure.reason
    with pytest.raises(GeosegError, match="blocks of 64 x 64 pixels"):
        look_at(path)
