"""The picture: the right colours in the right places, for any shape of map. (How it looks, people have judged.)"""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.image import imread
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from geoseg.catalog.target import WATER
from geoseg.products.graticule import Frame, nice
from geoseg.products.preview import (
    LONGEST_PX,
    WARN,
    Preview,
    _draw,
    colorize,
    decimation,
    percentile_stretch,
    write_preview,
)
from geoseg.water.areas import AreaCounter
from geoseg.water.codes import Legend

LEGEND = Legend.of(WATER, has_reference=True)


def grid_of(shape, crs="EPSG:32632", resolution=30.0):
    return GeoBox.from_bbox(
        (500000, 5000000, 500000 + resolution * shape[1], 5000000 + resolution * shape[0]), crs, shape=shape
    )


def preview_of(codes, imagery, grid, **more):
    tally = AreaCounter(grid)
    tally.add((slice(0, codes.shape[0]), slice(0, codes.shape[1])), codes)
    return Preview(codes, imagery, grid, LEGEND, tally.total(), "A place", "2020-10-03 · a scene\nmodel", **more)


def share_of(picture, colour):
    return (np.abs(picture[..., :3] * 255 - colour).max(axis=-1) < 3).mean()


def test_a_real_scene_shows_its_mask_in_its_colours(tmp_path, data):
    with rasterio.open(data / "planetscope" / "deering" / "20160909_213104_0e19_3B_AnalyticMS_SR_clip.tif") as tif:
        pixels = tif.read([3, 2, 1], out_shape=(3, 424, 280)).astype(np.float32) / 1e4
        grid = GeoBox(tif.shape, tif.transform, tif.crs).zoom_to((424, 280))
    pixels[:, (pixels == 0).all(axis=0)] = np.nan
    codes = np.where(np.isnan(pixels[0]), 255, 0).astype(np.uint8)
    dry = imread(write_preview(tmp_path / "dry.png", preview_of(codes, pixels, grid)))
    codes[(codes == 0) & (np.arange(424)[:, None] > 350)] = 1
    wet = imread(write_preview(tmp_path / "wet.png", preview_of(codes, pixels, grid, simulated=True)))
    blue = next(each.colour for each in LEGEND if each.key == "flood")
    assert min(dry.shape[:2]) > 600
    assert share_of(dry, blue) < 0.002, "the legend's swatch alone"
    assert share_of(wet, blue) > 0.02
    warn = (0xA4, 0x3A, 0x00)
    assert share_of(wet, warn) > share_of(dry, warn)


@pytest.mark.parametrize("shape", [(40, 40), (12, 300), (300, 12), (1, 1), (90, 60)])
@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3413"])
def test_any_shape_of_map_makes_a_picture_of_sensible_size(tmp_path, shape, crs):
    codes = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), shape)
    imagery = np.where(codes == 255, np.nan, 0.1).astype(np.float32)
    picture = imread(
        write_preview(
            tmp_path / "p.png", preview_of(codes, imagery, grid_of(shape, crs), notes=("One.", "Two.", "Three."))
        )
    )
    assert 400 < picture.shape[0] < 1600
    assert 800 < picture.shape[1] < 1700


def test_an_empty_map_makes_a_picture(tmp_path):
    codes = np.full((30, 30), 255, np.uint8)
    path = write_preview(
        tmp_path / "p.png", preview_of(codes, np.full((3, 30, 30), np.nan, np.float32), grid_of((30, 30)))
    )
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize("shape", [(60, 60), (40, 400), (400, 40)])
def test_a_long_note_is_wrapped_and_stays_on_the_picture(shape):
    note = "The scene holds top-of-atmosphere reflectance, WWWW mapped with an index that misses muddy water; " * 4
    preview = preview_of(np.zeros(shape, np.uint8), np.zeros(shape, np.float32), grid_of(shape), notes=(note,))
    figure = _draw(preview)
    figure.draw_without_rendering()
    lines = [text for axes in figure.axes for text in axes.texts if text.get_color() == WARN]
    assert " ".join(line.get_text() for line in lines) == note.strip()
    boxes = [line.get_window_extent() for line in lines]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes)
    assert all(low.y1 <= high.y0 + 1 for high, low in pairwise(boxes)), "lines do not overlap"


def test_drawing_changes_no_setting_of_matplotlib(tmp_path):
    import sys

    before = dict(mpl.rcParams)
    codes = np.zeros((9, 9), np.uint8)
    write_preview(tmp_path / "p.png", preview_of(codes, np.ones((9, 9), np.float32), grid_of((9, 9))))
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


FLOATS = st.floats(-30, 30, width=32) | st.just(float("nan"))


@given(arrays(np.float32, st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6)), elements=FLOATS))
def test_stretching_shows_exactly_what_was_observed(imagery):
    shown = percentile_stretch(imagery[0] if len(imagery) == 1 else imagery)
    seen = np.isfinite(imagery).all(axis=0)
    assert ((shown[..., 3] == 1) == seen).all()
    assert np.isfinite(shown).all()
    assert (shown >= 0).all()
    assert (shown <= 1).all()


def test_unobserved_pixels_have_no_paint():
    paint = colorize(np.array([[0, 1, 2, 255]], np.uint8), LEGEND)
    assert paint[0, :, 3].tolist() == [255, 255, 255, 0]
    assert [tuple(colour) for colour in paint[0, :3, :3].tolist()] == [
        next(each.colour for each in LEGEND if each.code == code) for code in (0, 1, 2)
    ]


@given(st.floats(1e-3, 1e7))
def test_round_lengths_are_round_and_fit(length):
    step = nice(length)
    assert length / 2.5 <= step * (1 + 1e-9)
    assert step <= length * (1 + 1e-6)
    assert f"{step:.0e}"[0] in "125"


def test_ticks_stand_where_their_meridians_are():
    grid = grid_of((500, 700))
    meridians, parallels = Frame.of(grid).ticks()
    box = grid.boundingbox
    back = Transformer.from_crs(32632, 4326, always_xy=True)
    assert len(meridians) >= 2
    assert len(parallels) >= 2
    for tick in meridians:
        lon, _ = back.transform(box.left + tick.at * box.span_x, box.bottom)
        assert lon == pytest.approx(float(tick.label.removesuffix("°E")), abs=1e-5)
    for tick in parallels:
        _, lat = back.transform(box.left, box.bottom + tick.at * box.span_y)
        assert lat == pytest.approx(float(tick.label.removesuffix("°N")), abs=1e-5)


def test_a_scale_in_web_mercator_is_of_the_ground():
    grid = grid_of((100, 100), "EPSG:3857")
    back = Transformer.from_crs(3857, 4326, always_xy=True)
    box = grid.boundingbox
    (west, lat), (east, _) = (back.transform(x, (box.bottom + box.top) / 2) for x in (box.left, box.right))
    assert Frame.of(grid).width_m == pytest.approx(Geod(ellps="WGS84").line_length([west, east], [lat, lat]), rel=1e-3)


@given(st.integers(1, 30000), st.integers(1, 30000))
def test_a_thinned_map_fits_a_preview(rows, columns):
    step = decimation((rows, columns))
    assert max(rows, columns) / step <= LONGEST_PX
    assert step == 1 or max(rows, columns) / (step - 1) > LONGEST_PX
