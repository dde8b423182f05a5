"""Encoders and decoders of a few thousand parameters, and a published encoder beside ours."""

from __future__ import annotations

import torch
from torch import nn

from geoseg.models.foundation.clay import Clay, ClaySize
from geoseg.models.foundation.decoders.build import build_decoder
from geoseg.models.foundation.decoders.network import NetworkOptions, SegmentationNetwork
from geoseg.models.foundation.dofa import DofaSize, DofaV2
from geoseg.models.foundation.prithvi import Prithvi, PrithviSize
from tests.support import oracles

WAVELENGTHS = (0.493, 0.56, 0.665, 0.842, 1.61)
WAVES = (0.49, 0.56, 0.665, 0.842)
SMALL = {
    "upernet": {"channels": 8, "hidden": (8, 4)},
    "fpn": {"channels": 8},
    "unetr": {"base": 8},
    "pixelshuffle": {"hidden": 8, "fine": 4},
    "linear": {},
}
ENCODERS = {
    "patch 8": lambda: Clay(ClaySize(32, 4, 2, 16, 2)),
    "patch 14": lambda: DofaV2(DofaSize(32, 4, 2, (0, 1, 2, 3))),
    "patch 16": lambda: Prithvi(PrithviSize(32, 4, 2, 16, time_and_place=False), bands=4),
}


def small(encoder, decoder, classes=3, **options):
    torch.manual_seed(5)
    made = ENCODERS[encoder]()
    head = build_decoder(decoder, made, bands=4, classes=classes, **SMALL[decoder])
    return SegmentationNetwork(made, head, NetworkOptions(wavelengths_um=WAVES, gsd_m=10, **options))


def stirred(module: nn.Module) -> nn.Module:
    """Every parameter away from its start: a norm's weight of one or a bias of zero hides mistakes."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return module.eval()


def clay_pair(size: ClaySize) -> tuple[nn.Module, Clay]:
    theirs = stirred(
        oracles.claymodel().Encoder(
            mask_ratio=0.0,
            patch_size=8,
            shuffle=False,
            dim=size.width,
            depth=size.depth,
            heads=size.heads,
            dim_head=size.head_width,
            mlp_ratio=size.mlp_ratio,
        )
    )
    ours = Clay(size).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours
