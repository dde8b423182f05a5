"""Sizes, counted on the meta device: the networks are the ones their papers describe."""

from __future__ import annotations

import pytest
import torch

from geoseg.catalog.cards import cards
from geoseg.catalog.encoders import encoder_facts, encoder_names
from geoseg.models.bundle import build_from
from geoseg.models.foundation.build import build_encoder
from geoseg.models.foundation.card import encoder_card, published_input
from geoseg.models.registry import build


def millions(module, trainable=False):
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable) / 1e6


PUBLISHED = {
    "prithvi-eo-v2-tiny-tl": 5.63,
    "prithvi-eo-v2-100m-tl": 86.2,
    "prithvi-eo-v2-300m": 303.9,
    "prithvi-eo-v2-300m-tl": 303.9,
    "prithvi-eo-v2-600m": 631.2,
    "prithvi-eo-v2-600m-tl": 631.2,
    "prithvi-eo-v1-100m": 86.2,
    "clay-v1.5": 311.44,
    "clay-v1.5-base": 92.10,
    "clay-v1.5-small": 10.96,
    "clay-v1.5-tiny": 4.03,
    "dofa-base": 111.35,
    "dofa-large": 337.15,
    "dofa-v2-base": 105.4,
    "dofa-v2-large": 329.3,
}


def test_every_encoder_is_counted():
    assert set(PUBLISHED) == set(encoder_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_encoder_has_its_published_size(name):
    with torch.device("meta"):
        encoder = build_encoder(name, bands=6)
    counted = millions(encoder)
    assert counted == pytest.approx(encoder_facts(name)[1].parameters_m, abs=0.005)
    if name.startswith("dofa-") and "v2" not in name:
        # torchgeo's count holds fixed positions, a pooling norm and a classifier of 45 classes, none of which we have.
        width = encoder.width
        counted += (197 * width + 2 * width + 45 * width + 45) / 1e6
    digits = len(str(PUBLISHED[name]).split(".")[1])
    assert round(counted, digits) == PUBLISHED[name]


def test_the_papers_pair_of_prithvi_600m():
    with torch.device("meta"):
        network = build("prithvi-eo-v2-600m", 4, 2)
    assert round(millions(network), 1) == 649.8


def test_the_papers_pair_of_clay():
    with torch.device("meta"):
        network = build("clay-v1.5", 4, 2, frozen=True)
    assert round(millions(network), 2) == 337.40
    assert round(millions(network, trainable=True), 2) == 25.96


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_card_in_the_catalogue_is_what_the_facts_say(name):
    card = cards()[name]
    assert card.model_copy(update={"parameters_m": None}) == encoder_card(name, published_input(name, "s2"))
    with torch.device("meta"):
        assert round(millions(build_from(card)), 2) == card.parameters_m
