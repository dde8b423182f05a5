"""Foundation networks through the doors that everybody uses: registry, bundle, chips with their card."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
import torch

from geoseg.catalog.cards import BandStatistics
from geoseg.catalog.encoders import encoder_families, encoder_names
from geoseg.catalog.sensors import sensors
from geoseg.errors import BandMismatchError, CheckpointMismatchError, InputRangeError, WeightsMissingError
from geoseg.models.bundle import build_from, load_bundle, save_bundle
from geoseg.models.create import load_model
from geoseg.models.foundation.build import FAMILIES, EncoderInput, family_of
from geoseg.models.foundation.card import encoder_card, published_input
from geoseg.models.foundation.family import Family
from geoseg.models.network import NetworkModel
from geoseg.models.normalize import normalize
from geoseg.models.protocol import Chips
from geoseg.models.registry import architectures

BANDS = ("red", "green", "blue", "nir")
SMALL = {"clay-v1.5-tiny": "pixelshuffle", "prithvi-eo-v2-tiny-tl": "upernet", "dofa-v2-base": "linear"}
WHEN, WHERE = datetime(2023, 2, 1, 10, tzinfo=UTC), (9.0, -1.2)


def chips(**known):
    pixels = torch.rand(2, 4, 70, 52, generator=torch.Generator().manual_seed(7)) * 0.4
    pixels[:, :, :, 30:] = torch.nan
    return Chips(pixels, BANDS, **{"gsd_m": 10.0, "time": WHEN, "latlon": WHERE, **known})


def model(name, decoder, **options):
    card = encoder_card(name, EncoderInput("s2", BANDS), options={"depth": 4, "decoder": decoder, **options})
    torch.manual_seed(2)
    return NetworkModel(build_from(card), card)


@pytest.mark.parametrize("value", [3e38, torch.inf])
def test_what_is_not_finite_once_normalised_gets_no_answer_and_spoils_no_other(value):
    small, shown = model("clay-v1.5-tiny", "pixelshuffle"), chips()
    shown.pixels[0, 1, 10, 10] = value
    with torch.no_grad():
        hidden = small.logits(shown).isnan()[:, 0]
    expected = shown.pixels.isnan().any(dim=1)
    expected[0, 10, 10] = True
    assert torch.equal(hidden, expected)


def test_every_encoder_is_registered_and_knows_sensors_that_exist():
    assert set(encoder_names()) <= set(architectures())
    assert {family.builder for family in encoder_families().values()} == set(FAMILIES)
    assert all(isinstance(family_of(builder), Family) for builder in FAMILIES)
    for family in encoder_families().values():
        for sensor, known in family.sensors.items():
            record = sensors()[sensor]
            assert record.unit == known.unit
            assert set(known.bands) <= set(record.bands)


@pytest.mark.parametrize("name", SMALL)
def test_a_bundle_gives_back_the_same_network(name, tmp_path):
    before = model(name, SMALL[name])
    card = save_bundle(tmp_path / "bundle", before.module, before.card)
    after = load_bundle(tmp_path / "bundle")
    assert after.card == card
    assert {"decoder", "wavelengths_um", "positions"} <= set(card.architecture.options)
    assert ("norm_epsilon" in card.architecture.options) == name.startswith("prithvi")
    with torch.no_grad():
        logits = after.logits(chips())
        torch.testing.assert_close(logits, before.logits(chips()), rtol=0, atol=0, equal_nan=True)
    assert logits.shape == (2, 1, 70, 52)
    assert torch.equal(logits[:, 0].isfinite(), ~chips().pixels.isnan().any(dim=1))


def test_weights_of_another_decoder_are_refused(tmp_path):
    one, other = model("clay-v1.5-tiny", "linear"), model("clay-v1.5-tiny", "fpn")
    with pytest.raises(CheckpointMismatchError):
        save_bundle(tmp_path / "bundle", other.module, one.card)


@pytest.mark.parametrize("name", ["clay-v1.5-tiny", "prithvi-eo-v2-tiny-tl"])
def test_what_chips_know_reaches_the_encoder(name):
    asked = model(name, "linear")
    with torch.no_grad():
        known = asked.logits(chips())
        for forgotten in ({"time": None}, {"latlon": None}):
            assert not torch.equal(asked.logits(chips(**forgotten)), known)
        if name.startswith("clay"):
            assert not torch.equal(asked.logits(chips(gsd_m=3.0)), known)
            with pytest.raises(InputRangeError, match="gsd_m"):
                asked.logits(chips(gsd_m=None))


def test_bands_in_another_order_are_refused():
    asked = model("clay-v1.5-tiny", "linear")
    with pytest.raises(BandMismatchError, match="in that order"):
        asked.logits(Chips(torch.rand(1, 4, 32, 32), ("blue", "green", "red", "nir"), gsd_m=10.0))


def test_digital_numbers_are_refused():
    asked = model("clay-v1.5-tiny", "linear")
    with pytest.raises(InputRangeError, match="reflectance"):
        asked.logits(Chips(torch.rand(1, 4, 64, 64) * 3000, BANDS, gsd_m=10.0))


def test_radar_for_an_optical_encoder_is_refused_unless_asked_for():
    statistics = {"vv": BandStatistics(mean=-12, std=8), "vh": BandStatistics(mean=-18, std=8)}
    with pytest.raises(BandMismatchError, match="Band vv of s1 is radar"):
        encoder_card("prithvi-eo-v2-tiny-tl", EncoderInput("s1", ("vv", "vh")), statistics=statistics)
    card = encoder_card("prithvi-eo-v2-tiny-tl", EncoderInput("s1", ("vv", "vh"), radar=True), statistics=statistics)
    assert "wavelengths_um" not in card.architecture.options
    assert build_from(card)(torch.randn(1, 2, 32, 32)).shape == (1, 1, 32, 32)


def test_statistics_that_nobody_published_are_asked_for():
    with pytest.raises(BandMismatchError, match="no published statistics for band vv"):
        encoder_card("dofa-base", EncoderInput("s1", ("vv", "vh")))


def test_imagery_from_before_the_flood_has_the_wavelength_of_its_band():
    card = encoder_card(
        "clay-v1.5-tiny",
        EncoderInput("s1", ("vv", "vh", "before.vv")),
        statistics={"before.vv": BandStatistics(mean=-12.113, std=8.314)},
    )
    assert card.architecture.options["wavelengths_um"] == [3.5, 4.0, 3.5]


def test_one_scale_serves_bands_of_several():
    card = encoder_card("dofa-base", published_input("dofa-base", "s2"))
    red, nir = (card.normalisation.bands[band] for band in ("red", "nir"))
    reflectance = 0.1
    assert (reflectance * card.normalisation.scale - red.mean) / red.std == pytest.approx(
        (reflectance * 716.7 - 114.11) / 77.84, abs=1e-4
    )
    assert (red.mean / card.normalisation.scale, nir.mean / card.normalisation.scale) == (
        pytest.approx(114.11 / 716.7, abs=1e-5),
        pytest.approx(101.44 / 312.5, abs=1e-5),
    )


@pytest.mark.parametrize("name", ["clay-v1.5", "dofa-v2-base"])
def test_a_network_without_weights_says_where_they_come_from(name):
    with pytest.raises(WeightsMissingError, match=f"geoseg models fetch {name}"):
        load_model(name)


def test_a_real_sentinel_2_chip_goes_through(data):
    """Untrained, so only its footing is judged: finite, of the chip's size, and different over land and water."""
    path = min((data / "terramind" / "S2L2A").glob("*.tif*"))
    with rasterio.open(path) as image:
        numbers = image.read().astype(np.float32)
    order = list(sensors()["s2"].bands)
    card = encoder_card("clay-v1.5-tiny", published_input("clay-v1.5-tiny", "s2"))
    pixels = torch.from_numpy(numbers[[order.index(band) for band in card.bands]] / 10000)[None]
    asked = NetworkModel(build_from(card), card)
    with torch.no_grad():
        logits = asked.logits(Chips(pixels, card.bands, gsd_m=10.0))
    normalised, _ = normalize(pixels, asked.affine)
    assert logits.shape == (1, 1, *pixels.shape[-2:])
    assert logits.isfinite().all()
    assert normalised.abs().mean() < 3
    assert logits.std() > 0


def test_encoders_bring_no_toolbox_along():
    """terratorch takes twelve seconds to import, torchgeo five; ours come with torch and timm alone."""
    code = (
        "import sys; from geoseg.models.registry import build; "
        "[build(name, 4, depth=1, decoder='linear') for name in sys.argv[1:]]; "
        "print(*[m for m in ('terratorch', 'claymodel', 'torchgeo', 'lightning', 'rasterio', 'transformers', "
        "'segmentation_models_pytorch') if m in sys.modules])"
    )
    names = ["clay-v1.5-tiny", "prithvi-eo-v2-tiny-tl", "dofa-v2-base"]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
