"""Cards against the sensors they name, the code that builds them, and what they claim to score."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio

from geoseg.catalog.cards import BEFORE, WEIGHTS, ModelCard, cards, shipped
from geoseg.catalog.records import LARGEST_RECORD, load_record
from geoseg.catalog.sensors import sensor, sensors
from geoseg.cli.main import run
from geoseg.core.hashing import file_sha256
from geoseg.errors import BadRecordError
from geoseg.models.create import load_model
from geoseg.models.inference import Predictor
from geoseg.models.registry import architectures

NAMES = sorted(cards())
FIXED_BANDS = [name for name in NAMES if cards()[name].family != "cnn"]
"""The bands of a network that is trained from scratch are an example."""


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_named_as_its_file_and_can_be_built(name):
    assert cards()[name].name == name
    assert cards()[name].architecture.name in architectures()
    assert cards()[name].limits, "every model has limits"
    assert cards()[name].references


@pytest.mark.parametrize("name", FIXED_BANDS)
def test_every_sensor_it_names_has_its_bands(name):
    card = cards()[name]
    for one in card.sensors:
        assert {band.removeprefix(BEFORE) for band in card.bands} <= set(sensor(one).bands), one


def test_every_sensors_default_model_reads_that_sensor():
    for name, record in sensors().items():
        assert name in cards()[record.default_model].sensors


@pytest.mark.parametrize("name", [name for name in NAMES if cards()[name].family != "classical" and not shipped(name)])
def test_a_network_without_weights_says_where_they_come_from(name):
    assert cards()[name].weights_from
    assert cards()[name].parameters_m


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"overlap_px": 300}, "half of chip_px"),
        ({"normalisation": {"bands": {"red": {"std": 1}}}}, "does not read"),
        ({"normalisation": {"bands": {"vv": {"std": 0}}}}, "greater than 0"),
        ({"normalisation": {"bands": {"vv": {"std": float("inf")}}}}, r"(?s)normalisation\.bands\.vv\.std.*finite"),
        ({"normalisation": {"bands": {"vv": {"mean": float("nan")}}}}, r"(?s)normalisation\.bands\.vv\.mean.*finite"),
        ({"normalisation": {"bands": {"vv": {"mean": 1e38, "std": 1e-3}}}}, "beyond float32"),
        ({"normalisation": {"scale": float("nan")}}, r"(?s)normalisation\.scale.*finite"),
        ({"normalisation": {"scale": float("inf")}}, r"(?s)normalisation\.scale.*finite"),
        ({"normalisation": {"scale": 0}}, r"(?s)normalisation\.scale.*greater than 0"),
        ({"normalisation": {"scale": 1e-39}}, r"normalisation\.scale.*beyond float32"),
        ({"bands": ("vv", "vh"), "normalisation": {"bands": {"vv": {"std": 1}}}}, "no statistics of vh"),
        ({"gsd_m": (-10, 10)}, r"(?s)gsd_m\.0.*greater than 0"),
        ({"gsd_m": (10, float("nan"))}, r"(?s)gsd_m\.1.*finite|gsd_m\.1.*greater"),
        ({"sensors": ("nope",)}, r"(?s)sensors.*no sensor 'nope'"),
        ({"sha256": "abc"}, "pattern"),
        ({"colour": "blue"}, "Extra inputs"),
        ({"classes": []}, "at least 1"),
        ({"threshold_pct": 0}, "greater than or equal"),
    ],
)
def test_a_card_that_does_not_hold_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        ModelCard.model_validate(cards()["otsu"].model_dump() | changes)


CLAIMS = [(name, claim, value) for name in ("otsu", "otsu-vh") for claim, value in cards()[name].scores.items()]


@pytest.mark.parametrize(("name", "claim", "value"), CLAIMS)
def test_scores_are_what_the_model_scores(data, name, claim, value):
    protocol, rest = claim.split(", Sen1Floods11 ")
    assert protocol == "water IoU"
    chip, _, by_default = rest.partition(" (")
    with rasterio.open(data / f"sen1floods11/S1Hand/{chip}_S1Hand.tif") as image:
        pixels = image.read(1 if name == "otsu" else 2).astype(np.float32)
    with rasterio.open(data / f"sen1floods11/LabelHand/{chip}_LabelHand.tif") as image:
        label = image.read(1)
    predictor = Predictor.of(name)
    predictor = predictor.with_threshold(predictor.load().scene_statistics(pixels[None]))
    seen = (label >= 0) & np.isfinite(pixels)
    water, truth = (predictor.probability(pixels[None, None])[0] >= 0.5) & seen, (label == 1) & seen
    assert (water & truth).sum() / (water | truth).sum() == pytest.approx(value, abs=0.006)
    assert predictor.scene_threshold_info()["threshold_from"] == ("default" if by_default else "tiles")


def test_what_ships_is_small_loads_and_tells_the_plain_truth():
    folders = [folder for name in NAMES if (folder := shipped(name))]
    assert folders
    sizes = [(folder / WEIGHTS).stat().st_size for folder in folders]
    assert max(sizes) <= 12e6
    assert sum(sizes) <= 40e6
    for folder in folders:
        model = load_model(folder.name)
        card = model.card
        assert card.training_data, folder.name
        assert "icence" in " ".join(card.training_data)
        assert any("held out" in name or "test" in name for name in card.scores), folder.name
        assert len(card.limits) >= 3
        assert card.training.recipe
        assert file_sha256(folder / WEIGHTS) == card.sha256


@pytest.fixture(params=["device", "pipe", "endless"])
def no_file(request, tmp_path):
    """What opens as a file, and is none, or none that ends soon."""
    path = tmp_path / "it.yaml"
    if request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("a: " + "x" * LARGEST_RECORD)
    return path


def test_a_record_that_is_no_file_is_refused_unread(no_file):
    with pytest.raises(BadRecordError, match=r"device or a pipe|larger than 1,000,000 bytes"):
        load_record(no_file, ModelCard)


@pytest.mark.parametrize(
    "words",
    [("map",), ("finetune",), ("evaluate", "split", "--model", "otsu", "--data", "none")],
    ids=lambda words: words[0],
)
def test_a_configuration_that_is_no_file_is_refused_unread(capsys, no_file, words):
    assert run([*words, "--config", str(no_file)]) == 2
    err = capsys.readouterr().err
    assert "device or a pipe" in err or "larger than 1,000,000 bytes" in err


def test_a_folder_and_a_missing_configuration_are_said_as_before(capsys, tmp_path):
    for path in (tmp_path, tmp_path / "gone.yaml"):
        assert run(["map", "--config", str(path)]) == 2
        assert "cannot be read" in capsys.readouterr().err
