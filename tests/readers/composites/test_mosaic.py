"""The nearest clear observation wins."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.readers.composites.mosaic import Mosaic

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
