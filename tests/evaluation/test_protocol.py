"""Held-out masks: what ``geoseg map`` would give, where the image lies, counted exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning
from sklearn.metrics import confusion_matrix

from geoseg.catalog.target import WATER
from geoseg.core.area import Area
from geoseg.core.progress import silent
from geoseg.core.request import Dates
from geoseg.datasets.pair import Georeference, Pair
from geoseg.evaluation.held_out import file_stem, read_mask, write_held_out
from geoseg.evaluation.predicting import predict_pair, window_plan
from geoseg.evaluation.records import read_fold
from geoseg.inference.job import InferenceJob, ModelInput
from geoseg.inference.local import LocalExecutor
from geoseg.inference.run import PROBABILITY, SOURCE, predict
from geoseg.inference.threshold import fit_scene_threshold
from geoseg.inference.work_folder import WorkFolder
from geoseg.models.inference import Predictor
from geoseg.readers import Cube
from geoseg.sources.search import find_scenes
from geoseg.water.codes import mask_codes
from tests.support.command import geoseg
from tests.support.made_regions import scene
from tests.support.rasters import write_chip


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> tuple[Cube, Pair]:
    """One file, once as a map's engine reads it and once as a labelled image."""
    folder = tmp_path_factory.mktemp("scene")
    image, label = scene(3, side=170)
    image, label = image[:, :, :150], label[:, :150]
    file = write_chip(folder / "lake.tif", image)
    options = ("--sensor", "s1", "--units", "db", "--bands", "vv,vh", "--date", "2018-09-21")
    status, _, err = geoseg("catalog", "add", file, *options, "-o", folder / "catalogue", "-q")
    assert status == 0, err
    with rasterio.open(file) as opened:
        grid = GeoBox(opened.shape, opened.transform, opened.crs)
    everywhere, day = Area.from_bbox("-180,-85,180,85"), Dates.parse("2018-09-21")
    scenes = list(find_scenes(everywhere, day, "s1", str(folder / "catalogue")).scenes)
    cube = Cube.of(scenes, grid, ("vv", "vh"), instant=scenes[0].time)
    place = Georeference("EPSG:32632", grid.affine)
    arrays = da.from_array(image, name=False), da.from_array(label, name=False)
    return cube, Pair("lake", "r", "", *arrays, place, 10.0, scenes[0].time, (47.0, 9.0))


@pytest.mark.parametrize("model", ["otsu", "unet"])
def test_the_mask_is_that_of_the_engine_that_maps(model, seen, loro, tmp_path):
    cube, pair = seen
    predictor = Predictor.of("otsu" if model == "otsu" else smaller_windows(loro[0] / "unet" / "fold-Kano", tmp_path))
    bands = predictor.card.bands
    cube = replace(cube, bands=bands, specs=tuple(replace(each, bands=each.bands[: len(bands)]) for each in cube.specs))
    imagery = ModelInput(bands, cube)
    known = predictor.with_acquisition(gsd_m=pair.gsd_m, time=pair.time, latlon=pair.latlon)
    with_threshold = fit_scene_threshold(LocalExecutor(), imagery, known, silent)
    folder = WorkFolder.open(tmp_path / "work", "key", pair.shape, (PROBABILITY, SOURCE))
    predict(
        LocalExecutor(),
        InferenceJob(window_plan(predictor.card, pair.shape), imagery, with_threshold),
        folder,
        silent,
        "map",
    )
    percent = next(folder.layers[PROBABILITY].blocks(pair.shape[0]))[1]

    said = predict_pair(predictor, replace(pair, image=pair.image[: len(bands)]))
    assert model == "otsu" or said.windows > 4, "one window would blend nothing"
    np.testing.assert_array_equal(said.percent, percent)
    np.testing.assert_array_equal(said.mask, mask_codes(said.percent, None, predictor.card.threshold_pct))
    hidden = np.isnan(pair.image[: len(bands)].compute()).any(axis=0)
    np.testing.assert_array_equal(said.mask == 255, hidden)
    assert set(np.unique(said.mask)) == {0, 1, 255}, "a mask of one class would agree by accident"


def nearly(one: np.ndarray, other: np.ndarray) -> None:
    """The same but for the rounding of sums, which may move a pixel here and there to the next per cent."""
    np.testing.assert_array_equal(one == 255, other == 255)
    apart = np.abs(one.astype(int) - other.astype(int))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01


