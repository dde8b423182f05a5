"""One resolver answers "which model is this?" for every command."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from geoseg.catalog.cards import CARD, WEIGHTS, Architecture, ModelCard, shipped
from geoseg.catalog.encoders import encoder_names
from geoseg.cli.main import run
from geoseg.core.hashing import file_sha256
from geoseg.errors import BundleError, UnknownNameError, WeightsMissingError
from geoseg.models.bundle import save_bundle
from geoseg.models.create import create_model, load_model, resolve_model
from geoseg.models.inference import Predictor


def save_small(folder: Path, seed: int = 0) -> Path:
    card = ModelCard(
        name=folder.name,
        title="A small one",
        family="cnn",
        architecture=Architecture(name="unet", options={"base": 4}),
        sensors=("s1",),
        bands=("vv", "vh"),
        unit="dB",
        chip_px=64,
    )
    torch.manual_seed(seed)
    save_bundle(folder, create_model("unet", bands=2, classes=1, base=4), card)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_is_a_model_of_geoseg_and_a_path_is_a_folder(here):
    own = save_small(here / "flood-s1")
    assert resolve_model("geoseg:flood-s1").folder == shipped("flood-s1")
    for path in ("./flood-s1", str(own), own, Path("flood-s1"), "../" + here.name + "/flood-s1"):
        ref = resolve_model(path)
        assert ref.folder == own, path
        assert ref.card.title == "A small one"
        assert ref.kind == "bundle"
        assert not ref.is_shipped


@pytest.mark.parametrize("part", [CARD, WEIGHTS])
def test_a_bare_name_that_is_both_is_refused_with_both_ways_to_say_it(here, part):
    save_small(here / "other")
    (here / "flood-s1").mkdir()
    shutil.copy(here / "other" / part, here / "flood-s1" / part)
    with pytest.raises(UnknownNameError, match=r"\./flood-s1 for the folder, or geoseg:flood-s1 for"):
        resolve_model("flood-s1")


COMMANDS = [
    "map --catalog demo --bbox 8.4,11.9,8.41,11.91 --date 2018-09-21 --sensor s1 --model NAME --out out",
    "scenes --catalog demo --bbox 8.4,11.9,8.41,11.91 --date 2018-09-21 --sensor s1 --model NAME",
    "finetune --data data --sensor s1 --bands vv,vh --unit dB --model NAME --out out",
    "evaluate split --data data --sensor s1 --bands vv,vh --unit dB --model NAME --out out",
    "models show NAME",
    "models verify NAME",
    "models export NAME -o out.onnx",
]


@pytest.mark.parametrize("name", ["flood-s1", "unet"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it_alike(here, capsys, command, name):
    save_small(here / name)
    if "data" in command:
        little_chips(here / "data")
    assert run(command.replace("NAME", name).split()) == 2
    said = capsys.readouterr().err
    assert f"geoseg:{name}" in said, said
    assert f"./{name}" in said
    assert not (here / "out").exists()


def little_chips(folder: Path) -> None:
    """Labelled chips that a command reads before it asks for the model."""
    for part, bands in (("images", 2), ("masks", 1)):
        (folder / part).mkdir(parents=True)
        for name in ("a", "b", "c"):
            profile = {"driver": "GTiff", "width": 32, "height": 32, "count": bands, "dtype": "float32"}
            with rasterio.open(
                folder / part / f"{name}.tif",
                "w",
                crs="EPSG:32632",
                transform=from_origin(4e5, 1.3e6, 10, 10),
                **profile,
            ) as file:
                file.write(np.full((bands, 32, 32), -10.0 if bands == 2 else 1.0, np.float32))


def test_a_folder_of_products_with_a_models_name_changes_nothing(here):
    (here / "otsu").mkdir()
    (here / "otsu" / "flood.tif").write_bytes(b"")
    assert resolve_model("otsu").is_shipped


def test_a_bare_name_of_a_folder_alone_is_that_folder(here):
    assert resolve_model(save_small(here / "mine").name).folder == here / "mine"


def test_a_fingerprint_tells_the_weights_and_not_where_they_lie(here):
    one, same, other = (save_small(here / name, seed) for name, seed in (("a/m", 0), ("b/m", 0), ("c/m", 1)))
    of = [resolve_model(each).fingerprint for each in (one, same, other)]
    assert of[0] == of[1] != of[2]
    assert resolve_model("flood-s1").fingerprint == file_sha256(shipped("flood-s1") / CARD)


def test_a_models_fingerprint_changes_with_its_card(monkeypatch):
    ref = resolve_model("otsu")
    from geoseg.catalog import cards as module
    from geoseg.models import create

    changed = ref.card.model_copy(update={"threshold_pct": 51})
    monkeypatch.setattr(create, "cards", lambda: module.cards() | {"otsu": changed})
    assert resolve_model("otsu").fingerprint != ref.fingerprint
    assert resolve_model("otsu") != ref


def test_unfinished_work_of_other_weights_is_not_resumed():
    """The key of a map's work folder hashes the predictor's repr."""
    from geoseg.pipeline import work_key

    predictor = Predictor.of("flood-s1")
    other = replace(predictor, model=replace(predictor.model, fingerprint="0" * 64))
    assert work_key(predictor) == work_key(Predictor.of("geoseg:flood-s1"))
    assert work_key(predictor) != work_key(other)


def test_a_shipped_bundle_is_found_by_name_on_a_worker_with_another_installation(monkeypatch, tmp_path):
    ref = pickle.loads(pickle.dumps(replace(resolve_model("flood-s1"), folder=tmp_path / "another" / "flood-s1")))
    assert ref.local_folder() == shipped("flood-s1")
    with pytest.raises(BundleError, match="another bundle"):
        replace(ref, fingerprint="0" * 64).local_folder()


def test_a_reference_travels(here):
    ref = resolve_model(save_small(here / "mine"))
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert {ref: 1}[pickle.loads(pickle.dumps(ref))] == 1
    assert Predictor.of(ref) == Predictor.of(here / "mine")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("mdnwi", UnknownNameError, "mndwi"),
        ("geoseg:mdnwi", UnknownNameError, "mndwi"),
        ("geoseg:./flood-s1", UnknownNameError, "no model named"),
        ("some/where", UnknownNameError, "no folder"),
        ("./otsu", UnknownNameError, "no folder"),
        ("./file", BundleError, "is a file"),
        ("./empty", BundleError, "holds no card.yaml"),
        ("empty", BundleError, "holds no card.yaml"),
        ("", UnknownNameError, "no model named"),
    ],
)
def test_what_is_no_model_is_refused(here, given, error, said):
    (here / "file").write_text("")
    (here / "empty").mkdir()
    with pytest.raises(error, match=said):
        resolve_model(given)


def test_kinds():
    kinds = {name: resolve_model(name).kind for name in ("otsu", "flood-s2", "unet", "unetplusplus-resnet18")}
    assert kinds == {
        "otsu": "baseline",
        "flood-s2": "bundle",
        "unet": "network",
        "unetplusplus-resnet18": "network",
    }
    assert {resolve_model(name).kind for name in encoder_names()} == {"network"}
    assert resolve_model("unetplusplus-resnet18").card.architecture.options["encoder"] == "resnet18"
    with pytest.raises(WeightsMissingError, match="geoseg finetune --model unetplusplus-resnet18"):
        load_model("unetplusplus-resnet18")


def test_reading_a_card_loads_no_torch(here):
    folder = save_small(here / "mine")
    script = (
        "import json, sys; from geoseg.models.create import resolve_model; "
        f"names = [resolve_model(each).card.name for each in ('flood-s1', 'otsu', 'clay-v1.5', {str(folder)!r})]; "
        "print(json.dumps([names, sorted({'torch', 'timm', 'xarray', 'rasterio'} & set(sys.modules))]))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [["flood-s1", "otsu", "clay-v1.5", "mine"], []]


def test_a_network_is_created_from_a_cards_options_and_the_callers():
    network = create_model("unetplusplus-resnet18", bands=2, classes=3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 32, 32)).shape == (1, 3, 32, 32)
    with pytest.raises(UnknownNameError, match="unet"):
        create_model("unett")
    with pytest.raises(UnknownNameError, match="baseline"):
        create_model("otsu")
