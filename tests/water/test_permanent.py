"""Reference water and water seen before, united: known where either is, water where either says so."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from geoseg.inference.layers import ByteLayer
from geoseg.water.permanent import PermanentWater, pre_event_water, union
from geoseg.water.reference import WaterMask

DRY, WATER, UNKNOWN = "dry", "water", "unknown"
PAIRS = list(product((DRY, WATER, UNKNOWN), repeat=2))
WINDOW = (slice(0, 1), slice(0, len(PAIRS)))


def saying(words) -> PermanentWater:
    mask = WaterMask(np.array([[word == WATER for word in words]]), np.array([[word != UNKNOWN for word in words]]))
    return PermanentWater(lambda window: WaterMask(mask.water[window], mask.known[window]))


def test_a_pixel_is_unknown_only_where_both_are_and_water_where_either_is():
    one, other = zip(*PAIRS, strict=True)
    both = union(saying(one), saying(other)).read(WINDOW)
    said = [
        WATER if water else DRY if known else UNKNOWN for water, known in zip(both.water[0], both.known[0], strict=True)
    ]
    expected = {frozenset(pair): WATER if WATER in pair else DRY if DRY in pair else UNKNOWN for pair in PAIRS}
    assert dict(zip(PAIRS, said, strict=True)) == {pair: expected[frozenset(pair)] for pair in PAIRS}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_one_alone_is_as_it_is(missing):
    given = [None if missing in (n, 2) else saying([WATER]) for n in (0, 1)]
    assert union(*given) is next((each for each in given if each), None)


def test_water_before_is_from_the_threshold_on_and_unknown_where_nothing_was_observed(tmp_path):
    layer = ByteLayer.create(tmp_path / "probability.raw", (1, 5))
    layer.write(0, np.array([[0, 49, 50, 100, 255]], np.uint8))
    before = pre_event_water(layer, 50).read((slice(0, 1), slice(0, 5)))
    assert before.water.tolist() == [[False, False, True, True, False]]
    assert before.known.tolist() == [[True, True, True, True, False]]