def smaller_windows(bundle: Path, folder: Path) -> Path:
    """The bundle with windows of 64 px that overlap by 16, and a threshold that divides what it says of a lake."""
    import yaml

    copy = folder / "bundle"
    copy.mkdir()
    (copy / "weights.safetensors").write_bytes((bundle / "weights.safetensors").read_bytes())
    card = yaml.safe_load((bundle / "card.yaml").read_text())
    card |= {"chip_px": 64, "overlap_px": 16}
    (copy / "card.yaml").write_text(yaml.safe_dump(card))
    image, _ = scene(3, side=170)
    pair = Pair("p", "r", "", da.from_array(image, name=False), da.zeros(image.shape[1:], dtype=np.int16))
    percent = predict_pair(Predictor.of(copy), pair).percent
    middle = int(np.median(percent[percent != 255]))
    (copy / "card.yaml").write_text(yaml.safe_dump(card | {"threshold_pct": max(1, middle)}))
    return copy


def test_threads_and_batches_change_nothing(seen, loro):
    _, pair = seen
    predictor = Predictor.of(loro[0] / "unet" / "fold-Kano")
    one, many = (predict_pair(predictor, pair, threads=threads, batch_size=threads) for threads in (1, 3))
    nearly(one.percent, many.percent)


def test_every_held_out_mask_lies_on_its_image_and_follows_from_its_probability(loro, regions):
    out, _ = loro
    for model in ("otsu", "unet"):
        for image in sorted((regions / "images").rglob("*.tif")):
            fold = out / model / f"fold-{image.parent.name}"
            with rasterio.open(image) as source, rasterio.open(fold / "masks" / image.name) as mask:
                assert (mask.crs, mask.transform, mask.shape) == (source.crs, source.transform, source.shape)
                assert mask.nodata == 255
                assert mask.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                assert mask.tags()["GEOSEG_HELD_OUT"] == image.parent.name
                codes, hidden = mask.read(1), np.isnan(source.read()).any(axis=0)
            percent = read_mask(fold / "probabilities" / image.name)
            limit = read_fold(fold / "result.json").threshold_pct
            np.testing.assert_array_equal(codes == 255, hidden)
            np.testing.assert_array_equal(percent == 255, hidden)
            np.testing.assert_array_equal(codes[~hidden] == 1, percent[~hidden] >= limit)


def test_the_counts_are_those_of_the_files(loro, regions):
    """Read back with rasterio and counted by scikit-learn: nothing of geoseg's evaluation takes part."""
    out, answer = loro
    for row in answer["rows"]:
        if row["row"] != "group":
            continue
        total = np.zeros((2, 2), np.int64)
        for label in sorted((regions / "masks" / row["region"]).glob("*.tif")):
            with rasterio.open(label) as file:
                truth = file.read(1)
            said = read_mask(out / row["model"] / f"fold-{row['region']}" / "masks" / label.name)
            both = (truth >= 0) & (said != 255)
            total += confusion_matrix(truth[both], said[both], labels=[0, 1])
        assert row["scored_px"] == total.sum()
        assert row["scores"]["accuracy"] == pytest.approx(np.trace(total) / total.sum())
        if row["region"] == "Sahara":
            assert row["scores"]["iou_water"] is None
        else:
            assert row["scores"]["iou_water"] == pytest.approx(total[1, 1] / (total.sum() - total[0, 0]))


def test_nobody_is_judged_on_what_taught_it(loro):
    for file in sorted(loro[0].glob("unet/*/result.json")):
        fold = read_fold(file)
        assert fold.trained_on
        assert not {chip.id for chip in fold.chips} & set(fold.trained_on)
        assert not any(each.startswith(fold.fold) for each in fold.trained_on)


def test_an_image_without_a_place_gets_a_plain_file(tmp_path):
    image, _ = scene(1)
    pair = Pair("a/b c", "r", "", da.from_array(image, name=False), da.zeros(image.shape[1:], dtype=np.int16))
    said = predict_pair(Predictor.of("otsu"), replace(pair, image=pair.image[:1]))
    mask, probability = write_held_out(tmp_path, pair, said, WATER, {"GEOSEG_MODEL": "otsu"})
    assert (mask.relative_to(tmp_path).as_posix(), mask.name) == (f"masks/{file_stem('a/b c')}.tif", probability.name)
    with pytest.warns(NotGeoreferencedWarning), rasterio.open(mask) as file:
        assert file.crs is None
        assert file.nodata == 255
    np.testing.assert_array_equal(read_mask(mask), said.mask)
    np.testing.assert_array_equal(read_mask(probability), said.percent)


def test_the_run_record_tells_how_to_do_it_again(loro):
    record = json.loads((loro[0] / "run.json").read_text())
    assert record["protocol"] == "loro"
    assert record["seed"] == 0
    assert {each["model"] for each in record["folds"]} == {"otsu", "unet"}
    assert all(len(each["fingerprint"]) == 64 for each in record["folds"])
    assert record["versions"]["geoseg"]
    assert [each["bands"] for each in record["data"]] == [["vv"], ["vv", "vh"]]
