"""Checkpoints in every official layout: loaded whole and right, or refused by name."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch
from torch import nn

from geoseg.catalog.encoders import encoder_facts
from geoseg.errors import CheckpointMismatchError, WeightsMissingError
from geoseg.models.checkpoints import loading
from geoseg.models.checkpoints.bands import BandKernel, adapted
from geoseg.models.checkpoints.loading import load_encoder
from geoseg.models.foundation.build import EncoderInput, build_encoder
from geoseg.models.foundation.clay import SIZES as CLAY
from geoseg.models.foundation.positions import table_2d, table_3d
from tests.support import oracles
from tests.support.little_networks import WAVELENGTHS, clay_pair, stirred

HLS = ("blue", "green", "red", "nir08", "swir16", "swir22")
TINY = "prithvi-eo-v2-tiny-tl"


def prithvi_file(path, prefix="encoder.", frames=1, **changes):
    """Weights of a terratorch Prithvi (tiny-tl) laid out as on the hub, with some of a decoder beside."""
    theirs = stirred(
        oracles.terratorch_prithvi().PrithviViT(
            num_frames=frames,
            in_chans=6,
            embed_dim=192,
            depth=12,
            num_heads=3,
            coords_encoding=["time", "location"],
            coords_scale_learn=True,
        )
    )
    weights = {prefix + key: value for key, value in theirs.state_dict().items()}
    weights |= {"decoder.mask_token": torch.zeros(1, 1, 8), "decoder.decoder_embed.weight": torch.zeros(8, 192)}
    weights |= {key.replace("__", "."): value for key, value in changes.items()}
    torch.save({key: value for key, value in weights.items() if value is not None}, path)
    return theirs


def load_tiny(path, bands=HLS, sensor="s2", **options):
    encoder = build_encoder(TINY, bands=len(bands), norm_epsilon=1e-5).eval()
    return encoder, load_encoder(encoder, TINY, path, EncoderInput(sensor, bands, **options))


def features(encoder, pixels, **facts):
    with torch.no_grad():
        return encoder.encode(pixels, taps=[encoder.depth - 1], **facts).maps[0]


@pytest.mark.parametrize("prefix", ["encoder.", "", "_timm_module.", "model.encoder."])
def test_prithvi_in_its_layouts(tmp_path, prefix):
    theirs = prithvi_file(tmp_path / "p.pt", prefix)
    encoder, report = load_tiny(tmp_path / "p.pt")
    pixels = torch.randn(1, 6, 224, 224)
    with torch.no_grad():
        expected = theirs.forward_features(pixels)[-1][:, 1:].transpose(1, 2).reshape(1, 192, 14, 14)
    assert (features(encoder, pixels) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert report.matched == report.total == len(encoder.state_dict())
    assert report.prefix == prefix
    assert report.sha256 == hashlib.sha256((tmp_path / "p.pt").read_bytes()).hexdigest()
    assert "151 of 151 tensors (5.63M) from p.pt" in str(report)
    assert "left out: decoder (2), pos_embed (1)" in str(report)


def test_a_table_for_four_frames_is_the_formula(tmp_path):
    prithvi_file(tmp_path / "p.pt", frames=4)
    load_tiny(tmp_path / "p.pt")


def test_the_whole_autoencoder_as_the_hub_has_it(tmp_path):
    """terratorch's copy of the hub's module writes the file: its encoder.* and decoder.* are the official layout."""
    whole = oracles.terratorch_prithvi().PrithviMAE(
        num_frames=1,
        in_chans=6,
        embed_dim=192,
        depth=12,
        num_heads=3,
        decoder_embed_dim=64,
        decoder_depth=2,
        decoder_num_heads=2,
        coords_encoding=["time", "location"],
        coords_scale_learn=True,
    )
    stirred(whole)
    torch.save(whole.state_dict(), tmp_path / "p.pt")
    encoder, report = load_tiny(tmp_path / "p.pt")
    pixels = torch.randn(1, 6, 224, 224)
    with torch.no_grad():
        expected = whole.encoder.forward_features(pixels)[-1][:, 1:].transpose(1, 2).reshape(1, 192, 14, 14)
    assert (features(encoder, pixels) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert report.prefix == "encoder."
    assert set(report.left_out) == {"decoder", "pos_embed"}
    assert report.matched + sum(report.left_out.values()) == len(whole.state_dict())


def test_prithvi_v1_lies_flat_beside_its_decoder(tmp_path):
    name = "prithvi-eo-v1-100m"
    ours = stirred(build_encoder(name, bands=6, depth=1))
    state = ours.state_dict() | {"pos_embed": table_3d(3, 14, 14, 768)[None], "mask_token": torch.zeros(1, 1, 512)}
    state |= {f"decoder_{part}": torch.zeros(2) for part in ("embed.weight", "blocks.0.norm1.weight", "pos_embed")}
    torch.save(state, tmp_path / "v1.pt")
    fresh = build_encoder(name, bands=6, depth=1).eval()
    report = load_encoder(fresh, name, tmp_path / "v1.pt", EncoderInput("s2", HLS))
    pixels = torch.randn(1, 6, 64, 64)
    assert torch.equal(features(fresh, pixels), features(ours, pixels))
    assert sum(report.left_out.values()) == 5


def test_trained_positions_are_refused(tmp_path):
    prithvi_file(tmp_path / "p.pt", encoder__pos_embed=table_3d(1, 14, 14, 192)[None] + 0.01)
    with pytest.raises(CheckpointMismatchError, match="positions"):
        load_tiny(tmp_path / "p.pt")


def test_an_altered_key_is_named_with_its_stranger(tmp_path):
    prithvi_file(
        tmp_path / "p.pt",
        encoder__blocks__3__attn__qkv__weight=None,
        encoder__blocks__3__attn__qkw__weight=torch.zeros(3),
    )
    with pytest.raises(CheckpointMismatchError, match=r"blocks\.3\.attn\.qkv\.weight.*blocks\.3\.attn\.qkw\.weight"):
        load_tiny(tmp_path / "p.pt")


def test_a_wrong_shape_is_named_with_both(tmp_path):
    prithvi_file(tmp_path / "p.pt", encoder__norm__weight=torch.ones(191))
    with pytest.raises(CheckpointMismatchError, match=r"norm\.weight is \(191,\).*\(192,\)"):
        load_tiny(tmp_path / "p.pt")


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (torch.ones(192, dtype=torch.int32), "norm.weight int32 for float32"),
        (torch.ones(192, dtype=torch.complex64), "norm.weight complex64 for float32"),
        (torch.ones(192).to(torch.float8_e4m3fn), "norm.weight float8_e4m3fn for float32"),
        (torch.full((192,), torch.nan), "norm.weight holds NaN"),
        (torch.full((192,), 1e300, dtype=torch.float64), "norm.weight holds NaN, infinity, or a number beyond float32"),
    ],
)
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_numbers_of_another_kind_or_impossible_ones_are_refused_by_name(tmp_path, weight, said):
    prithvi_file(tmp_path / "p.pt", encoder__norm__weight=weight)
    with pytest.raises(CheckpointMismatchError, match=said):
        load_tiny(tmp_path / "p.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_any_usual_precision_is_read(tmp_path, dtype):
    prithvi_file(tmp_path / "p.pt", encoder__norm__weight=torch.full((192,), 0.5, dtype=dtype))
    encoder, _ = load_tiny(tmp_path / "p.pt")
    assert torch.equal(encoder.state_dict()["norm.weight"], torch.full((192,), 0.5))


def test_another_encoders_file_is_refused(tmp_path):
    theirs, _ = clay_pair(CLAY["tiny"])
    torch.save({"state_dict": {f"model.encoder.{k}": v for k, v in theirs.state_dict().items()}}, tmp_path / "c.ckpt")
    with pytest.raises(CheckpointMismatchError, match=TINY):
        load_tiny(tmp_path / "c.ckpt")


def test_broad_near_infrared_takes_the_narrow_ones_kernel_and_says_so(tmp_path):
    theirs = prithvi_file(tmp_path / "p.pt")
    encoder, report = load_tiny(tmp_path / "p.pt", bands=("nir", "green", "before.red"))
    kernel = theirs.patch_embed.proj.weight
    assert torch.equal(encoder.patch_embed.proj.weight, kernel[:, [3, 1, 2]])
    assert report.notes == ("nir (0.842 um) has no pretrained kernel and takes that of nir08 (0.865 um).",)


def test_radar_takes_the_mean_only_when_asked_for(tmp_path):
    from geoseg.errors import BandMismatchError

    theirs = prithvi_file(tmp_path / "p.pt")
    with pytest.raises(BandMismatchError, match="radar"):
        load_tiny(tmp_path / "p.pt", bands=("vv", "vh"), sensor="s1")
    encoder, report = load_tiny(tmp_path / "p.pt", bands=("vv", "vh"), sensor="s1", radar=True)
    mean = theirs.patch_embed.proj.weight.mean(1)
    assert torch.allclose(encoder.patch_embed.proj.weight, torch.stack([mean, mean], 1))
    assert len(report.notes) == 2


def test_adapted_prefers_the_name_to_the_wavelength():
    kernel = torch.arange(3.0)[None, :, None]
    known = [BandKernel("blue", 0.49), BandKernel("green", 0.56), BandKernel("red", 0.665)]
    got, notes = adapted(kernel, known, [BandKernel("green", 0.66), BandKernel("yellow", 0.61)])
    assert got.flatten().tolist() == [1.0, 1.0]
    assert len(notes) == 1


def test_clays_lightning_file(tmp_path):
    theirs, _ = clay_pair(CLAY["tiny"])
    state = {f"model.encoder.{key}": value for key, value in theirs.state_dict().items()}
    state |= {f"model.{part}.weight": torch.zeros(2) for part in ("decoder.x", "proj", "teacher.blocks.0")}
    path = tmp_path / "clay.ckpt"
    torch.save({"state_dict": state, "epoch": 4, "hyper_parameters": {"model_size": "tiny"}}, path)
    with torch.device("meta"):
        encoder = build_encoder("clay-v1.5-tiny", bands=5).eval()
    report = load_encoder(encoder, "clay-v1.5-tiny", path, EncoderInput("s2", HLS[:5]))
    cube = {
        "pixels": torch.randn(1, 5, 64, 64),
        "time": torch.zeros(1, 4),
        "latlon": torch.zeros(1, 4),
        "gsd": torch.tensor(10.0),
        "waves": torch.tensor(WAVELENGTHS),
    }
    with torch.no_grad():
        expected = theirs(cube)[0][:, 1:].transpose(1, 2).reshape(1, 192, 8, 8)
    got = features(encoder, cube["pixels"], wavelengths_um=WAVELENGTHS, gsd_m=10)
    assert (got - expected).abs().max() <= 1e-6 * expected.abs().max()
    assert report.left_out == {"decoder": 1, "proj": 1, "teacher": 1}


def dofa_file(path, positions=None):
    from torchgeo.models import dofa as torchgeo_dofa

    theirs = torchgeo_dofa.DOFA(embed_dim=768, depth=2, num_heads=12, num_classes=0)
    theirs.pos_embed.data.copy_(table_2d(14, 14, 768) if positions is None else positions)
    stirred(theirs.blocks)
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith("fc_norm")}
    state |= {"mask_token": torch.zeros(1, 1, 512), "norm.weight": torch.ones(768), "projector.weight": torch.ones(2)}
    torch.save(state, path)
    return theirs.eval()


def load_dofa(path, **options):
    encoder = build_encoder("dofa-base", bands=5, depth=2, **options).eval()
    return encoder, load_encoder(encoder, "dofa-base", path, EncoderInput("s2", HLS[:5]))


def test_dofa_v1_in_its_layout(tmp_path):
    theirs = dofa_file(tmp_path / "d.pth")
    encoder, report = load_dofa(tmp_path / "d.pth")
    pixels = torch.randn(1, 5, 224, 224)
    with torch.no_grad():
        theirs.fc_norm = nn.Identity()
        expected = theirs.forward_features(pixels, list(WAVELENGTHS))
    got = features(encoder, pixels, wavelengths_um=WAVELENGTHS).flatten(2).mean(2)
    assert torch.allclose(got, expected, atol=1e-6)
    assert report.left_out == {"mask_token": 1, "norm": 1, "projector": 1}
    assert "could not be told" in str(report)


def test_dofas_superseded_release_is_refused_by_its_hash(tmp_path, monkeypatch):
    path = tmp_path / "d.pth"
    dofa_file(path)
    refused = encoder_facts("dofa-base")[1].refused
    monkeypatch.setattr(loading, "file_sha256", lambda _: next(iter(refused)) + "0" * 56)
    with pytest.raises(CheckpointMismatchError, match="7cc0f413"):
        load_dofa(path)


def test_dofas_positions_are_recomputed_only_where_they_follow_the_formula(tmp_path):
    dofa_file(tmp_path / "fixed.pth")
    load_dofa(tmp_path / "fixed.pth", positions="recompute")
    dofa_file(tmp_path / "odd.pth", table_2d(14, 14, 768) + 0.01)
    load_dofa(tmp_path / "odd.pth", positions="interpolate")
    with pytest.raises(CheckpointMismatchError, match="interpolate"):
        load_dofa(tmp_path / "odd.pth", positions="recompute")


def test_dofa_v2_in_its_layout(tmp_path):
    ours = stirred(build_encoder("dofa-v2-base", bands=3, depth=1))
    state = ours.state_dict()
    assert {"patch_embed.fclayer.w1.weight", "model.cls_token", "model.blocks.0.ls1.gamma"} < set(state)
    assert state["model.pos_embed"].shape == (1, 257, 768)
    state |= {"norm.weight": torch.ones(768), "model.norm.weight": torch.ones(768)}
    torch.save(state, tmp_path / "d2.pth")
    fresh = build_encoder("dofa-v2-base", bands=3, depth=1).eval()
    load_encoder(fresh, "dofa-v2-base", tmp_path / "d2.pth", EncoderInput("s2", HLS[:3]))
    pixels = torch.randn(1, 3, 100, 70)
    waves = WAVELENGTHS[:3]
    assert torch.equal(features(fresh, pixels, wavelengths_um=waves), features(ours, pixels, wavelengths_um=waves))


def test_safetensors_are_read(tmp_path):
    from safetensors.torch import save_file

    theirs = prithvi_file(tmp_path / "p.pt")
    save_file({f"encoder.{k}": v.contiguous() for k, v in theirs.state_dict().items()}, tmp_path / "p.safetensors")
    _, report = load_tiny(tmp_path / "p.safetensors")
    assert report.matched == report.total


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_pickle_that_would_run_code_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "callback": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(CheckpointMismatchError, match="run code"):
        load_tiny(tmp_path / "bomb.pt")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_broken_file_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatchError, match="broken"):
        load_tiny(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(WeightsMissingError, match="nowhere"):
        load_tiny(tmp_path / "nowhere.pt")
