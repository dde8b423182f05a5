"""Networks and classical baselines behind one protocol. Knows tensors and cards; knows no geography."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def segmentation(name: str, *, bands: int | None = None, classes: int | None = None, **options: Any) -> nn.Module:
    """A network by the name of its card, with fresh weights.

    >>> from geoseg.models import segmentation
    >>> import torch
    >>> network = segmentation("unetplusplus-efficientnet-b0", bands=4, prune=2).eval()
    >>> with torch.inference_mode():
    ...     logits = network(torch.zeros(1, 4, 97, 131))
    >>> tuple(logits.shape)
    (1, 1, 97, 131)

    Args:
        name: Of a network's card, or ``unetplusplus-ENCODER`` and ``deeplabv3plus-ENCODER`` with any encoder of
            segmentation_models_pytorch or timm.
        bands: Channels of the input. None: as many as the card names.
        classes: Channels of the output. None: as many as the card names; 1 for a sigmoid.
        options: Of that network, over those of its card.

    Raises:
        UnknownNameError: No such network, or a baseline, which is no network.
        BadOptionError: Options it does not have.
    """
    from geoseg.catalog.cards import card, cards
    from geoseg.models.registry import WITH_ANY_ENCODER, build

    family, _, encoder = name.partition("-")
    if name not in cards() and family in WITH_ANY_ENCODER and encoder:
        return build(family, bands or 3, classes or 1, **{"encoder": encoder, **options})
    known = card(name)
    return build(
        known.architecture.name,
        bands or len(known.bands),
        classes or len(known.classes),
        **{**known.architecture.options, **options},
    )
