"""Bundles: what is saved is loaded, bit for bit, and nothing else is."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from geoseg.catalog.cards import CARD, WEIGHTS, Architecture
from geoseg.cli.main import run
from geoseg.core.hashing import file_sha256
from geoseg.errors import (
    BandMismatchError,
    BundleError,
    CheckpointMismatchError,
    InputRangeError,
    OutputNotWritableError,
    UnknownNameError,
    WeightsMissingError,
)
from geoseg.models.bundle import load_bundle, save_bundle
from geoseg.models.create import load_model
from geoseg.models.export import InPhysicalUnits
from geoseg.models.inference import Predictor, water_probability
from geoseg.models.network import NetworkModel
from geoseg.models.protocol import Chips, SegmentationModel
from geoseg.models.registry import build, build_baseline
from tests.support.bundles import BANDS, small_card


@pytest.fixture
def module() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("unet", 3, 1, base=4).eval()


@pytest.fixture
def bundle(tmp_path: Path, module: torch.nn.Module) -> Path:
    save_bundle(tmp_path / "small", module, small_card())
    return tmp_path / "small"


def chips(*shape: int) -> Chips:
    return Chips(torch.rand(*shape, generator=torch.Generator().manual_seed(1)) * 0.4, BANDS)


# -- there and back -------------------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(bundle, module):
    model = load_model(bundle)
    assert isinstance(model, SegmentationModel)
    assert model.card.sha256 == file_sha256(bundle / WEIGHTS)
    shown = chips(2, 3, 50, 70)
    mean = torch.tensor([1000.0, 1500.0, 2000.0])[None, :, None, None]
    std = torch.tensor([400.0, 500.0, 600.0])[None, :, None, None]
    with torch.inference_mode():
        by_hand = module((shown.pixels * 10000 - mean) / std)
        assert torch.allclose(model.logits(shown), by_hand, atol=1e-5)
    assert sorted(path.name for path in bundle.iterdir()) == [CARD, WEIGHTS]


def test_a_bundle_can_be_read_by_whoever_can_read_its_card(bundle):
    weights, card = (stat.S_IMODE((bundle / name).stat().st_mode) for name in (WEIGHTS, CARD))
    assert weights == card


def test_a_bundle_is_replaced_whole(bundle):
    torch.manual_seed(5)
    other = build("unet", 3, 1, base=4)
    card = save_bundle(bundle, other, small_card(title="Another"))
    again = load_bundle(bundle)
    assert again.card == card
    assert torch.equal(again.module.state_dict()["stem.0.weight"], other.state_dict()["stem.0.weight"])


def test_what_was_not_observed_counts_as_the_mean_inside_and_is_not_observed_outside(bundle):
    model, shown = load_bundle(bundle), chips(1, 3, 48, 48)
    shown.pixels[0, 1, :, 24:] = torch.nan
    hidden = shown.pixels.isnan().any(dim=1)
    assert torch.equal(model.logits(shown).isnan()[:, 0], hidden)
    assert torch.equal(water_probability(model, shown).isnan(), hidden)
    filled = shown.pixels.clone()
    filled[0, 1, :, 24:] = 0.15  # the band's mean: 1500 / 10000
    expected = model.logits(Chips(filled, BANDS)).masked_fill(hidden[:, None], torch.nan)
    assert torch.allclose(model.logits(shown), expected, atol=1e-5, equal_nan=True)


def test_several_classes_give_the_probability_of_anything_but_the_first(tmp_path):
    torch.manual_seed(2)
    card = small_card(classes=("dry", "flood", "permanent"))
    save_bundle(tmp_path, build("unet", 3, 3, base=4), card)
    model, shown = load_bundle(tmp_path), chips(1, 3, 32, 32)
    with torch.inference_mode():
        expected = model.logits(shown).softmax(1)[:, 1:].sum(1)
    assert torch.allclose(water_probability(model, shown), expected, atol=1e-6)


# -- what is refused ------------------------------------------------------------------------------------------------


def test_digital_numbers_for_reflectance_are_refused(bundle):
    shown = chips(1, 3, 64, 64)
    with pytest.raises(InputRangeError, match="reflectance"):
        load_bundle(bundle).logits(Chips(shown.pixels * 10000, BANDS))


@pytest.mark.parametrize("bands", [("nir", "green", "swir16"), ("green", "nir"), ()])
def test_other_bands_are_refused(bundle, bands):
    with pytest.raises(BandMismatchError, match="green, nir, swir16"):
        load_bundle(bundle).logits(Chips(torch.rand(1, max(len(bands), 1), 32, 32), bands))


def test_one_altered_byte_is_seen(bundle):
    raw = bytearray((bundle / WEIGHTS).read_bytes())
    raw[-1] ^= 1
    (bundle / WEIGHTS).write_bytes(bytes(raw))
    with pytest.raises(BundleError, match="sha256"):
        load_bundle(bundle)


def rewritten(bundle: Path, weights: dict[str, torch.Tensor]) -> Path:
    """The bundle with other weights, and a card that claims them."""
    save_file(weights, bundle / WEIGHTS)
    card = yaml.safe_load((bundle / CARD).read_text())
    (bundle / CARD).write_text(yaml.safe_dump(card | {"sha256": file_sha256(bundle / WEIGHTS)}))
    return bundle


def test_a_missing_an_unexpected_and_a_reshaped_key_are_named_with_the_count(bundle):
    weights = load_file(bundle / WEIGHTS)
    total = len(weights)
    weights["renamed"] = weights.pop("head.bias")
    weights["head.weight"] = weights["head.weight"][:, :2].contiguous()
    with pytest.raises(CheckpointMismatchError) as caught:
        load_bundle(rewritten(bundle, weights))
    message = str(caught.value)
    assert f"{total - 2} of {total} tensors matched" in message
    assert all(part in message for part in ("head.bias", "renamed", "head.weight", "(1, 2, 1, 1) for (1, 4, 1, 1)"))
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


KINDS = [torch.int32, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn]


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_a_weight_of_another_kind_of_number_is_refused_by_name(bundle, dtype):
    weights = load_file(bundle / WEIGHTS)
    weights["head.weight"] = weights["head.weight"].to(dtype)
    with pytest.raises(CheckpointMismatchError, match=rf"head\.weight {str(dtype)[6:]} for float32"):
        load_bundle(rewritten(bundle, weights))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_a_count_that_is_no_whole_number_is_refused_by_name(bundle, dtype):
    weights = load_file(bundle / WEIGHTS)
    count = next(name for name in weights if name.endswith("num_batches_tracked"))
    weights[count] = weights[count].to(dtype)
    with pytest.raises(CheckpointMismatchError, match=f"{count} {str(dtype)[6:]} for int64"):
        load_bundle(rewritten(bundle, weights))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_weights_of_another_precision_load_as_the_numbers_they_are(bundle, dtype):
    weights = {
        name: each.to(dtype) if each.is_floating_point() else each for name, each in load_file(bundle / WEIGHTS).items()
    }
    loaded = load_bundle(rewritten(bundle, weights)).module.state_dict()
    assert all(torch.equal(each.to(loaded[name].dtype), loaded[name]) for name, each in weights.items())


@pytest.mark.parametrize(
    ("name", "dtype", "value", "said"),
    [
        ("head.bias", torch.float32, float("nan"), "NaN"),
        ("head.weight", torch.bfloat16, float("-inf"), "infinity"),
        ("head.weight", torch.float64, 1e300, "beyond float32"),
        ("running_var", torch.float32, -0.5, "negative variance"),
        ("running_mean", torch.float32, float("inf"), "infinity"),
    ],
)
def test_an_impossible_number_among_the_weights_is_refused_by_name(bundle, capsys, name, dtype, value, said):
    weights = load_file(bundle / WEIGHTS)
    name = next(each for each in weights if each.endswith(name))
    weights[name] = weights[name].to(dtype)
    weights[name].view(-1)[-1] = value
    assert run(["models", "verify", str(rewritten(bundle, weights))]) == 1
    err = capsys.readouterr().err
    assert f"{name} holds" in err
    assert said in err
    assert err.count("\n") == 1


def test_saving_weights_of_another_network_is_refused(tmp_path, module):
    with pytest.raises(CheckpointMismatchError, match="of another shape"):
        save_bundle(tmp_path, module, small_card(architecture=Architecture(name="unet", options={"base": 8})))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!!python/object/apply:os.system ['touch owned']", "not plain YAML"),
        ("[" * 5000, "not plain YAML"),
        ("\x00", "not plain YAML"),
        ("name: x", "faults"),
        ("just text", "the file"),
        ("a: " + "x" * 1_000_001, "larger"),
    ],
    ids=["code", "deep", "binary", "incomplete", "scalar", "huge"],
)
def test_a_hostile_or_broken_card_is_refused(bundle, text, said):
    (bundle / CARD).write_text(text)
    with pytest.raises(BundleError, match=said):
        load_bundle(bundle)
    assert not Path("owned").exists()


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_a_card_that_is_no_file_is_refused_unopened(bundle, kind):
    (bundle / CARD).unlink()
    if kind == "device":
        (bundle / CARD).symlink_to("/dev/zero")
    else:
        os.mkfifo(bundle / CARD)
    with pytest.raises(BundleError, match="device or a pipe"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": float("nan")}, "normalisation.scale"),
        ({"scale": 0}, "normalisation.scale"),
        ({"bands": {"green": {"mean": 0.1, "std": 0.1}}}, "normalisation.bands has no statistics of nir, swir16"),
    ],
)
def test_a_card_that_would_normalise_to_nothing_is_refused_in_one_line(bundle, capsys, changes, said):
    card = yaml.safe_load((bundle / CARD).read_text())
    card["normalisation"] |= changes
    (bundle / CARD).write_text(yaml.safe_dump(card))
    assert run(["models", "verify", str(bundle)]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_what_is_beyond_float32_once_normalised_gives_no_number_instead_of_the_means(bundle, value):
    model, shown = load_bundle(bundle), chips(1, 3, 64, 64)
    shown.pixels[0, 1, 20, 20] = value
    assert water_probability(model, shown)[0, 20, 20].isnan()
    assert InPhysicalUnits(model)(shown.pixels)[0, 0, 20, 20].isnan()


def test_a_pickle_under_the_weights_name_is_never_opened(bundle, module):
    torch.save(module.state_dict(), bundle / WEIGHTS)
    card = yaml.safe_load((bundle / CARD).read_text())
    (bundle / CARD).write_text(yaml.safe_dump(card | {"sha256": file_sha256(bundle / WEIGHTS)}))
    with pytest.raises(BundleError, match="not a safetensors file"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "architecture",
    [
        {"name": "vnet"},
        {"name": "unet", "options": {"colour": 3}},
        {"name": "unet", "options": {"up": "sideways"}},
        {"name": "unet", "options": {"base": "wide"}},
        {"name": "otsu"},
    ],
    ids=["unknown network", "unknown option", "impossible option", "option of another type", "baseline"],
)
def test_a_card_of_a_network_that_cannot_be_built_is_refused(bundle, architecture):
    card = yaml.safe_load((bundle / CARD).read_text())
    (bundle / CARD).write_text(yaml.safe_dump(card | {"architecture": architecture}))
    with pytest.raises(BundleError, match="cannot be built"):
        load_bundle(bundle)


def test_a_baseline_that_is_asked_for_as_a_network_is_not_offered_again():
    with pytest.raises(UnknownNameError, match="otsu is a baseline") as caught:
        build("otsu", 1)
    assert "Did you mean" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="unet is a network"):
        build_baseline(small_card(family="classical"))


def test_a_network_without_channels_is_refused_without_a_word_of_torchs(bundle, capsys, recwarn):
    card = yaml.safe_load((bundle / CARD).read_text())
    (bundle / CARD).write_text(yaml.safe_dump(card | {"architecture": {"name": "unet", "options": {"base": 0}}}))
    assert run(["models", "verify", str(bundle)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not recwarn.list


def test_a_card_of_a_gigantic_network_takes_no_memory(bundle):
    card = yaml.safe_load((bundle / CARD).read_text())
    card["architecture"] = {"name": "unet", "options": {"base": 10_000_000}}
    (bundle / CARD).write_text(yaml.safe_dump(card))
    with pytest.raises(CheckpointMismatchError, match="of another shape"):
        load_bundle(bundle)


def test_half_a_bundle_is_refused(bundle, tmp_path):
    (bundle / WEIGHTS).unlink()
    with pytest.raises(BundleError, match="incomplete"):
        load_bundle(bundle)
    with pytest.raises(BundleError, match="no model bundle"):
        load_model(tmp_path)


def test_a_card_without_a_hash_is_refused(bundle):
    card = yaml.safe_load((bundle / CARD).read_text())
    del card["sha256"]
    (bundle / CARD).write_text(yaml.safe_dump(card))
    with pytest.raises(BundleError, match="no sha256"):
        load_bundle(bundle)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path, module):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputNotWritableError, match="taken"):
        save_bundle(tmp_path / "taken", module, small_card())
    assert stat.S_ISREG((tmp_path / "taken").stat().st_mode)


# -- names ----------------------------------------------------------------------------------------------------------


def test_a_network_without_weights_says_where_they_come_from():
    with pytest.raises(WeightsMissingError, match="geoseg finetune --model unet"):
        load_model("unet")


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="mndwi"):
        load_model("mdnwi")
    with pytest.raises(UnknownNameError, match="no folder"):
        load_model("some/where")


# -- the predictor ---------------------------------------------------------------------------------------------------


def test_a_predictor_travels_and_loads_once(bundle):
    predictor = Predictor.of(bundle).with_acquisition(gsd_m=10.0)
    travelled = pickle.loads(pickle.dumps(predictor))
    assert travelled == predictor
    assert travelled.load() is predictor.load()
    assert isinstance(predictor.load(), NetworkModel)
    shown = chips(2, 3, 33, 65)
    probability = travelled.probability(shown.pixels.numpy())
    assert probability.dtype == np.float32
    with torch.inference_mode():
        expected = load_bundle(bundle).logits(shown).sigmoid()[:, 0].numpy()
    assert np.allclose(probability, expected, atol=1e-6)
    assert len(pickle.dumps(predictor)) < 4000


def test_a_worker_with_another_bundle_in_that_folder_refuses(bundle):
    predictor = Predictor.of(bundle)
    torch.manual_seed(9)
    save_bundle(bundle, build("unet", 3, 1, base=4), small_card())
    from geoseg.models.inference import _Models

    with pytest.raises(BundleError, match="another bundle"):
        _Models().get(predictor)
    assert Predictor.of(bundle).load().card.sha256 != predictor.load().card.sha256


def test_a_settled_predictor_keeps_what_was_settled_and_a_plain_one_has_no_findings(bundle):
    generator = np.random.default_rng(0)
    scene = np.concatenate([generator.normal(-20, 1.5, (128, 64)), generator.normal(-9, 1.5, (128, 64))], axis=1)
    predictor = Predictor.of("otsu")
    with_threshold = predictor.with_threshold(predictor.load().scene_statistics(scene[None].astype(np.float32)))
    assert pickle.loads(pickle.dumps(with_threshold)).scene_threshold_info() == with_threshold.scene_threshold_info()
    assert with_threshold.scene_threshold_info()["threshold_from"] == "tiles"
    assert predictor.scene_threshold_info()["threshold_from"] == "default"
    assert Predictor.of(bundle).scene_threshold_info() == {}
