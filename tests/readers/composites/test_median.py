"""The median is over what was observed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.readers.composites.median import median

SHAPE = (5, 4)


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
