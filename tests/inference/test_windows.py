"""Chips: every pixel covered, no weight zero, and an answer that does not depend on how the work was cut."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference.blend import Blend, BlockSums
from geoseg.inference.windows import Axis, WindowPlan, cut_chips, mirror


@st.composite
def axes(draw, max_length=300):
    chip = draw(st.integers(1, 64))
    overlap = draw(st.integers(0, chip // 2))
    tile_offset = draw(st.integers(0, chip - overlap - 1))
    return Axis(draw(st.integers(1, max_length)), chip, overlap, tile_offset, draw(st.booleans()))


@st.composite
def plans(draw):
    y, x = draw(axes(120)), draw(axes(120))
    x = Axis(x.length, x.chip, x.overlap, x.tile_offset, y.reflect_padding)
    return WindowPlan(y, x, (draw(st.integers(1, 4)), draw(st.integers(1, 4))))


@given(axes())
def test_every_pixel_is_in_a_window(axis):
    seen = {p for k in range(axis.count) for p in range(*axis.inside(k))}
    assert seen == set(range(axis.length))


@given(axes())
def test_no_window_is_idle_and_no_weight_is_zero(axis):
    assert all(axis.inside(k)[0] < axis.inside(k)[1] for k in range(axis.count))
    assert all(axis.weights(k).min() >= 1 for k in range(axis.count))
    assert axis.weight_sum().min() >= 1


@given(axes())
def test_weights_sum_to_one_value_between_the_outermost_windows(axis):
    inner = axis.weight_sum()[axis.overlap : max(axis.length - axis.overlap, axis.overlap)]
    assert set(inner.tolist()) <= {axis.overlap + 1}


@given(axes())
def test_pixels_at_the_frame_have_context(axis):
    """No pixel of the frame lies nearer to its best chip's rim than half an overlap."""
    best = np.zeros(axis.length, int)
    for k in range(axis.count):
        first, last = axis.inside(k)
        place = np.arange(first, last) - axis.start(k)
        best[first:last] = np.maximum(best[first:last], np.minimum(place, axis.chip - 1 - place))
    assert best.min() >= min(axis.overlap // 2, (axis.chip - 1) // 2) - (axis.overlap % 2 == 0 and axis.overlap > 0)


@given(st.integers(1, 20), st.integers(0, 70), st.integers(0, 70))
def test_mirror_is_numpys_reflect(length, before, after):
    if length == 1:
        assert not mirror(np.arange(-before, 1 + after), 1).any()
        return
    expected = np.pad(np.arange(length), (before, after), mode="reflect")
    assert mirror(np.arange(-before, length + after), length).tolist() == expected.tolist()


def run(plan, scene, network, source=None):
    """Map ``scene`` (band, y, x) with ``network`` (chip -> probability), blocks merged row by row."""
    blend, out, out_source, row = Blend(plan), [], [], 0
    source = np.zeros(plan.shape, np.uint8) if source is None else source
    for block in plan.blocks():
        if block.row != row:
            _, percent, seen = blend.flush(row)
            out.append(percent)
            out_source.append(seen)
            row = block.row
        pixels = scene[:, slice(*block.input_y), slice(*block.input_x)]
        partial = BlockSums.empty(plan, block, source[slice(*block.y), slice(*block.x)])
        windows = list(cut_chips(plan, block, pixels))
        random.shuffle(windows)
        for window, chip in windows:
            partial.add(plan, window, network(chip))
        blend.merge(partial)
    _, percent, seen = blend.flush(row)
    return np.concatenate([*out, percent]), np.concatenate([*out_source, seen])


@settings(deadline=None)
@given(plans(), st.floats(0, 1))
def test_a_constant_network_gives_a_constant_map(plan, value):
    scene = np.zeros((1, *plan.shape), np.float32)
    percent, _ = run(plan, scene, lambda chip: np.full(chip.shape[1:], value, np.float32))
    assert percent.shape == plan.shape
    assert set(np.unique(percent)) == {int(np.floor(np.rint(np.float32(value) * np.float32(10_000)) / 100 + 0.5))}


@settings(deadline=None)
@given(plans(), plans(), st.integers(0, 2**32 - 1))
def test_a_pointwise_network_does_not_see_how_the_work_was_cut(plan, other, seed):
    rng = np.random.default_rng(seed)
    other = WindowPlan(
        Axis(plan.y.length, other.y.chip, other.y.overlap, other.y.tile_offset, other.y.reflect_padding),
        Axis(plan.x.length, other.x.chip, other.x.overlap, other.x.tile_offset, other.y.reflect_padding),
        other.block,
    )
    # whole per cent, so that rounding has no halves to break
    scene = (rng.integers(0, 101, (1, *plan.shape)) / 100).astype(np.float32)
    one, _ = run(plan, scene, lambda chip: chip[0].copy())
    two, _ = run(other, scene, lambda chip: chip[0].copy())
    assert (one == two).all()
    assert (one == np.rint(scene[0] * 100)).all()


@settings(deadline=None)
@given(plans(), st.integers(0, 2**32 - 1))
def test_not_observed_never_becomes_dry(plan, seed):
    rng = np.random.default_rng(seed)
    scene = rng.random((1, *plan.shape), dtype=np.float32)
    source = np.where(rng.random(plan.shape) < 0.3, 255, 3).astype(np.uint8)
    scene[0][source == 255] = np.nan
    percent, seen = run(plan, scene, lambda chip: chip[0].copy(), source)
    assert ((percent == 255) == (source == 255)).all()
    assert (seen == source).all()


@settings(deadline=None, max_examples=50)
@given(plans(), st.integers(0, 2**32 - 1), st.data())
def test_blocks_do_not_change_a_network_with_context(plan, seed, data):
    """The same windows in other blocks give the same bytes, for a network that looks at its surroundings."""
    rng = np.random.default_rng(seed)
    scene = rng.random((1, *plan.shape), dtype=np.float32)

    def network(chip):
        return np.clip(chip[0] * 0.5 + chip[0].mean() * 0.25 + np.roll(chip[0], 1, 0) * 0.25, 0, 1).astype(np.float32)

    block = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    one, _ = run(plan, scene, network)
    two, _ = run(WindowPlan(plan.y, plan.x, block), scene, network)
    assert (one == two).all()


@pytest.mark.parametrize(("chip", "overlap"), [(0, 0), (4, 3), (4, -1)])
def test_an_impossible_plan_is_refused(chip, overlap):
    with pytest.raises(ValueError, match="cannot cover"):
        Axis(10, chip, overlap)


def test_resuming_gives_the_same_rows():
    plan = WindowPlan.over((90, 70), 16, 6, block_px=20)
    rng = np.random.default_rng(1)
    shares = []
    for block in plan.blocks():
        partial = BlockSums.empty(plan, block, np.zeros((block.y[1] - block.y[0], block.x[1] - block.x[0]), np.uint8))
        for window, _ in cut_chips(
            plan,
            block,
            np.zeros((1, block.input_y[1] - block.input_y[0], block.input_x[1] - block.input_x[0]), np.float32),
        ):
            partial.add(plan, window, rng.random((16, 16), dtype=np.float32))
        shares.append(partial)

    def finish(blend, first_row):
        rows = []
        for row in range(first_row, plan.rows):
            for share in shares:
                if share.block.row == row:
                    blend.merge(share)
            rows.append(blend.flush(row)[1])
            if row == 1:
                saved = {name: array.copy() for name, array in blend.carry.items()}, blend.top
        return np.concatenate(rows), saved if first_row <= 1 else None

    whole, (carry, top) = finish(Blend(plan), 0)
    rest, _ = finish(Blend.resumed(plan, top, carry), 2)
    assert (whole[top:] == rest).all()


@settings(deadline=None)
@given(plans(), st.integers(0, 2**32 - 1))
def test_a_network_without_an_answer_is_not_dry(plan, seed):
    """NaN where a pixel was observed: an overflow, a broken weight. In any chip, in any order, it is 255."""
    rng = np.random.default_rng(seed)
    scene = rng.random((1, *plan.shape), dtype=np.float32)
    broken = rng.random(plan.shape) < 0.1
    scene[0][broken] = np.nan
    percent, seen = run(plan, scene, lambda chip: chip[0].copy(), np.full(plan.shape, 2, np.uint8))
    assert ((percent == 255) == broken).all()
    assert ((seen == 255) == broken).all()
