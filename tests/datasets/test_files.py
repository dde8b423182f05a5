"""Folders of images and labels: units, grids, codes, and everything that can be wrong with them."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform_bounds

from geoseg.catalog.datasets import datasets
from geoseg.datasets.image_file import unseen
from geoseg.datasets.label_codes import classes_of, parse_codes
from geoseg.datasets.open import open_data
from geoseg.datasets.pair import UNLABELLED
from geoseg.datasets.sample import to_torchgeo
from geoseg.datasets.survey import survey
from geoseg.errors import (
    BadLabelsError,
    BadOptionError,
    BadRecordError,
    NotTrainableError,
    SceneUnreadableError,
    UnknownNameError,
    UnsafeHrefError,
)

ROOT = Path(__file__).resolve().parents[2]
UTM = {"crs": "EPSG:32630", "transform": Affine(10, 0, 500_000, 0, -10, 4_600_000)}
PLAIN = {"sensor": "s2", "bands": ["red", "nir"], "unit": "reflectance"}
RNG = np.random.default_rng(4)


def write(path, pixels, driver="GTiff", **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    count, height, width = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver=driver, count=count, height=height, width=width, dtype=pixels.dtype, **profile
        ) as target:
            target.write(pixels)
    return path


def image(side=20):
    return RNG.uniform(0, 1, (2, side, side)).astype("float32")


def mask(side=20):
    return (np.add.outer(np.arange(side), np.arange(side)) % 3 == 0).astype("uint8")


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        write(tmp_path / "images" / f"{name}.tif", image(), **UTM)
        write(tmp_path / "masks" / f"{name}.tif", mask(), **UTM)
    return tmp_path


def only(labelled):
    (pair,) = labelled.pairs
    return pair


def one(tmp_path, pixels, label, image_profile=UTM, label_profile=UTM, **more):
    write(tmp_path / "images/a.tif", pixels, **image_profile)
    write(tmp_path / "masks/a.tif", label, **label_profile)
    return open_data(tmp_path, **(PLAIN | more))


# -- a plain folder ------------------------------------------------------------------------------------------


def test_a_plain_folder(folder):
    labelled = open_data(folder, **PLAIN)
    assert [pair.id for pair in labelled.pairs] == ["a", "b"]
    assert labelled.classes == ("dry", "water")
    (source,) = labelled.sources
    assert source.endswith("a folder of images and masks (origin not stated). Licence: not stated")
    pair = labelled.pairs[0]
    assert pair.gsd_m == pytest.approx(10, rel=0.01)
    assert (pair.place.crs, pair.place.transform) == ("EPSG:32630", UTM["transform"])
    with rasterio.open(folder / "images/a.tif") as source:
        np.testing.assert_array_equal(pair.read()[0], source.read())
    np.testing.assert_array_equal(pair.read(slice(3, 9), slice(1, 5))[1], mask()[3:9, 1:5])


@pytest.mark.parametrize("images, masks", [("image", "mask"), ("img", "label"), ("Images", "Labels"), ("imgs", "gt")])
def test_usual_names_of_folders(folder, images, masks):
    (folder / "images").rename(folder / "was")
    (folder / "was").rename(folder / images)
    (folder / "masks").rename(folder / "was")
    (folder / "was").rename(folder / masks)
    assert len(open_data(folder, **PLAIN).pairs) == 2


def test_splits_and_regions_are_folders(tmp_path):
    for path in ("train/{}/Spain/a", "{}/val/Ghana/a", "{}/b"):
        write(tmp_path / f"{path.format('images')}.tif", image(), **UTM)
        write(tmp_path / f"{path.format('masks')}.tif", mask(), **UTM)
    found = {(pair.id, pair.region, pair.split) for pair in open_data(tmp_path, **PLAIN).pairs}
    assert found == {("Spain-a", "Spain", "train"), ("Ghana-a", "Ghana", "val"), ("b", tmp_path.name, "")}


@pytest.mark.parametrize("missing", ["sensor", "bands", "unit"])
def test_what_nobody_said_is_named(folder, missing):
    told = {key: value for key, value in PLAIN.items() if key != missing}
    with pytest.raises(BadOptionError, match=f"its {missing} is missing: give --{missing}, "):
        open_data(folder, **told)


def test_masks_of_0_and_255_by_their_codes(folder):
    for name in "ab":
        stored = mask() * 255
        stored[0, :3] = 7
        write(folder / "masks" / f"{name}.tif", stored, **UTM)
    with pytest.raises(BadLabelsError, match=r"got 7, 255\. Give their classes with --codes"):
        open_data(folder, **PLAIN).pairs[0].read()
    label = open_data(folder, **PLAIN, codes=parse_codes("0:0, 255:1,7:-1")).pairs[0].read()[1]
    expected = mask().astype("int16")
    expected[0, :3] = -1
    np.testing.assert_array_equal(label, expected)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ("0:0,255", "got '255'"),
        ("0:0,255:water", "got '255:water'"),
        ("0:0,0:1", "got 0 twice"),
        ("0:0,255:2", "got 2"),
        ("", "got ''"),
    ],
)
def test_codes_that_name_no_class(folder, codes, words):
    with pytest.raises(BadOptionError, match=f"--codes .*expected .*{words}"):
        open_data(folder, **PLAIN, codes=parse_codes(codes))


def test_other_things_that_cannot_be_told(folder, tmp_path):
    with pytest.raises(UnknownNameError, match="no sensor named 's3'"):
        open_data(folder, **PLAIN | {"sensor": "s3"})
    with pytest.raises(BadRecordError, match=r"has 2 bands, and 3 are named \(red, nir, blue\)"):
        open_data(folder, **PLAIN | {"bands": ["red", "nir", "blue"]})
    with pytest.raises(BadOptionError, match="there is no such folder or file"):
        open_data(tmp_path / "nothing")
    with pytest.raises(UnknownNameError, match="Did you mean ombria"):
        open_data("ombra")


def test_pictures_without_a_place(tmp_path):
    pixels = RNG.integers(0, 256, (3, 30, 40), "uint8")
    label = (pixels[0] > 128).astype("uint8")
    write(tmp_path / "images/a.png", pixels, "PNG")
    write(tmp_path / "masks/a.png", label, "PNG")
    labelled = open_data(tmp_path, sensor="aerial", bands=["red", "", "blue"], unit="unitless", meaning="building")
    pair = only(labelled)
    assert labelled.classes == ("other", "building")
    assert (pair.place, pair.latlon, pair.gsd_m) == (None, None, None)
    read, classes = pair.read()
    np.testing.assert_allclose(read, pixels[[0, 2]] / np.float32(255), atol=1e-6)
    np.testing.assert_array_equal(classes, label)


def test_whole_numbers_are_no_reflectance(tmp_path):
    numbers = RNG.integers(0, 10000, (2, 8, 8), "int16")
    with pytest.raises(BadOptionError, match="int16: expected reflectance"):
        one(tmp_path, numbers, mask(8))
    np.testing.assert_allclose(only(one(tmp_path, numbers, mask(8), scale=1e-4)).read()[0], numbers / 1e4, rtol=1e-6)


# -- names that do not pair, files that are not what they should be ------------------------------------------


def test_names_that_do_not_pair(folder):
    for index in range(5):
        (folder / "masks/b.tif").with_name(f"c{index}.tif").write_bytes((folder / "masks/b.tif").read_bytes())
    (folder / "masks/b.tif").unlink()
    with pytest.raises(BadLabelsError) as caught:
        open_data(folder, **PLAIN)
    assert "1 image files have no label (images/b.tif)" in str(caught.value)
    assert "5 labels have no whole image (masks/c0.tif, masks/c1.tif, masks/c2.tif, ...)" in str(caught.value)


def test_two_files_of_one_name(folder):
    (folder / "images/a.png").write_bytes((folder / "images/a.tif").read_bytes())
    with pytest.raises(BadLabelsError, match=r"images/a.png and images/a.tif are the same part of a"):
        open_data(folder, **PLAIN)


def test_an_empty_folder(tmp_path):
    with pytest.raises(BadLabelsError, match="expected the layout of a known data set"):
        open_data(tmp_path)


def test_links_out_of_the_folder_are_refused(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "b.tif"
    (folder / "images/b.tif").rename(elsewhere)
    (folder / "images/b.tif").symlink_to(elsewhere)
    with pytest.raises(UnsafeHrefError, match=r"b.tif is a link out of"):
        open_data(folder, **PLAIN)


def test_a_file_that_points_to_others_is_refused(folder):
    (folder / "images/b.tif").write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        "<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(SceneUnreadableError, match=r"b.tif is no image of the formats GTiff"):
        open_data(folder, **PLAIN)


def test_a_truncated_file(tmp_path):
    labelled = one(tmp_path, image(200), mask(200))
    path = tmp_path / "images/a.tif"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SceneUnreadableError, match=r"a.tif cannot be read"):
        only(labelled).read()
    path.write_bytes(b"II*\0" + bytes(60))
    with pytest.raises(SceneUnreadableError, match=r"a.tif cannot be read"):
        open_data(tmp_path, **PLAIN)


def test_a_file_that_went_away(folder):
    labelled = open_data(folder, **PLAIN)
    (folder / "images/a.tif").unlink()
    with pytest.raises(SceneUnreadableError, match=r"a.tif cannot be opened: No such file"):
        labelled.pairs[0].read()


def test_no_warning_of_pictures_without_a_place_leaks(tmp_path):
    write(tmp_path / "images/a.png", RNG.integers(0, 256, (3, 30, 40), "uint8"), "PNG")
    write(tmp_path / "masks/a.png", np.zeros((30, 40), "uint8"), "PNG")
    code = (
        "from geoseg.datasets.open import open_data;"
        f"found = open_data({str(tmp_path)!r}, sensor='aerial', bands=['red', 'green', 'blue'], unit='unitless');"
        "found.pairs[0].read()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""


# -- what was not observed -----------------------------------------------------------------------------------


def test_nodata_nan_and_absurd_numbers_are_not_observed(tmp_path):
    pixels = image()
    pixels[0, 0, :4] = [np.nan, np.inf, -3.4e38, -9999]
    read, _ = only(one(tmp_path, pixels, mask(), UTM | {"nodata": -9999})).read()
    np.testing.assert_array_equal(np.isnan(read[0, 0]), [True] * 4 + [False] * 16)
    assert np.isnan(read).sum() == 4


def test_an_image_that_was_not_observed_at_all(tmp_path):
    read, classes = only(one(tmp_path, np.full((2, 9, 9), np.nan, "float32"), mask(9))).read()
    assert np.isnan(read).all()
    np.testing.assert_array_equal(classes, mask(9))


def test_black_areas_at_the_edge():
    black = np.zeros((30, 30), bool)
    black[:10, 22:] = True  # 80 pixels at the edge
    black[12:22, 4:14] = True  # 100 pixels, a dark lake
    black[29, :5] = True  # 5 pixels at the edge
    found = unseen(black, "black-area")
    assert found.sum() == 80
    assert found[:10, 22:].all()
    assert not unseen(black, "black-edge").any()


# -- grids ---------------------------------------------------------------------------------------------------


def test_a_label_on_another_extent_of_the_same_grid(tmp_path):
    transform = UTM["transform"]
    label = mask(30)
    shifted = UTM | {"transform": transform @ Affine.translation(-4, -6)}
    _, classes = only(one(tmp_path, image(), label, label_profile=shifted)).read()
    np.testing.assert_array_equal(classes, label[6:26, 4:24])
    _, classes = only(
        one(tmp_path, image(), mask(5), label_profile=UTM | {"transform": transform @ Affine.translation(10, 3)})
    ).read()
    wanted = np.full((20, 20), UNLABELLED)
    wanted[3:8, 10:15] = mask(5)
    np.testing.assert_array_equal(classes, wanted)


def test_a_label_in_another_crs_is_reprojected(tmp_path):
    """Half of the scene is water; the label is in degrees and covers all but its east."""
    west, south, east, north = transform_bounds("EPSG:32630", "EPSG:4326", 500_000, 4_599_800, 500_200, 4_600_000)
    side = 40
    degrees = Affine((east - west) / side, 0, west, 0, (south - north) / side, north)
    label = np.zeros((side, 30), "uint8")
    label[side // 2 :] = 1
    pair = only(one(tmp_path, image(), label, label_profile={"crs": "EPSG:4326", "transform": degrees}))
    _, classes = pair.read()
    assert (classes[:9, :14] == 0).all()
    assert (classes[11:, :14] == 1).all()
    assert (classes[:, 16:] == UNLABELLED).all()
    for rows, columns in ((slice(0, 7), slice(3, 20)), (slice(7, 20), slice(0, 3))):
        np.testing.assert_array_equal(pair.read(rows, columns)[1], classes[rows, columns])


def test_a_label_half_a_pixel_off_is_reprojected(tmp_path):
    off = UTM | {"transform": UTM["transform"] @ Affine.translation(0.4, 0.4)}
    _, classes = only(one(tmp_path, image(), mask(), label_profile=off)).read()
    np.testing.assert_array_equal(classes, mask())  # the nearest is still the same


def test_grids_that_would_be_wrong(tmp_path):
    coarse = UTM | {"transform": UTM["transform"] @ Affine.scale(2.5)}
    with pytest.raises(BadLabelsError, match=r"2.5 times as long as those of"):
        one(tmp_path, image(), mask(8), label_profile=coarse)
    one(tmp_path, image(), mask(10), label_profile=UTM | {"transform": UTM["transform"] @ Affine.scale(2)})
    for far in (1000, 1000.5):
        elsewhere = UTM | {"transform": UTM["transform"] @ Affine.translation(far, 0)}
        with pytest.raises(BadLabelsError, match="does not overlap"):
            one(tmp_path, image(), mask(), label_profile=elsewhere)
    with pytest.raises(BadLabelsError, match=r"10 x 10 pixels and .* 20 x 20, and not both say where they lie"):
        one(tmp_path, image(), mask(10), label_profile={})
    one(tmp_path, image(), mask(), label_profile={})


def test_parts_of_an_image_on_other_pixels_are_refused(tmp_path):
    write(tmp_path / "vv/a.tif", image()[0], **UTM)
    write(tmp_path / "vh/a.tif", image()[0], **UTM | {"transform": UTM["transform"] @ Affine.translation(0.3, 0)})
    write(tmp_path / "gt/a.tif", mask(), **UTM)
    (tmp_path / "dataset.yaml").write_text(TWO_PARTS)
    with pytest.raises(BadLabelsError, match=r"vh/a.tif lies on other pixels"):
        open_data(tmp_path)


TWO_PARTS = r"""
title: Two files a chip
sensor: s1
unit: dB
classes: [dry, water]
meaning: water
licence: own
images:
  - {paths: [{path: 'vv/(?P<id>.+)\.tif'}], bands: [vv], scale: 2, offset: -30}
  - {paths: [{path: 'vh/(?P<id>.+)\.tif'}], bands: [vh]}
