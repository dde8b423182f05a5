"""The GeoTIFFs, read back by GDAL and judged by rio-cogeo."""

from __future__ import annotations

import resource
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.shutil import copy
from rio_cogeo.cogeo import cog_validate

from geoseg.catalog.target import WATER
from geoseg.errors import OutputNotWritableError
from geoseg.inference.layers import ByteLayer
from geoseg.products.raster import write_cog
from geoseg.products.source import scene_band
from geoseg.water.codes import PROBABILITY, Legend

LEGEND = Legend.of(WATER, has_reference=True)


def grid(shape):
    return GeoBox.from_bbox(
        (500000, 5000000, 500000 + 10 * shape[1], 5000000 + 10 * shape[0]), "EPSG:32632", shape=shape
    )


def layer_of(folder, values):
    layer = ByteLayer.create(folder / "layer.raw", values.shape)
    layer.write(0, values)
    return layer


@pytest.fixture
def codes():
    random = np.random.default_rng(7)
    coarse = random.choice(np.array([0, 1, 2, 255], np.uint8), (40, 50))
    return np.kron(coarse, np.ones((33, 27), np.uint8))[:1301, :1333].copy()


def category_names(path, folder):
    """The names as GDAL itself reads them: rasterio has no door to them, a VRT made by GDAL shows them."""
    copy(str(path), str(folder / "seen.vrt"), driver="VRT")
    return [each.text or "" for each in ET.parse(folder / "seen.vrt").iter("Category")]


def test_a_mask_is_a_valid_cog_that_opens_paletted(tmp_path, codes):
    files = write_cog(
        layer_of(tmp_path, codes), tmp_path / "flood.tif", grid(codes.shape), LEGEND.band, {"SCENES": "a <b> & c"}
    )
    assert [file.name for file in files] == ["flood.tif", "flood.tif.aux.xml", "flood.qml"]
    assert cog_validate(files[0], strict=True) == (True, [], [])
    with rasterio.open(files[0]) as tif:
        assert (tif.read(1) == codes).all()
        assert (tif.count, tif.dtypes, tif.nodata, tif.colorinterp) == (1, ("uint8",), 255, (ColorInterp.palette,))
        assert tif.mask_flag_enums == ([MaskFlags.nodata],)
        assert (tif.transform, tif.crs) == (grid(codes.shape).affine, rasterio.CRS.from_epsg(32632))
        assert {each.code: tif.colormap(1)[each.code][:3] for each in LEGEND} == {
            each.code: each.colour for each in LEGEND
        }
        assert (tif.block_shapes, tif.compression.name, tif.descriptions) == ([(512, 512)], "deflate", ("flood mask",))
        assert tif.tags()["SCENES"] == "a <b> & c"
        assert tif.overviews(1)
    names = category_names(files[0], tmp_path)
    assert {each.code: names[each.code] for each in LEGEND} == {each.code: each.label for each in LEGEND}


def test_overviews_hold_only_codes_that_were_there(tmp_path, codes):
    codes[codes == 1] = 0
    path, *_ = write_cog(layer_of(tmp_path, codes), tmp_path / "flood.tif", grid(codes.shape), LEGEND.band)
    with rasterio.open(path, overview_level=0) as overview:
        assert overview.shape == (650, 666) or overview.shape == (651, 667)
        assert set(np.unique(overview.read(1))) == {0, 2, 255}


def test_mask_and_probability_agree_at_every_zoom_level(tmp_path):
    percent = np.random.default_rng(3).integers(0, 101, (1500, 1100)).astype(np.uint8)
    percent[:400, :300] = 255
    mask = np.where(percent == 255, 255, percent >= 50).astype(np.uint8)
    one, *_ = write_cog(layer_of(tmp_path, mask), tmp_path / "flood.tif", grid(mask.shape), LEGEND.band)
    (two,) = write_cog(layer_of(tmp_path, percent), tmp_path / "probability.tif", grid(mask.shape), PROBABILITY)
    with rasterio.open(two) as tif:
        levels = range(len(tif.overviews(1)))
        assert (tif.units, tif.colorinterp, tif.nodata) == (("%",), (ColorInterp.gray,), 255)
    assert cog_validate(two, strict=True) == (True, [], [])
    for level in levels:
        with rasterio.open(one, overview_level=level) as codes, rasterio.open(two, overview_level=level) as chance:
            seen = chance.read(1)
            assert (codes.read(1) == np.where(seen == 255, 255, seen >= 50)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 2), (512, 512), (513, 1025)])
