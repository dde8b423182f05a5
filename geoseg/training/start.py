"""What a run starts from: a network by name, fresh or on published weights, or a bundle to go on from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from torch import nn

from geoseg.catalog.cards import Architecture, BandStatistics, ModelCard, Normalisation
from geoseg.catalog.encoders import encoder_facts, encoder_names
from geoseg.datasets.pair import LabelledSet
from geoseg.errors import BadOptionError, BandMismatchError, WeightsMissingError
from geoseg.models.bundle import build_from
from geoseg.models.checkpoints.fetch import cached_weights
from geoseg.models.checkpoints.loading import load_encoder
from geoseg.models.create import ModelRef, load_model, resolve_model
from geoseg.models.foundation.build import EncoderInput
from geoseg.models.foundation.card import encoder_card
from geoseg.models.input_checks import check_unit
from geoseg.models.network import NetworkModel
from geoseg.training.recipe import Recipe

LARGEST = 4_000_000_000
"""Parameters of a network. The largest encoder here has 0.65 thousand million."""

SMALLEST_STD = 1e-3
"""Of a band that does not vary: dividing by less would only blow up noise."""

LOOKED_AT = 16
"""Images whose unit is checked where nothing else asks for all of them."""


def starting_point(recipe: Recipe, data: LabelledSet, name: str) -> tuple[nn.Module, ModelCard]:
    """The network to train, and its card, which states how ``data`` is normalised.

    Args:
        recipe: Names the network, and its options.
        data: What it will learn from.
        name: Of the bundle to be.

    Raises:
        UnknownNameError: No such network.
        WeightsMissingError: Its encoder's published weights are not here, and nobody said to start without.
        BandMismatchError: The data are not what the network, or the bundle, reads.
        BadOptionError: A baseline, which has nothing to learn, or options that the network has not.
        InputRangeError: Images that are not in the unit they are said to be in.
        ModelError: A bundle or a checkpoint that does not hold.
    """
    model = resolve_model(recipe.model)
    if model.folder:
        for pair in data.pairs[:: max(1, len(data.pairs) // LOOKED_AT)]:
            check_unit(pair.read()[0], data.unit, f"{pair.id} of {data.name}")
        return _from_bundle(recipe, data, model, name)
    if model.name in encoder_names():
        return _on_encoder(recipe, data, model.name, name)
    return _fresh(recipe, data, model, name)


def _from_bundle(recipe: Recipe, data: LabelledSet, ref: ModelRef, name: str) -> tuple[nn.Module, ModelCard]:
    folder = ref.name
    if recipe.options:
        raise BadOptionError(f"{folder} is a trained bundle, whose network is given: leave out {recipe.options}.")
    model = load_model(ref)
    assert isinstance(model, NetworkModel)  # every bundle is one
    card = model.card
    if card.bands != data.bands or card.unit != data.unit:
        raise BandMismatchError(
            f"{folder} reads {', '.join(card.bands)} in {card.unit}; {data.name} holds {', '.join(data.bands)} in "
            f"{data.unit}. Choose its bands with --bands, or train a network by name."
        )
    if card.classes != _outputs(data) or card.meaning != data.meaning:
        raise BandMismatchError(
            f"{folder} tells {card.meaning} ({', '.join(card.classes)}), the labels of {data.name} tell "
            f"{data.meaning} ({', '.join(data.classes)}). Train a network by name."
        )
    for parameter in model.module.parameters():
        parameter.requires_grad_(True)
    sources = tuple(dict.fromkeys((*card.training_data, *data.sources)))
    update = {"name": name, "training_data": sources, "sensors": _sensors(card.sensors, data), "sha256": None}
    return model.module, card.model_copy(update=update | {"scores": {}, "training": None})


def _on_encoder(recipe: Recipe, data: LabelledSet, encoder: str, name: str) -> tuple[nn.Module, ModelCard]:
    family, variant = encoder_facts(encoder)
    fresh = recipe.from_scratch or variant.file is None
    weights = None if fresh else cached_weights(encoder)
    if not fresh and weights is None:
        raise WeightsMissingError(
            f"The published weights of {encoder} are not here. Run `geoseg models fetch {encoder}`, "
            "or add --from-scratch to start it with random ones."
        )
    given = EncoderInput(data.sensor, data.bands, radar=recipe.radar or fresh)
    gsd = gsd_of(data)
    card = encoder_card(
        encoder,
        given,
        classes=_outputs(data),
        statistics=measured(data, family.sensors[data.sensor].scale if data.sensor in family.sensors else 1.0),
        options={**({"gsd_m": gsd} if gsd else {}), **recipe.options},
    )
    if card.unit != data.unit:
        raise BandMismatchError(f"{encoder} reads {data.sensor} in {card.unit}, {data.name} is in {data.unit}.")
    card = _told(card, recipe, data, name)
    module = _built(card)
    if weights is not None:
        loaded = load_encoder(module.encoder, encoder, weights, given)  # type: ignore[arg-type]
        card = card.model_copy(update={"limits": (*card.limits, *loaded.notes)})
    return module, card


def _fresh(recipe: Recipe, data: LabelledSet, model: ModelRef, name: str) -> tuple[nn.Module, ModelCard]:
    template = model.card
    if template.family == "classical":
        raise BadOptionError(f"{model.name} is a baseline: it has nothing to learn. Choose a network.")
    options = {**template.architecture.options, **recipe.options}
    card = template.model_copy(
        update={
            "architecture": Architecture(name=template.architecture.name, options=options),
            "bands": data.bands,
            "unit": data.unit,
            "normalisation": Normalisation(bands=measured(data)),
            "classes": _outputs(data),
            "limits": (),
            "parameters_m": None,
            "weights_from": "",
        }
    )
    card = _told(card, recipe, data, name)
    return _built(card), card


def _built(card: ModelCard) -> nn.Module:
    """The network of a card, once it is known to have a size that can be.

    Raises:
        BadOptionError: Options that make a layer of nothing, or a network beyond every machine.
    """
    with torch.device("meta"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")  # said below, as an error
        sizes = [each.numel() for each in build_from(card).parameters()]
    if not all(sizes) or sum(sizes) > LARGEST:
        made = "a layer of nothing" if not all(sizes) else f"{sum(sizes):,} parameters"
        raise BadOptionError(f"{card.architecture.name} would hold {made} with {card.architecture.options}.")
    return build_from(card)


def _told(card: ModelCard, recipe: Recipe, data: LabelledSet, name: str) -> ModelCard:
    """The card with what the data and the recipe say."""
    chip = recipe.chip_px or card.chip_px or 256
    inference = max(chip, 256) if card.family == "cnn" else chip
    gsds = [pair.gsd_m for pair in data.pairs if pair.gsd_m]
    changes = {
        "name": name,
        "title": f"{recipe.model} trained on {data.name}",
        "sensors": (data.sensor,),
        "meaning": data.meaning,
        "chip_px": inference,
        "overlap_px": inference // 4,
        "gsd_m": (round(min(gsds) / 2, 2), round(max(gsds) * 2, 2)) if gsds else None,
        "acquisition": recipe.acquisition,
        "training_data": data.sources,
        "weights_from": "",
        "parameters_m": None,
    }
    return card.model_copy(update=changes)


def measured(data: LabelledSet, scale: float = 1.0) -> dict[str, BandStatistics]:
    """Mean and standard deviation of each band over every observed pixel, times ``scale``; float64 sums."""
    sums = np.zeros((3, len(data.bands)))
    for pair in data.pairs:
        image, _ = pair.read()
        check_unit(image, data.unit, f"{pair.id} of {data.name}")
        seen = np.isfinite(image)
        values = np.where(seen, image, 0.0).astype(np.float64)
        sums += np.stack([seen.sum(axis=(1, 2)), values.sum(axis=(1, 2)), (values**2).sum(axis=(1, 2))])
    count = np.maximum(sums[0], 1)
    mean = sums[1] / count
    std = np.sqrt(np.maximum(sums[2] / count - mean**2, 0.0))
    return {
        band: BandStatistics(mean=round(float(m * scale), 6), std=round(float(max(s, SMALLEST_STD) * scale), 6))
        for band, m, s in zip(data.bands, mean, std, strict=True)
    }


def gsd_of(data: LabelledSet) -> float | None:
    """Median ground sampling of the images that state theirs, metres."""
    known = [pair.gsd_m for pair in data.pairs if pair.gsd_m]
    return round(median(known), 3) if known else None


def _outputs(data: LabelledSet) -> tuple[str, ...]:
    """Classes as a card names them: of two, the one that a sigmoid speaks of."""
    return data.classes[1:] if len(data.classes) == 2 else data.classes


def _sensors(before: Sequence[str], data: LabelledSet) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, data.sensor)))
