"""Simulated files laid out as a known data set's are, opened as that data set is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoseg.datasets import simulated
from geoseg.datasets import synthetic_dataset as stand_in
from geoseg.datasets.open import open_data
from geoseg.datasets.pair import UNLABELLED
from geoseg.datasets.synthetic_dataset import EVENTS, StandInSize, write_stand_in
from geoseg.errors import UnknownNameError
from geoseg.simulate import Region, region


def small_region(name: str) -> Region:
    return region(name).model_copy(update={"rows": 360, "cols": 360})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stand-ins, of one small world instead of five large ones."""
    folder = tmp_path_factory.mktemp("stand-ins")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "region", small_region)
        patch.setattr(stand_in, "regions", lambda: {"paddy": None})
        for name in ("floodplanet", "floodplanet-reflectance", "massachusetts"):
            write_stand_in(name, folder / name, StandInSize(chip_px=96, chips=3), worlds=folder / "worlds")
    return folder


@pytest.mark.parametrize(
    ("file", "sensor", "unit"),
    [
        ("dataset.yaml", "planetscope", "unitless"),
        ("floodplanet-s1.yaml", "s1", "dB"),
        ("floodplanet-s2.yaml", "s2", "reflectance"),
    ],
)
def test_floodplanet_by_sensor(made, file, sensor, unit):
    data = open_data(made / "floodplanet" / file)
    assert (data.sensor, data.unit, data.simulated, data.meaning.name) == (sensor, unit, True, "water")
    assert len(data.pairs) == 12 and set(data.regions) <= set(EVENTS) and len(data.regions) == 4
    assert "Simulated" in data.sources[0] and "simulated stand-in" in data.sources[0].lower()
    images, masks = (np.stack(each) for each in zip(*(pair.read() for pair in data.pairs), strict=True))
    assert images.shape == (12, len(data.bands), 96, 96) and set(np.unique(masks)) == {UNLABELLED, 0, 1}
    if sensor == "planetscope":
        assert np.nanmin(images) > 0 and np.nanmax(images) == 1
        np.testing.assert_array_equal(np.isnan(images).any(axis=1), masks == UNLABELLED)
    elif sensor == "s1":
        assert np.nanmedian(images[:, 0][masks == 1]) < np.nanmedian(images[:, 0][masks == 0]) - 3
    else:
        nir = images[:, data.bands.index("nir")]
        assert np.nanmedian(nir[masks == 1]) < 0.7 * np.nanmedian(nir[masks == 0])


def test_floodplanet_reflectance(made):
    data = open_data(made / "floodplanet-reflectance")
    assert data.simulated and data.unit == "reflectance" and {pair.split for pair in data.pairs} == {"train", "val"}
    images, masks = (np.stack(each) for each in zip(*(pair.read() for pair in data.pairs), strict=True))
    nir = images[:, data.bands.index("nir")]
    assert np.nanmedian(nir[masks == 1]) < 0.7 * np.nanmedian(nir[masks == 0])
    np.testing.assert_array_equal(np.isnan(images).any(axis=1), masks == UNLABELLED)


def test_massachusetts(made):
    data = open_data(made / "massachusetts")
    assert data.simulated and (data.meaning.name, data.sensor, len(data.regions)) == ("building", "aerial", 1)
    images, masks = (np.stack(each) for each in zip(*(pair.read() for pair in data.pairs), strict=True))
    assert len(images) == 3 and images.shape[1:] == (3, 96, 96) and np.nanmax(images) <= 1
    assert (masks == 1).any() and (masks == 0).any()


def test_no_such_stand_in(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no stand-in named 'massachusets'. Did you mean massachusetts"):
        write_stand_in("massachusets", tmp_path / "x")


def test_every_event_gets_equally_many_sites(monkeypatch):
    monkeypatch.setattr(stand_in, "_chips", lambda *_, **__: iter([(0, 0, None)]))
    for worlds, sites in ((5, 1), (10, 2), (20, 4)):
        numbered = [(event, number) for event, number, _ in stand_in._events([None] * worlds, {}, 1, 1)]
        assert sorted(numbered) == sorted((event, number) for event in EVENTS for number in range(sites))
