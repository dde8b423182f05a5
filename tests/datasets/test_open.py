"""The data sets that geoseg knows, against the real ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import rasterio

from geoseg.catalog.datasets import DatasetRecord, dataset, datasets
from geoseg.catalog.sensors import sensor, sensors
from geoseg.datasets.matching import match
from geoseg.datasets.open import open_data
from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import UnknownNameError

OWN_NAMES = {"sar", "fc1", "fc2", "fc3"}
"""Bands of OMBRIA that nobody can name."""


@pytest.mark.parametrize("name", datasets())
def test_bands_are_the_sensors_own(name):
    record = dataset(name)
    plain = {band.removeprefix("before.") for band in record.bands} - OWN_NAMES
    if record.sensor != "unknown":
        known = {band for each in record.sensor.split("+") for band in sensor(each).bands}
        assert plain <= known
    else:
        assert plain <= {band for each in sensors().values() for band in each.bands}


@pytest.mark.parametrize("name", datasets())
def test_records_say_what_a_card_must_say(name):
    record = dataset(name)
    assert record.licence
    assert record.origin
    assert record.get
    assert record.limits
    assert record.licence in record.source


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownNameError, match="sen1floods11"):
        dataset("sen1flods11")


def test_sen1floods11(data):
    labelled = open_data(data / "sen1floods11")
    assert labelled.name == "sen1floods11"
    assert (labelled.bands, labelled.unit, labelled.classes) == (("vv", "vh"), "dB", ("dry", "water"))
    assert len(labelled.pairs) == 10
    # three of the ten are in Ghana
    assert [*labelled.regions] == [
        "Ghana",
        "Mekong",
        "Nigeria",
        "Pakistan",
        "Paraguay",
        "Somalia",
        "Spain",
        "Sri-Lanka",
    ]
    pairs = {pair.id: pair for pair in labelled.pairs}
    image, mask = pairs["Ghana_83483"].read()
    assert (image.dtype, mask.dtype) == (np.float32, np.int16)
    assert (mask == UNLABELLED).all()
    image, mask = pairs["Paraguay_34417"].read()
    assert np.isnan(image).all()
    assert {*np.unique(mask)} == {UNLABELLED, 1}
    spain = pairs["Spain_6860600"]
    assert spain.place.crs == "EPSG:4326"
    assert spain.latlon == pytest.approx((38.2438, -0.6669), abs=1e-3)
    assert spain.gsd_m == 10
    with rasterio.open(data / "sen1floods11/S1Hand/Spain_6860600_S1Hand.tif") as source:
        np.testing.assert_array_equal(spain.read()[0], source.read())
    with rasterio.open(data / "sen1floods11/LabelHand/Spain_6860600_LabelHand.tif") as source:
        np.testing.assert_array_equal(spain.read()[1], source.read(1))


OFFICIAL = {
    "sen1floods11": (
        ("v1.1/data/flood_events/HandLabeled/S1Hand/Bolivia_103757_S1Hand.tif",),
        "v1.1/data/flood_events/HandLabeled/LabelHand/Bolivia_103757_LabelHand.tif",
        ("", "Bolivia", "Bolivia_103757"),
    ),
    "sen1floods11-s2": (
        ("v1.1/data/flood_events/HandLabeled/S2Hand/Bolivia_103757_S2Hand.tif",),
        "v1.1/data/flood_events/HandLabeled/LabelHand/Bolivia_103757_LabelHand.tif",
        ("", "Bolivia", "Bolivia_103757"),
    ),
    "massachusetts": (
        ("mass_buildings/valid/sat/22978945_15.tiff",),
        "mass_buildings/valid/map/22978945_15.tif",
        ("valid", "22978945_15", "22978945_15"),
    ),
    "floodplanet": (
        ("FloodPlanet/Bangladesh/PS/BGD_40_119.tif",),
        "FloodPlanet/Bangladesh/labels/BGD_40_119.tif",
        ("", "Bangladesh", "BGD_40_119"),
    ),
    "floodplanet-s2": (
        ("FloodPlanet/Bangladesh/S2/BGD_40_119.tif",),
        "FloodPlanet/Bangladesh/labels/BGD_40_119.tif",
        ("", "Bangladesh", "BGD_40_119"),
    ),
    "floodplanet-reflectance": (
        ("floodplanet_planetScope/train/image/FP_US-Texas_TEX_40_119.tif",),
        "floodplanet_planetScope/train/mask/FP_US-Texas_TEX_40_119.tif",
        ("train", "US-Texas", "FP_US-Texas_TEX_40_119"),
    ),
    "spacenet7": (
        ("train/L15-0331E-1257N_1327_3160_13/images_masked/global_monthly_2018_01_mosaic_X.tif",),
        "train/L15-0331E-1257N_1327_3160_13/labels_match/global_monthly_2018_01_mosaic_X_Buildings.geojson",
        ("", "L15-0331E-1257N_1327_3160_13", "global_monthly_2018_01_mosaic_X"),
    ),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_published_layouts_match(name):
    images, label, key = OFFICIAL[name]
    matches = match(dataset(name), [*images, label, "README.md"])
    (pair,) = matches.pairs
    assert (pair.images, pair.label) == (images, label)
    assert (pair.key.split, pair.key.region, pair.key.id) == key


def test_official_lists_give_the_splits(data, tmp_path):
    (tmp_path / "v1.1").symlink_to(tmp_path)  # a loop, and not followed
    for kind in ("S1Hand", "LabelHand"):
        (tmp_path / kind).mkdir()
        for path in (data / "sen1floods11" / kind).glob("*.tif"):
            (tmp_path / kind / path.name).write_bytes(path.read_bytes())
    (tmp_path / "flood_train_data.csv").write_text("Ghana_53713_S1Hand.tif,Ghana_53713_LabelHand.tif\n")
    (tmp_path / "flood_valid_data.csv").write_text("Spain_6860600_S1Hand.tif,Spain_6860600_LabelHand.tif\n")
    listed = open_data(tmp_path)
    splits = {pair.id: pair.split for pair in listed.pairs}
    assert (
        len(listed.notes) == 1
        and "hand labels" in listed.notes[0]
        and "8 in no list, 1 train, 1 val." in listed.notes[0]
    )
    unlisted = open_data(data / "sen1floods11").notes
    assert len(unlisted) == 1 and "the 10 images" in unlisted[0] and "quote no score" in unlisted[0]
    assert splits["Ghana_53713"] == "train"
    assert splits["Spain_6860600"] == "val"
    assert Counter(splits.values()) == {"train": 1, "val": 1, "": 8}


def test_sentinel2_of_sen1floods11_is_reflectance(data, tmp_path):
    for kind in ("S2Hand", "LabelHand"):
        (tmp_path / kind).mkdir()
    source = data / "sen1floods11/S2Hand/USA_430764_S2Hand.tif"
    (tmp_path / "S2Hand" / source.name).write_bytes(source.read_bytes())
    with rasterio.open(source) as chip:
        numbers, profile = chip.read(), chip.profile
    profile.update(count=1, nodata=None)
    with rasterio.open(tmp_path / "LabelHand/USA_430764_LabelHand.tif", "w", **profile) as label:
        label.write(np.where(numbers[7] < 1000, 1, 0).astype("int16"), 1)
    labelled = open_data(tmp_path)
    assert labelled.name == "sen1floods11-s2"
    image, _ = labelled.with_bands(["nir", "swir16"]).pairs[0].read()
    np.testing.assert_allclose(image, numbers[[7, 11]].astype(np.float32) / 10000, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # of the picture opened here
def test_ombria(data):
    labelled = open_data(data / "ombria")
    assert Counter((pair.split, pair.region) for pair in labelled.pairs) == {
        ("train", "2017-2020"): 110,
        ("test", "2017-2020"): 30,
        ("unseen", "ALBANIA"): 22,
        ("unseen", "TIMOR"): 10,
    }
    assert len({pair.id for pair in labelled.pairs}) == 172
    assert labelled.meaning.name == "flood"
    pairs = {pair.id: pair for pair in labelled.pairs}
    image, mask = pairs["TIMOR-3"].read()
    assert image.shape == (8, 256, 256)
    assert np.nanmin(image) >= 0
    assert np.nanmax(image) <= 1
    # 1,417 black pixels at the edge of both Sentinel-2 pictures; Sentinel-1 sees there
    hidden = np.isnan(image[labelled.bands.index("fc1")])
    assert hidden.sum() == 1417
    assert (mask[hidden] == UNLABELLED).all()
    assert (mask[~hidden] != UNLABELLED).all()
    assert np.isfinite(image[labelled.bands.index("sar")]).all()
    with rasterio.open(data / "ombria/2021/TIMOR/Sentinel1/BEFORE/imbefore_3.png") as source:
        np.testing.assert_allclose(image[0], source.read(1) / 255, atol=1e-6)


def test_massachusetts(data):
    labelled = open_data(data / "massachusetts")
    assert Counter(pair.split for pair in labelled.pairs) == {"train": 401, "val": 40, "test": 88}
    assert len({pair.region for pair in labelled.pairs if pair.split == "test"}) == 5
    corner = next(pair for pair in labelled.pairs if pair.id == "22828930_15_y1280_x1280")
    assert corner.region == "22828930_15"
    image, mask = corner.read()
    for plane in (*np.isnan(image), mask == UNLABELLED):
        assert plane[220:].all()
        assert plane[:, 220:].all()
        assert not plane[:220, :220].any()
    assert {*np.unique(mask)} == {UNLABELLED, 0, 1}
    # the same pixels in a window that does not reach the edge from which the strip is told
    image_part, mask_part = corner.read(slice(210, 240), slice(100, 130))
    np.testing.assert_array_equal(image_part, image[:, 210:240, 100:130])
    np.testing.assert_array_equal(mask_part, mask[210:240, 100:130])


def test_shadows_of_massachusetts_are_observed(data):
    labelled = open_data(data / "massachusetts")
    dark = next(pair for pair in labelled.pairs if pair.id == "24478855_15_y0000_x0256")
    image, _ = dark.read()
    assert (image == 0).all(axis=0).any()
    assert np.isfinite(image).all()


def test_spacenet7(data):
    labelled = open_data(data / "spacenet7")
    assert len(labelled.pairs) == len(labelled.regions) == 2
    assert labelled.bands == ("red", "green", "blue")
    for pair in labelled.pairs:
        image, mask = pair.read()
        assert image.shape == (3, 1023, 1024)
        assert np.isfinite(image).all()
        assert {*np.unique(mask)} == {0, 1}
        assert 0.01 < (mask == 1).mean() < 0.2
        # 4.78 m of the web map are less on the ground
        assert 3.7 < pair.gsd_m < 4.1
        np.testing.assert_array_equal(pair.read(slice(100, 130), slice(5, 25))[1], mask[100:130, 5:25])


def test_optical7_is_only_opened_by_name(data, monkeypatch):
    monkeypatch.setenv("GEOSEG_DATA", str(data))
    labelled = open_data("optical7-water")
    assert len(labelled.pairs) == 80
    image, mask = next(pair for pair in labelled.pairs if pair.id == "96").read()
    assert image.shape == (7, 128, 128)
    assert image[0].min() == pytest.approx(0.0231)
    assert (mask == 0).all()


def test_planetscope_rgb8_has_a_place_whatever_its_suffix(data):
    labelled = open_data(data / "planetscope/water_rgb8")
    assert (labelled.name, len(labelled.pairs)) == ("planetscope-water-rgb8", 7)
    assert labelled.pairs[0].place.crs == "EPSG:4326"
    assert labelled.pairs[0].latlon == pytest.approx((13.2, 79.8), abs=0.1)
    assert {*np.unique(labelled.pairs[0].read()[1])} == {0, 1}


def test_a_record_with_a_class_that_is_not_there_is_refused():
    content = dataset("sen1floods11").model_dump()
    content["label"]["codes"] = {0: 0, 1: 2}
    with pytest.raises(ValueError, match="names class 2"):
        DatasetRecord.model_validate(content)
    content = dataset("sen1floods11").model_dump()
    content["images"][0]["paths"][0]["path"] = "S1/(.*)"
    with pytest.raises(ValueError, match="no group named id"):
        DatasetRecord.model_validate(content)


def test_a_record_with_an_alpha_or_classes_that_cannot_be_is_refused():
    content = dataset("spacenet7").model_dump()
    content["images"][0]["alpha"] = 99
    with pytest.raises(ValueError, match="alpha is band 99"):
        DatasetRecord.model_validate(content)
    content = dataset("sen1floods11").model_dump() | {"classes": tuple(f"c{number}" for number in range(1000))}
    with pytest.raises(ValueError, match="at most 255"):
        DatasetRecord.model_validate(content)