label: {kind: raster, paths: [{path: 'gt/(?P<id>.+)\.tif'}], codes: {0: 0, 1: 1, 7: null}}
split_lists: {val: [a]}
"""


def test_a_record_of_ones_own(tmp_path):
    vv, vh = image()
    label = np.where(mask() == 1, 7, mask()).astype("uint8")
    write(tmp_path / "vv/a.tif", vv, **UTM)
    write(tmp_path / "vh/a.tif", np.pad(vh, 3), **UTM | {"transform": UTM["transform"] @ Affine.translation(-3, -3)})
    write(tmp_path / "gt/a.tif", label, **UTM)
    (tmp_path / "dataset.yaml").write_text(TWO_PARTS)
    labelled = open_data(tmp_path)
    assert labelled.name == tmp_path.name
    assert labelled.bands == ("vv", "vh")
    pair = only(labelled)
    assert pair.split == "val"
    read, classes = pair.read()
    np.testing.assert_allclose(read, np.stack([vv * 2 - 30, vh]), rtol=1e-6)
    np.testing.assert_array_equal(classes, np.where(label == 7, UNLABELLED, label.astype(int)))
    (tmp_path / "mine.yaml").write_text(TWO_PARTS + "root: .\n")
    assert open_data(tmp_path / "mine.yaml").name == "mine"
    (tmp_path / "mine.yaml").write_text(TWO_PARTS + "rot: .\n")
    with pytest.raises(BadRecordError, match="rot"):
        open_data(tmp_path / "mine.yaml")


def test_the_record_in_the_documentation_holds(tmp_path):
    text = (ROOT / "docs/datasets.md").read_text()
    (tmp_path / "dataset.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    write(tmp_path / "chips/Beira/0012.tif", RNG.integers(1, 9000, (4, 8, 8), "uint16"), **UTM)
    write(tmp_path / "water/Beira/0012.png", np.where(mask(8) == 1, 255, 0).astype("uint8"), "PNG")
    labelled = open_data(tmp_path)
    assert labelled.regions == ("Beira",)
    assert survey(labelled).totals == {"dry": int((mask(8) == 0).sum()), "water": int(mask(8).sum())}
    assert only(labelled).read()[0].max() < 0.9


def test_every_record_is_in_the_documentation():
    text = (ROOT / "docs/datasets.md").read_text()
    assert not [name for name in datasets() if f"| `{name}` |" not in text]


def test_a_file_that_says_where_a_known_set_lies(data, tmp_path, monkeypatch):
    (tmp_path / "flood.yaml").write_text(f"record: sen1floods11\nroot: {data / 'sen1floods11'}\n")
    assert len(open_data(tmp_path / "flood.yaml").pairs) == 10
    (tmp_path / "flood.yaml").write_text("record: sen1floods11\nroot: nowhere\n")
    with pytest.raises(BadRecordError, match="there is no folder"):
        open_data(tmp_path / "flood.yaml")
    monkeypatch.delenv("GEOSEG_DATA", raising=False)
    with pytest.raises(BadOptionError, match=r"GEOSEG_DATA is not set.*gs://sen1floods11"):
        open_data("sen1floods11")
    assert len(open_data("sen1floods11", root=data / "sen1floods11").pairs) == 10
    with pytest.raises(BadOptionError, match="its own sensor"):
        open_data("sen1floods11", root=data / "sen1floods11", sensor="s1")


def test_a_folder_of_several_known_sets(data):
    with pytest.raises(BadOptionError, match="its files match massachusetts and sen1floods11 and spacenet7"):
        open_data(data)


# -- labels --------------------------------------------------------------------------------------------------


def test_a_value_without_a_meaning_is_named(tmp_path):
    label = mask()
    label[3, 4], label[5, 5] = 2, 255
    labelled = one(tmp_path, image(), label)
    for read in (only(labelled).read, lambda: survey(labelled)):
        with pytest.raises(BadLabelsError, match=r"masks/a.tif: expected the values -1, 0, 1, got 2, 255"):
            read()


def test_nodata_of_a_label_is_unlabelled(tmp_path):
    label = mask()
    label[:5] = 255
    _, classes = only(one(tmp_path, image(), label, label_profile=UTM | {"nodata": 255})).read()
    assert (classes[:5] == UNLABELLED).all()
    np.testing.assert_array_equal(classes[5:], label[5:])


CODES = st.dictionaries(st.integers(-2, 6), st.sampled_from([None, 0, 1]), min_size=1)


@given(
    numbers=hnp.arrays(st.sampled_from(["int16", "float32"]), (4, 5), elements=st.integers(-2, 6)),
    there=hnp.arrays(bool, (4, 5)),
    codes=CODES,
)
def test_unlabelled_never_becomes_a_class(numbers, there, codes):
    strange = ~np.isin(numbers, list(codes)) & there
    if strange.any():
        with pytest.raises(BadLabelsError):
            classes_of(numbers, there, codes, "a.tif")
        return
    classes = classes_of(numbers, there, codes, "a.tif")
    assert classes.dtype == np.int16
    for number, index in zip(numbers.ravel().tolist(), classes.ravel().tolist(), strict=True):
        wanted = codes.get(int(number))
        assert index == (UNLABELLED if wanted is None else wanted)


@given(rows=st.integers(-6, 6), columns=st.integers(-6, 6), hidden=st.integers(0, 19))
def test_uncovered_is_unlabelled_wherever_the_label_lies(tmp_path_factory, rows, columns, hidden):
    folder = tmp_path_factory.mktemp("shift")
    label = mask(7).astype("int16")
    label[hidden % 7] = -1
    moved = UTM | {"transform": UTM["transform"] @ Affine.translation(columns, rows)}
    _, classes = only(one(folder, image(7), label, label_profile=moved)).read()
    wanted = np.full((21, 21), UNLABELLED)
    wanted[7 + rows : 14 + rows, 7 + columns : 14 + columns] = label
    np.testing.assert_array_equal(classes, wanted[7:14, 7:14])


def test_surveys(tmp_path, data):
    found = survey(open_data(data / "sen1floods11"))
    assert found.counts.dtype == np.int64
    assert (found.counts.sum(axis=1) + found.unlabelled == 512 * 512).all()
    assert found.unlabelled[found.ids.index("Ghana_83483")] == 512 * 512
    found.check()
    with pytest.raises(NotTrainableError, match=r"is dry \(1 pairs\), so nothing tells it from water"):
        survey(one(tmp_path, image(), np.zeros((20, 20), "uint8"))).check()
    with pytest.raises(NotTrainableError, match=r"No pixel of .* is labelled"):
        survey(one(tmp_path, image(), np.full((20, 20), -1, "int16"))).check()


# -- polygons ------------------------------------------------------------------------------------------------


POLYGONS = r"""
title: Footprints
sensor: aerial
unit: unitless
classes: [other, building]
meaning: building
licence: own
images: [{paths: [{path: '(?P<id>.+)\.tif'}], bands: [red, nir]}]
label:
  kind: polygons
  paths: [{path: '(?P<id>.+)\.geojson'}]
  outside: 0
  hidden: [{path: 'udm/(?P<id>.+)\.json'}]