def test_any_size(tmp_path, shape):
    values = np.random.default_rng(1).integers(0, 3, shape).astype(np.uint8)
    (path,) = write_cog(layer_of(tmp_path, values), tmp_path / "probability.tif", grid(shape), PROBABILITY)
    with rasterio.open(path) as tif:
        assert (tif.read(1) == values).all()
    assert cog_validate(path, strict=True)[0]


def test_scene_names_are_the_categories_of_the_source(tmp_path):
    values = np.array([[0, 1, 255]], np.uint8)
    path, _ = write_cog(
        layer_of(tmp_path, values), tmp_path / "source.tif", grid((1, 3)), scene_band(("S2A_x", "S2B_y"))
    )
    assert category_names(path, tmp_path) == ["S2A_x", "S2B_y"]


def test_nothing_is_left_beside_the_products(tmp_path, codes):
    out = tmp_path / "out"
    write_cog(layer_of(tmp_path, codes), out / "flood.tif", grid(codes.shape), LEGEND.band)
    assert sorted(file.name for file in out.iterdir()) == ["flood.qml", "flood.tif", "flood.tif.aux.xml"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["layer.raw", "out"]


def test_a_failed_write_leaves_the_old_file_and_no_half_one(tmp_path, codes):
    out = tmp_path / "out"
    files = write_cog(layer_of(tmp_path, codes), out / "flood.tif", grid(codes.shape), LEGEND.band)
    before = {file: file.read_bytes() for file in files}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).integers(0, 101, codes.shape).astype(np.uint8)
    layer = layer_of(tmp_path, noise)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # as a full disk: the write itself fails
    try:
        with pytest.raises(OutputNotWritableError, match=r"flood\.tif"):
            write_cog(layer, out / "flood.tif", grid(codes.shape), LEGEND.band)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file: file.read_bytes() for file in out.iterdir()} == before


def test_an_end_that_a_full_disk_lost_without_a_word_is_noticed(tmp_path, codes, monkeypatch):
    """Some network drives report a full disk only later: what reads back otherwise is no product."""

    def copy_and_lose_the_end(vrt, part, **options):
        with rasterio.open(vrt) as whole, rasterio.open(part, "w", **{**whole.profile, "driver": "GTiff"}) as file:
            pixels = whole.read(1)
            pixels[-1, -1] ^= 1
            file.write(pixels, 1)

    monkeypatch.setattr("rasterio.shutil.copy", copy_and_lose_the_end)
    with pytest.raises(OutputNotWritableError, match=r"flood\.tif"):
        write_cog(layer_of(tmp_path, codes), tmp_path / "out" / "flood.tif", grid(codes.shape), LEGEND.band)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_layer_off_the_grid_is_refused(tmp_path, codes):
    with pytest.raises(ValueError, match="not on a grid"):
        write_cog(layer_of(tmp_path, codes), tmp_path / "flood.tif", grid((5, 5)), LEGEND.band)


def test_the_style_beside_a_mask_names_its_codes_and_draws_nothing_where_nothing_was_observed(tmp_path, codes):
    write_cog(layer_of(tmp_path, codes), tmp_path / "flood.tif", grid(codes.shape), LEGEND.band)
    entries = ET.parse(tmp_path / "flood.qml").iter("paletteEntry")
    drawn = {int(each.attrib["value"]): (each.attrib["label"], each.attrib["color"]) for each in entries}
    assert drawn == {
        each.code: (each.label, "#{:02x}{:02x}{:02x}".format(*each.colour)) for each in LEGEND if each.code != 255
    }
