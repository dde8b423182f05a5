"""What models there are, from their cards; no network is built to list them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geoseg.catalog.cards import ModelCard, cards, shipped
from geoseg.catalog.encoders import encoder_facts
from geoseg.models.create import resolve_model


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list.

    Attributes:
        name: As people type it.
        family: ``classical``, ``cnn`` or ``foundation``.
        parameters_m: Millions of parameters of the network as its card has it. None: a baseline.
        sensors: Sensors it reads.
        weights: ``none needed``; ``here``; ``train``; or, where an encoder was pretrained and a decoder is to be
            trained on it, ``encoder here`` in the cache, or ``fetch encoder``.
        licence: Of the weights, or of the method's code.
        title: One line.
    """

    name: str
    family: str
    parameters_m: float | None
    sensors: tuple[str, ...]
    weights: str
    licence: str
    title: str


def list_models() -> list[Listed]:
    """Every model, baselines first."""
    order = {"classical": 0, "cnn": 1, "foundation": 2}
    return sorted(map(_line, cards().values()), key=lambda line: (order[line.family], line.name))


def describe_model(name_or_folder: str) -> dict[str, Any]:
    """Everything known of one model, as plain JSON values.

    Raises:
        UnknownNameError: No such model, and no such bundle.
        BundleError: The folder's card cannot be read.
    """
    card = resolve_model(name_or_folder).card
    record = card.model_dump(mode="json", exclude_none=True)
    if card.family != "classical":
        record["parameters"] = _counted(card)
    return record


def _counted(card: ModelCard) -> dict[str, int]:
    """Total and trainable, counted on a network without memory."""
    import torch

    from geoseg.models.bundle import build_from

    with torch.device("meta"):
        module = build_from(card)
    parameters = list(module.parameters())
    return {
        "total": sum(each.numel() for each in parameters),
        "trainable": sum(each.numel() for each in parameters if each.requires_grad),
    }


def _line(card: ModelCard) -> Listed:
    return Listed(card.name, card.family, card.parameters_m, card.sensors, _weights(card), card.licence, card.title)


def _weights(card: ModelCard) -> str:
    if card.family == "classical":
        return "none needed"
    if shipped(card.name):
        return "here"
    if card.family == "cnn" or encoder_facts(card.architecture.name)[1].file is None:
        return "train"
    from geoseg.models.checkpoints.fetch import cached_weights

    return "encoder here" if cached_weights(card.architecture.name) else "fetch encoder"
