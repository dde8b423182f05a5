"""``geoseg models`` as a person meets it, and the Python door."""

from __future__ import annotations

import doctest
import json

import pytest
import torch

import geoseg.models.create
from geoseg.catalog.cards import Architecture, ModelCard, cards
from geoseg.cli.main import run
from geoseg.errors import UnknownNameError
from geoseg.models import create_model
from geoseg.models.bundle import save_bundle
from geoseg.models.registry import build

NETWORKS = {
    *(f"unetplusplus-efficientnet-b{size}" for size in range(5)),
    *("unet", "attention-unet", "deeplabv3plus-resnet50", "transnorm", "uvit"),
    *("prithvi-eo-v2-tiny-tl", "prithvi-eo-v2-100m-tl", "prithvi-eo-v2-300m", "prithvi-eo-v2-300m-tl"),
    *("prithvi-eo-v2-600m", "prithvi-eo-v2-600m-tl", "prithvi-eo-v1-100m"),
    *("clay-v1.5", "clay-v1.5-base", "clay-v1.5-small", "clay-v1.5-tiny"),
    *("dofa-base", "dofa-large", "dofa-v2-base", "dofa-v2-large"),
}
BASELINES = {"otsu", "otsu-vh", "ndwi", "mndwi", "awei", "awei-nsh", "sar-change"}


@pytest.fixture
def bundle(tmp_path):
    card = ModelCard(
        name="mine",
        title="A small one",
        family="cnn",
        architecture=Architecture(name="unet", options={"base": 4}),
        sensors=("planetscope",),
        bands=("green", "nir"),
        unit="reflectance",
        chip_px=64,
    )
    save_bundle(tmp_path / "mine", build("unet", 2, 1, base=4), card)
    return tmp_path / "mine"


def answer(capsys, *arguments: str) -> dict:
    assert run(["models", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


SHIPPED = {"flood-s1", "flood-s2", "flood-planetscope", "buildings-rgb"}


def test_list_names_every_model_with_its_size_and_where_its_weights_are(capsys):
    rows = {row["name"]: row for row in answer(capsys, "list")["models"]}
    assert rows.keys() == NETWORKS | BASELINES | SHIPPED == cards().keys()
    assert {rows[name]["weights"] for name in SHIPPED} == {"here"}
    assert rows["otsu"]["weights"] == "none needed"
    assert rows["unet"]["weights"] == "train"
    assert rows["clay-v1.5"]["weights"] == "fetch encoder"
    assert rows["clay-v1.5-tiny"]["weights"] == "train"  # never released
    assert all(row["parameters_m"] for name, row in rows.items() if name in NETWORKS)


def test_list_by_sensor(capsys):
    names = {row["name"] for row in answer(capsys, "list", "--sensor", "s1")["models"]}
    assert {"otsu", "sar-change", "unet"} <= names
    assert not {"ndwi", "mndwi", "awei"} & names
    assert run(["models", "list", "--sensor", "s9"]) == 2
    assert "s9" in capsys.readouterr().err


def test_show_counts_parameters_of_a_card_and_of_a_bundle(capsys, bundle):
    assert answer(capsys, "show", "unet")["parameters"]["total"] == 31_039_361
    shown = answer(capsys, "show", str(bundle))
    assert shown["bands"] == ["green", "nir"]
    assert shown["parameters"]["total"] == sum(each.numel() for each in build("unet", 2, 1, base=4).parameters())
    assert run(["models", "show", "otsu"]) == 0
    assert "bimodal" in capsys.readouterr().out


def test_verify_says_how_many_tensors_matched_and_fails_on_damage(capsys, bundle):
    found = answer(capsys, "verify", str(bundle))
    assert found["matched"] == found["total"] == len(build("unet", 2, 1, base=4).state_dict())
    (bundle / "weights.safetensors").write_bytes(b"not weights")
    assert run(["models", "verify", str(bundle)]) == 1
    said = capsys.readouterr().err
    assert "sha256" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [("otsu", "no weights"), ("unet", "geoseg finetune --model unet"), ("dofa-base", "geoseg models fetch dofa-base")],
)
def test_verify_of_what_is_not_here_says_where_it_comes_from(capsys, name, said):
    assert run(["models", "verify", name]) == 1
    assert said in capsys.readouterr().err


def test_fetch_offline_fails_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("GEOSEG_OFFLINE", "1")
    assert run(["models", "fetch", "dofa-base", "-q"]) == 1
    said = capsys.readouterr().err
    assert "GEOSEG_OFFLINE" in said
    assert said.count("\n") == 1


def test_export_writes_a_file(capsys, bundle, tmp_path):
    done = answer(capsys, "export", str(bundle), "--format", "pt2", "-o", str(tmp_path / "mine.pt2"))
    assert (tmp_path / "mine.pt2").stat().st_size > 1000
    assert done["difference"] < 1e-4
    assert run(["models", "export", str(bundle), "--format", "tflite", "-o", str(tmp_path / "x")]) == 2


def test_the_python_door_does_what_its_docstring_says():
    results = doctest.testmod(geoseg.models.create)
    assert results.attempted >= 4
    assert results.failed == 0


def test_the_python_door_takes_any_encoder_and_offers_the_nearest_name():
    network = create_model("unetplusplus-resnet18", bands=2, classes=3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 32, 32)).shape == (1, 3, 32, 32)
    with pytest.raises(UnknownNameError, match="unet"):
        create_model("unett")


def test_show_says_first_what_it_reads_and_lists_training_images_only_when_asked(capsys):
    assert run(["models", "show", "flood-s1"]) == 0
    said = capsys.readouterr().out
    places = [said.index(f"\n{key}") for key in ("sensors", "bands", "scores", "limits", "architecture", "training.")]
    assert places == sorted(places)
    ids = answer(capsys, "show", "flood-s1")["training"]["trained_on"]
    assert f"{len(ids)} images (--full lists them)" in said
    assert ids[0] not in said
    assert run(["models", "show", "flood-s1", "--full"]) == 0
    assert ids[0] in capsys.readouterr().out


def test_list_fits_80_columns_and_cuts_no_name(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert set(cards()) <= set(names)
