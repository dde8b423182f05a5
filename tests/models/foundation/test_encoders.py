"""What every encoder promises: any size, tokens in their places, and refusals where it would be silently wrong."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import BandMismatchError, InputRangeError
from geoseg.models.foundation.acquisition import Acquisition
from geoseg.models.foundation.clay import Clay, ClaySize
from geoseg.models.foundation.dofa import Dofa, DofaSize, DofaV2
from geoseg.models.foundation.memo import Memo
from geoseg.models.foundation.padding import crop, pad_to_cells
from geoseg.models.foundation.positions import stretched, table_2d
from geoseg.models.foundation.prithvi import Prithvi, PrithviSize
from geoseg.models.foundation.protocol import Encoder

WAVES = (0.49, 0.56, 0.665, 0.842)
WHEN, WHERE = datetime(2024, 5, 3, 11, tzinfo=UTC), (48.1, 11.6)
FACTS = {"wavelengths_um": WAVES, "gsd_m": 10.0}


@pytest.fixture(scope="module", params=["clay", "prithvi", "dofa", "dofa-v2"])
def encoder(request):
    torch.manual_seed(1)
    made = {
        "clay": lambda: Clay(ClaySize(48, 4, 4, 16, 2)),
        "prithvi": lambda: Prithvi(PrithviSize(48, 4, 4, 16, time_and_place=True), bands=4),
        "dofa": lambda: Dofa(DofaSize(48, 4, 4, (0, 1, 2, 3))),
        "dofa-v2": lambda: DofaV2(DofaSize(48, 4, 4, (0, 1, 2, 3))),
    }
    return made[request.param]().eval()


def encoded(encoder, x, **facts):
    with torch.no_grad():
        return encoder.encode(x, **{**FACTS, **facts})


@pytest.mark.parametrize("size", [(224, 224), (97, 131), (64, 256), (15, 15), (1, 200)])
def test_maps_have_the_images_shape_in_cells(encoder, size):
    assert isinstance(encoder, Encoder)
    features = encoded(encoder, torch.randn(1, 4, *size))
    cells = tuple(-(-side // encoder.patch) for side in size)
    assert [map_.shape for map_ in features.maps] == [(1, 48, *cells)] * 4
    assert features.width == 48
    assert features.strides == (encoder.patch,) * 4
    assert features.size_px == size
    assert features.covered_px == tuple(count * encoder.patch for count in cells)


def test_an_impulse_moves_its_own_cell_most_on_an_oblong_grid(encoder):
    rows, columns = 3, 12  # 36 tokens: a square number, the trap of whoever takes the root
    size = (rows * encoder.patch, columns * encoder.patch)
    base = torch.zeros(1, 4, *size)
    before = encoded(encoder, base, taps=[0]).maps[0]
    for row, column in [(0, 0), (0, 7), (1, 3), (2, 11)]:
        x = base.clone()
        middle = encoder.patch // 2
        y0, x0 = row * encoder.patch + middle, column * encoder.patch + middle
        x[..., y0 - 2 : y0 + 2, x0 - 2 : x0 + 2] = 5.0
        moved = (encoded(encoder, x, taps=[0]).maps[0] - before).norm(dim=1)[0]
        assert divmod(int(moved.argmax()), columns) == (row, column)


def test_a_chip_does_not_depend_on_its_neighbours_in_the_batch(encoder):
    x = torch.randn(3, 4, 40, 56)
    together = encoded(encoder, x, time=WHEN, latlon=WHERE).maps[-1]
    alone = torch.cat([encoded(encoder, x[i : i + 1], time=WHEN, latlon=WHERE).maps[-1] for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_two_evaluations_agree(encoder):
    x = torch.randn(1, 4, 64, 64)
    assert torch.equal(encoded(encoder, x).maps[-1], encoded(encoder, x).maps[-1])


def test_the_taps_are_the_same_however_many_are_taken(encoder):
    x = torch.randn(1, 4, 64, 64)
    every = encoded(encoder, x, taps=range(4)).maps
    for index in range(4):
        assert torch.equal(encoded(encoder, x, taps=[index]).maps[0], every[index])


def test_gradients_reach_every_parameter(encoder):
    encoder = copy.deepcopy(encoder).train()
    features = encoder.encode(torch.randn(1, 4, 48, 64), **FACTS, time=WHEN, latlon=WHERE)
    sum(map_.square().sum() for map_ in features.maps).backward()
    unreached = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    still = [
        name
        for name, parameter in encoder.named_parameters()
        if parameter.grad is not None and not parameter.grad.any()
    ]
    assert unreached == []
    assert [name for name in still if not name.endswith(("key.bias", "in_proj_bias"))] == []


def test_a_copy_and_a_pickle_encode_the_same(encoder):
    x = torch.randn(1, 4, 33, 47)
    expected = encoded(encoder, x).maps[-1]
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(encoded(other, x).maps[-1], expected)


def test_kept_kernels_follow_weights_that_change(encoder):
    encoder = copy.deepcopy(encoder)
    x = torch.randn(1, 4, 48, 48)
    encoder.reuse_kernels = True
    first = encoded(encoder, x).maps[-1]
    assert torch.equal(encoded(encoder, x).maps[-1], first)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(1.5)
    kept = encoded(encoder, x).maps[-1]
    encoder.reuse_kernels = False
    assert torch.equal(kept, encoded(encoder, x).maps[-1])
    assert not torch.allclose(kept, first)


def test_a_kernel_kept_in_inference_mode_does_not_spoil_training(encoder):
    encoder = copy.deepcopy(encoder)
    encoder.reuse_kernels = True
    x = torch.randn(1, 4, 48, 48)
    with torch.inference_mode():
        encoder.encode(x, **FACTS)
    encoder.encode(x, **FACTS).maps[-1].sum().backward()


def test_nanometres_are_refused(encoder):
    with pytest.raises(InputRangeError, match="nanometres"):
        encoded(encoder, torch.randn(1, 4, 32, 32), wavelengths_um=[490, 560, 665, 842])


def test_pixels_that_nobody_normalised_are_refused(encoder):
    with pytest.raises(InputRangeError, match="expected normalised values"):
        encoded(encoder, torch.rand(1, 4, 32, 32) * 3000)


def test_what_was_not_observed_is_refused(encoder):
    with pytest.raises(InputRangeError, match="NaN"):
        encoded(encoder, torch.full((1, 4, 32, 32), torch.nan))


@pytest.mark.parametrize(
    ("facts", "error", "says"),
    [
        ({"wavelengths_um": WAVES[:3]}, BandMismatchError, "Wavelengths: expected 4, one per band, got 3"),
        ({"wavelengths_um": (0.49, 0.56, 0.665, 0.0)}, InputRangeError, "micrometres"),
        ({"wavelengths_um": (0.49, 0.56, 0.665, float("nan"))}, InputRangeError, "micrometres"),
        ({"gsd_m": 0.0}, InputRangeError, "gsd_m .*: expected metres"),
        ({"gsd_m": float("nan")}, InputRangeError, "gsd_m .*: expected metres"),
        ({"time": datetime(1815, 1, 1)}, InputRangeError, "1815"),
        ({"time": [WHEN, WHEN]}, InputRangeError, "2 x 1"),
        ({"time": [[WHEN, WHEN]]}, InputRangeError, "1 x 2"),
        ({"time": ["2024-05-03"]}, InputRangeError, "datetime|items"),
        ({"latlon": (91.0, 0.0)}, InputRangeError, "latlon: expected latitude -90..90"),
        ({"latlon": (10.0, 181.0)}, InputRangeError, "latlon: expected latitude -90..90"),
        ({"latlon": (float("nan"), 0.0)}, InputRangeError, "latlon: expected latitude -90..90"),
        ({"latlon": [WHERE, WHERE]}, InputRangeError, "latlon: expected 1 pairs, one per chip, got 2"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(encoder, facts, error, says):
    with pytest.raises(error, match=says) as caught:
        encoded(encoder, torch.randn(1, 4, 32, 32), **facts)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_radars_placeholders_pass():
    Acquisition.checked(bands=3, batch=1, wavelengths_um=(3.5, 4.0, 5.405))


def test_a_time_without_a_zone_is_utc():
    naive, aware = (Acquisition.checked(bands=1, batch=1, time=t) for t in (datetime(2024, 5, 3, 11), WHEN))
    assert naive == aware


@pytest.mark.parametrize("taps", [[], [3, 1], [1, 1], [4], [-1]])
def test_taps_that_cannot_be_are_refused(encoder, taps):
    with pytest.raises(ValueError, match="taps"):
        encoded(encoder, torch.randn(1, 4, 32, 32), taps=taps)


def test_another_number_of_bands_is_refused_by_prithvi():
    encoder = Prithvi(PrithviSize(48, 1, 4, 16, time_and_place=False), bands=6)
    with pytest.raises(BandMismatchError, match="expected 6 bands, as the encoder reads, got 4"):
        encoder.encode(torch.randn(1, 4, 32, 32))


@pytest.mark.parametrize("missing", ["wavelengths_um", "gsd_m"])
def test_clay_refuses_to_guess(missing):
    encoder = Clay(ClaySize(48, 1, 4, 16, 2))
    with pytest.raises((BandMismatchError, InputRangeError), match=missing):
        encoder.encode(torch.randn(1, 4, 32, 32), **{**FACTS, missing: None})


def test_clay_and_prithvi_see_time_place_and_resolution():
    clay = Clay(ClaySize(48, 1, 4, 16, 2)).eval()
    prithvi = Prithvi(PrithviSize(48, 1, 4, 16, time_and_place=True), bands=4).eval()
    x = torch.randn(1, 4, 32, 32)
    cases = [(clay, {"gsd_m": 3.0})]
    cases += [(encoder, facts) for encoder in (clay, prithvi) for facts in ({"time": WHEN}, {"latlon": WHERE})]
    for encoder, facts in cases:
        assert not torch.equal(encoded(encoder, x, **facts).maps[-1], encoded(encoder, x).maps[-1])


def test_each_item_has_its_own_time_and_place():
    x = torch.randn(1, 4, 32, 32).expand(2, -1, -1, -1)
    for encoder in (
        Clay(ClaySize(48, 1, 4, 16, 2)).eval(),
        Prithvi(PrithviSize(48, 1, 4, 16, time_and_place=True), bands=4).eval(),
    ):
        later, there = WHEN.replace(month=11), (-33.9, 18.4)
        both = encoded(encoder, x, time=[WHEN, later], latlon=[WHERE, there]).maps[-1]
        one = encoded(encoder, x[:1], time=later, latlon=there).maps[-1]
        assert torch.allclose(both[1], one[0], atol=1e-6)
        assert not torch.allclose(both[0], both[1], atol=1e-4)


def test_a_memo_forgets_the_oldest_and_serves_threads_alike():
    memo, made = Memo(size=2), []

    def make(key):
        made.append(key)
        return torch.tensor(key)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda key: int(memo.get(key, lambda: make(key))), [1, 2] * 200))
    assert got == [1, 2] * 200
    assert sorted(made) == [1, 2]
    memo.get(1, lambda: make(1))
    memo.get(3, lambda: make(3))
    memo.get(1, lambda: make(1))
    assert made[2:] == [3]
    memo.get(2, lambda: make(2))
    assert made[2:] == [3, 2]
    assert len(memo) == 2


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), cell=st.integers(1, 17), at_least=st.integers(1, 3))
def test_padding_adds_whole_cells_and_is_undone(height, width, cell, at_least):
    x = torch.arange(float(height * width)).reshape(1, 1, height, width)
    padded = pad_to_cells(x, cell, at_least)
    for side, before in zip(padded.shape[-2:], (height, width), strict=True):
        assert side % cell == 0
        assert side >= at_least * cell
        assert side - before < cell or side == at_least * cell
    assert torch.equal(crop(padded, (height, width)), x)
    assert set(padded.unique().tolist()) == set(x.unique().tolist())


def test_a_stretched_table_keeps_the_class_token_and_constants():
    table = torch.cat([torch.full((1, 8), 9.0), torch.ones(9, 8)])
    for corners, antialias in [(True, False), (False, False), (False, True)]:
        out = stretched(table, (3, 3), (5, 2), align_corners=corners, antialias=antialias)
        assert out.shape == (11, 8)
        assert torch.allclose(out[1:], torch.ones(10, 8), atol=1e-6)
        assert torch.equal(out[0], table[0])


def test_the_table_tells_rows_from_columns():
    table = table_2d(3, 5, 16)[1:].reshape(3, 5, 16)
    assert torch.equal(table[0, :, 8:], table[0, :1, 8:].expand(5, -1))  # y is the same along a row
    assert torch.equal(table[:, 0, :8], table[:1, 0, :8].expand(3, -1))  # x is the same down a column
    assert not torch.equal(table[0, 0], table[1, 0])
