"""What hides the ground."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.catalog.collections import BitMask, ClassMask, collection, collections
from geoseg.errors import SceneUnreadableError
from geoseg.readers.raster import GridWindow, read_mask
from geoseg.readers.read_spec import ClippedReadSpec, MaskReadSpec
from geoseg.readers.validity import masked_by
from tests.support.rasters import grid, write


def valid_by(path, target, *rules):
    window = GridWindow(target, (0, target.shape[0]), (0, target.shape[1]))
    return read_mask(str(path), MaskReadSpec(str(path), rules), window)


def classes_hidden(*codes):
    return ClassMask(kind="classes", asset="scl", hidden=codes)


def rules_of(name, asset):
    return [rule for rule in collection(name).mask if rule.asset == asset]


def test_scene_classes_of_cloud_shadow_and_nothing_are_hidden(tmp_path):
    classes = np.arange(12, dtype=np.uint8)[None]
    path = write(tmp_path / "scl.tif", classes, grid(1, 12, 20), nodata=0)
    seen = valid_by(path, grid(1, 12, 20), *rules_of("planetary-computer/sentinel-2-l2a", "SCL"))
    np.testing.assert_array_equal(np.flatnonzero(seen), [2, 4, 5, 6, 7, 11])


def test_each_class_of_a_coarse_mask_covers_its_fine_pixels(tmp_path):
    classes = np.array([[4, 9], [9, 4]], dtype=np.uint8)
    path = write(tmp_path / "scl.tif", classes, grid(2, 2, 20))
    seen = valid_by(path, grid(4, 4, 10), classes_hidden(9))
    np.testing.assert_array_equal(seen, np.kron([[1, 0], [0, 1]], np.ones((2, 2))))


def test_one_hidden_pixel_hides_the_coarse_one(tmp_path):
    classes = np.full((4, 4), 4, dtype=np.uint8)
    classes[3, 3] = 9
    path = write(tmp_path / "scl.tif", classes, grid(4, 4, 20))
    np.testing.assert_array_equal(valid_by(path, grid(2, 2, 40), classes_hidden(9)), [[1, 1], [1, 0]])


def test_beyond_the_mask_nothing_was_seen(tmp_path):
    path = write(tmp_path / "scl.tif", np.full((2, 2), 4, dtype=np.uint8), grid(2, 2))
    seen = valid_by(path, grid(2, 4), classes_hidden(9))
    np.testing.assert_array_equal(seen, [[1, 1, 0, 0], [1, 1, 0, 0]])


@pytest.mark.parametrize("nodata", [None, 1])
def test_any_bit_of_the_old_mask_hides_whatever_its_own_nodata_tag_says(tmp_path, nodata):
    bits = np.array([[0, 1, 2, 4, 64, 3]], dtype=np.uint8)
    path = write(tmp_path / "udm.tif", bits, grid(1, 6), nodata=nodata)
    np.testing.assert_array_equal(
        valid_by(path, grid(1, 6), *rules_of("local/planetscope", "udm")), [[1, 0, 0, 0, 0, 0]]
    )


def test_the_new_mask_is_told_by_its_bands_and_shows_what_is_clear_and_usable(tmp_path):
    bands = np.zeros((8, 1, 4), dtype=np.uint8)
    bands[0] = [[1, 0, 1, 1]]  # clear
    bands[5] = [[0, 1, 0, 0]]  # cloud
    bands[6] = [[90, 80, 70, 100]]  # confidence, which hides nothing
    bands[7] = [[0, 2, 16, 0]]  # unusable: the third has a missing band
    path = write(tmp_path / "udm2.tif", bands, grid(1, 4))
    np.testing.assert_array_equal(valid_by(path, grid(1, 4), *rules_of("local/planetscope", "udm2")), [[1, 0, 0, 1]])


def test_all_sentinel_2_records_hide_the_same_classes():
    records = [record for record in collections().values() if record.sensor == "s2"]
    assert len({rule.hidden for record in records for rule in record.mask}) == 1


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.int16]), (3, 4)), st.sets(st.integers(0, 7), min_size=1))
def test_a_pixel_is_masked_where_one_of_the_bits_is_set(codes, bits):
    masked = masked_by(BitMask(kind="bits", asset="qa", hidden=tuple(bits)), codes)
    expected = [[any(int(code) >> bit & 1 for bit in bits) for code in row] for row in codes]
    np.testing.assert_array_equal(masked, expected)


@given(hnp.arrays(st.sampled_from([np.uint8, np.int16]), (3, 4)), st.sets(st.integers(0, 255), min_size=1))
def test_classes_are_hidden_or_shown(codes, chosen):
    hidden = masked_by(ClassMask(kind="classes", asset="scl", hidden=tuple(chosen)), codes)
    shown = masked_by(ClassMask(kind="classes", asset="scl", shown=tuple(chosen)), codes)
    np.testing.assert_array_equal(hidden, [[int(code) in chosen for code in row] for row in codes])
    np.testing.assert_array_equal(shown, ~hidden)


def test_a_mask_file_that_the_record_does_not_describe_is_unreadable(tmp_path):
    path = write(tmp_path / "mask.tif", np.ones((2, 1, 4), dtype=np.uint8), grid(1, 4))
    with pytest.raises(SceneUnreadableError, match="cannot be read as a mask"):
        valid_by(path, grid(1, 4), ClassMask(kind="classes", asset="m", shown=(1,), min_bands=8))


def clipped_recipe(path):
    return ClippedReadSpec(str(path), ((1, 1.0), (2, 1.0), (3, 1.0)), 2)


def test_visible_bands_that_are_all_clipped_measured_nothing_and_spoil_two_pixels_beside(tmp_path):
    bands = np.full((4, 9, 40), 500, dtype=np.uint16)
    bands[:3, 4, 20] = 1
    bands[:2, 4, 30] = 1  # two of three: dark water may do that
    bands[:, :, 0] = 0  # fill is another matter
    path = write(tmp_path / "sr.tif", bands, grid(9, 40), nodata=0)
    whole = read_mask(str(path), clipped_recipe(path), GridWindow(grid(9, 40), (0, 9), (0, 40)))
    hidden = np.argwhere(whole == 0)
    assert (hidden.min(axis=0).tolist(), hidden.max(axis=0).tolist(), len(hidden)) == ([2, 18], [6, 22], 25)


@given(st.integers(0, 8), st.integers(1, 9), st.integers(0, 39), st.integers(1, 40))
def test_what_clipping_hides_does_not_change_with_the_window(tmp_path_factory, row, rows, col, cols):
    bands = np.where(np.random.default_rng(5).random((3, 9, 40)) < 0.4, 1, 500).astype(np.uint16)
    path = tmp_path_factory.getbasetemp() / "clipped.tif"
    if not path.exists():
        write(path, bands, grid(9, 40))
    (bottom, right), mask = (min(9, row + rows), min(40, col + cols)), clipped_recipe(path)
    whole = read_mask(str(path), mask, GridWindow(grid(9, 40), (0, 9), (0, 40)))
    part = read_mask(str(path), mask, GridWindow(grid(9, 40), (row, bottom), (col, right)))
    assert 0 < whole.mean() < 1
    np.testing.assert_array_equal(part, whole[row:bottom, col:right])
