"""Exported files: opened by their own runtimes, the same answer on real chips, and what Deepness looks for."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import rasterio
import torch

from geoseg.catalog.cards import Architecture, BandStatistics, ModelCard, Normalisation
from geoseg.errors import BadOptionError, ModelError, WeightsMissingError
from geoseg.models import export
from geoseg.models.bundle import load_bundle, save_bundle
from geoseg.models.export import export_model
from geoseg.models.inference import water_probability
from geoseg.models.protocol import Chips
from geoseg.models.registry import build
from tests.support.bundles import opened

CARD = ModelCard(
    name="radar",
    title="For tests",
    family="cnn",
    architecture=Architecture(name="unet", options={"base": 4}),
    sensors=("s1",),
    bands=("vv", "vh"),
    unit="dB",
    normalisation=Normalisation(bands={"vv": BandStatistics(mean=-10, std=5), "vh": BandStatistics(mean=-17, std=5)}),
    chip_px=128,
    overlap_px=32,
    threshold_pct=40,
)


@pytest.fixture
def bundle(tmp_path):
    torch.manual_seed(0)
    save_bundle(tmp_path / "bundle", build("unet", 2, 1, base=4), CARD)
    return tmp_path / "bundle"


@pytest.fixture(scope="session")
def real_chips(data) -> torch.Tensor:
    """float32 (5, 2, 128, 128), dB, of Nigeria's flood; a corner of one is not observed."""
    with rasterio.open(data / "sen1floods11/S1Hand/Nigeria_812045_S1Hand.tif") as image:
        pixels = torch.from_numpy(image.read().astype(np.float32))
    chips = torch.stack([pixels[:, y : y + 128, y : y + 128] for y in range(0, 320, 64)])
    chips[0, :, :20, :30] = torch.nan
    return chips


@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:FutureWarning")  # old programs still want it
@pytest.mark.parametrize("format_", ["onnx", "torchscript", "pt2"])
def test_every_format_gives_torchs_answer_on_real_chips_for_any_number_of_them(bundle, real_chips, tmp_path, format_):
    done = export_model(bundle, tmp_path / f"flood.{format_}", format_, chips=real_chips)
    assert done.difference < 1e-4
    expected = water_probability(load_bundle(bundle), Chips(real_chips, ("vv", "vh")))
    got = opened(format_, done.path, real_chips)[:, 0]
    seen = ~expected.isnan()
    assert torch.allclose(got[seen], expected[seen], atol=1e-4)
    assert opened(format_, done.path, real_chips[:1]).shape == (1, 1, 128, 128)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [done.path.name]


def check_opens_in_qgis_plugins(path):
    """Hold a file against onnxruntime 1.17, which refuses IR versions above 9 and operator sets above 20."""
    import onnx

    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.ir_version <= 9
    assert [(each.domain, each.version <= 20) for each in proto.opset_import] == [("", True)]
    assert not proto.functions
    assert not any(node.metadata_props for node in proto.graph.node)  # a field of IR 10


def test_a_nest_with_several_classes_exports_to_onnx(tmp_path):
    torch.manual_seed(0)
    built = Architecture(name="unetplusplus", options={"encoder": "resnet18"})
    changes = {"architecture": built, "chip_px": 64, "overlap_px": 16, "classes": ("dry", "flood", "permanent")}
    save_bundle(tmp_path / "nest", build("unetplusplus", 2, 3, encoder="resnet18"), CARD.model_copy(update=changes))
    done = export_model(tmp_path / "nest", tmp_path / "nest.onnx")
    assert done.difference < 1e-4
    check_opens_in_qgis_plugins(done.path)
    assert json.loads(done.metadata["class_names"]) == {"0": "dry", "1": "flood", "2": "permanent"}
    shares = opened("onnx", done.path, torch.full((1, 2, 64, 64), -12.0)).sum(dim=1)
    assert torch.allclose(shares, torch.ones_like(shares), atol=1e-5)


def test_deepness_finds_what_it_reads(bundle, tmp_path):
    import onnxruntime

    export_model(bundle, tmp_path / "flood.onnx")
    check_opens_in_qgis_plugins(tmp_path / "flood.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "flood.onnx", providers=["CPUExecutionProvider"])
    told = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert told["model_type"] == "Segmentor"
    assert told["class_names"] == {"0": "not water", "1": "water"}
    assert told["resolution"] == 1000.0  # centimetres
    assert told["tile_size"] == 128
    assert told["tiles_overlap"] == 25
    assert told["seg_thresh"] == 0.4
    (only,) = session.get_inputs()
    assert only.shape == ["batch", 2, 128, 128]
    assert session.get_outputs()[0].shape == ["batch", 1, 128, 128]
    # Deepness divides by 255 and standardises: what reaches the network must be the pixels again
    raw = np.float32(-17.3)
    assert (raw / 255 - told["standardization_mean"][0]) / told["standardization_std"][0] == pytest.approx(raw)


REFLECTANCE = {"sensors": ("s2",), "bands": ("green", "nir"), "unit": "reflectance"}


@pytest.mark.parametrize(
    ("changes", "centimetres"),
    [
        ({}, 1000),
        ({"gsd_m": (3.0, 20.0)}, 1000),  # the sensor's, not the finest that the model takes
        ({"gsd_m": (12.0, 20.0)}, 1200),
        (REFLECTANCE | {"gsd_m": (1.5, 6.0)}, 600),
    ],
)
def test_the_resolution_is_the_sensors_within_what_the_model_takes(changes, centimetres):
    told = export.deepness_metadata(CARD.model_copy(update=changes))
    assert json.loads(told["resolution"]) == centimetres


def test_the_standardisation_that_the_description_names_turns_digital_numbers_into_reflectance():
    text = json.loads(export.deepness_metadata(CARD.model_copy(update=REFLECTANCE))["description"])
    assert "green, nir in this order, reflectance" in text
    pairs = re.findall(r"mean ([\d.]+) and std ([\d.]+)", text)
    reflectance = [
        (dn / 255 - float(mean)) / float(std.rstrip(".")) for dn, (mean, std) in zip((2500, 3500), pairs, strict=True)
    ]
    assert reflectance == pytest.approx([0.25, 0.25], abs=1e-5)
    assert "dB" in json.loads(export.deepness_metadata(CARD)["description"])


def test_a_file_that_does_not_agree_is_never_written(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(export._WRITERS, "pt2", lambda module, *_: lambda chips: module(chips) + 0.01)
    with pytest.raises(ModelError, match="not written"):
        export_model(bundle, tmp_path / "flood.pt2", "pt2")
    assert not (tmp_path / "flood.pt2").exists()


def test_what_cannot_be_exported_is_refused(bundle, tmp_path):
    with pytest.raises(BadOptionError, match="formula"):
        export_model("otsu", tmp_path / "x.onnx")
    with pytest.raises(WeightsMissingError):
        export_model("unet", tmp_path / "x.onnx")
    with pytest.raises(BadOptionError, match="onnx, torchscript, pt2"):
        export_model(bundle, tmp_path / "x.tflite", "tflite")