"""


def square(left, top, side, transform=UTM["transform"]):
    corners = [(left, top), (left + side, top), (left + side, top + side), (left, top + side), (left, top)]
    ring = [list(transform @ corner) for corner in corners]
    return {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def geojson(path, *features, crs="EPSG:32630"):
    path.parent.mkdir(exist_ok=True)
    named = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": named, "features": features}))


def test_polygons_are_drawn_where_they_hold_a_centre(tmp_path):
    write(tmp_path / "a.tif", image(), **UTM)
    # from 2.4 to 5.6: the centres of columns 2 to 5 lie at 2.5, 3.5, 4.5, 5.5
    geojson(tmp_path / "a.geojson", square(2.4, 2.4, 3.2), square(10.6, 10.6, 0.8))
    geojson(tmp_path / "udm/a.json", square(4, 0, 16))
    (tmp_path / "dataset.yaml").write_text(POLYGONS)
    pair = only(open_data(tmp_path))
    wanted = np.zeros((20, 20))
    wanted[2:6, 2:6] = 1
    wanted[:16, 4:] = UNLABELLED
    np.testing.assert_array_equal(pair.read()[1], wanted)


def test_polygons_that_cannot_be(tmp_path):
    (tmp_path / "dataset.yaml").write_text(POLYGONS)
    write(tmp_path / "a.tif", image(), **UTM)
    point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
    geojson(tmp_path / "a.geojson", point)
    with pytest.raises(BadLabelsError, match=r"holds no polygon .1 feature without area"):
        only(open_data(tmp_path)).read()
    (tmp_path / "a.geojson").write_text("{")
    with pytest.raises(BadLabelsError, match="not a vector file"):
        only(open_data(tmp_path)).read()
    write(tmp_path / "a.tif", image())
    with pytest.raises(BadLabelsError, match="Georeference it"):
        open_data(tmp_path)


# -- dask, and torchgeo --------------------------------------------------------------------------------------


def test_a_pair_travels_to_a_worker(folder):
    pair = open_data(folder, **PLAIN).pairs[0]
    again = pickle.loads(pickle.dumps(pair))
    for one_, other in zip(pair.read(), again.read(), strict=True):
        np.testing.assert_array_equal(one_, other)


def test_another_content_is_another_array(folder):
    name = open_data(folder, **PLAIN).pairs[0].image.name
    assert open_data(folder, **PLAIN).pairs[0].image.name == name
    write(folder / "images/a.tif", image(), **UTM)
    assert open_data(folder, **PLAIN).pairs[0].image.name != name


def test_samples_for_torchgeo(data):
    labelled = open_data(data / "sen1floods11")
    pair = next(pair for pair in labelled.pairs if pair.id == "Nigeria_812045")
    sample = to_torchgeo(pair, slice(64, 128), slice(0, 64), labelled.bands)
    assert set(sample) == {"image", "mask", "bounds", "crs", "bands"}
    assert (sample["image"].dtype, sample["image"].shape) == (torch.float32, (2, 64, 64))
    assert (sample["mask"].dtype, sample["mask"].shape) == (torch.int64, (64, 64))
    assert sample["crs"].to_epsg() == 4326
    x, y = sample["bounds"]
    transform = pair.place.transform
    assert (x.start, y.stop) == pytest.approx(transform @ (0, 64))
    assert (x.stop, y.start) == pytest.approx(transform @ (64, 128))
    assert x.step == pytest.approx(transform.a)
    empty = to_torchgeo(next(pair for pair in labelled.pairs if pair.id == "Paraguay_34417"))
    assert (empty["mask"] == UNLABELLED).all()
    assert (empty["image"] == 0).all()


def test_torchgeo_trains_on_samples(data):
    import kornia.augmentation as K
    from torchgeo.datasets import stack_samples
    from torchgeo.trainers import SemanticSegmentationTask
    from torchgeo.transforms import AppendNormalizedDifferenceIndex

    labelled = open_data(data / "sen1floods11")
    chosen = [pair for pair in labelled.pairs if pair.id in {"Nigeria_812045", "Paraguay_34417"}]
    batch = stack_samples(to_torchgeo(pair, slice(0, 64), slice(0, 64), labelled.bands) for pair in chosen)
    before = batch["mask"].clone()
    flip = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=1), AppendNormalizedDifferenceIndex(0, 1), data_keys=None, keepdim=True
    )
    batch = flip(batch)
    assert batch["image"].shape == (2, 3, 64, 64)
    assert torch.equal(batch["mask"], before.flip(-1))
    torch.manual_seed(0)
    task = SemanticSegmentationTask(
        model="unet", backbone="resnet18", in_channels=3, num_classes=2, ignore_index=UNLABELLED
    )
    task.log = task.log_dict = lambda *args, **kwargs: None
    loss = task.training_step(batch, 0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(each.grad).all() for each in task.parameters() if each.grad is not None)
