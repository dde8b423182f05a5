"""The nearest clear observation wins; the median is over what was observed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.readers.composite import NOT_OBSERVED, Mosaic, median

SHAPE = (5, 4)
WHOLE = (slice(0, 5), slice(0, 4))
SEEN = st.lists(arrays(bool, SHAPE), min_size=1, max_size=5)


@given(SEEN)
def test_each_pixel_comes_from_the_first_scene_that_observed_it(seen):
    """Scenes come the nearest first, and a later one never replaces a pixel: in any band, or in the source."""
    mosaic = Mosaic(2, SHAPE)
    for code, mask in enumerate(seen):
        mosaic.fill(WHOLE, [np.full(SHAPE, 10 * code + band, np.float32) for band in (1, 2)], mask, code)
    expected = np.full(SHAPE, NOT_OBSERVED)
    for code, mask in reversed(list(enumerate(seen))):
        expected[mask] = code
    assert (mosaic.source == expected).all()
    for band in (1, 2):
        np.testing.assert_array_equal(
            mosaic.values[band - 1], np.where(expected == NOT_OBSERVED, np.nan, 10.0 * expected + band)
        )


@given(arrays(bool, SHAPE))
def test_the_missing_window_holds_all_that_is_missing_and_no_empty_edge(seen):
    mosaic = Mosaic(1, SHAPE)
    mosaic.fill(WHOLE, [np.ones(SHAPE, np.float32)], seen, 0)
    window = mosaic.missing_window()
    if window is None:
        assert seen.all()
        return
    outside = np.ones(SHAPE, bool)
    outside[window] = False
    assert seen[outside].all()
    part = ~seen[window]
    assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()


@given(st.lists(arrays(np.float32, SHAPE, elements=st.sampled_from([np.nan, 1, 2, 3, 7])), min_size=1, max_size=5))
def test_the_median_is_numpys_over_what_was_observed_and_its_source_the_nearest(stack):
    passes = [
        (values[None], np.where(np.isnan(values), NOT_OBSERVED, code).astype(np.uint8))
        for code, values in enumerate(stack)
    ]
    middle, source = median(passes)
    observed = ~np.isnan(np.stack(stack))
    expected = np.full(SHAPE, np.nan)
    for y, x in np.argwhere(observed.any(axis=0)):
        expected[y, x] = np.median(np.stack(stack)[observed[:, y, x], y, x])
    np.testing.assert_array_equal(middle[0], expected)
    assert (source == np.where(observed.any(axis=0), observed.argmax(axis=0), NOT_OBSERVED)).all()
