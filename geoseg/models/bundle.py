"""A model as one folder: ``card.yaml`` and ``weights.safetensors``. Nothing in it is ever executed."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geoseg.catalog.cards import CARD, WEIGHTS, ModelCard, read_card
from geoseg.core.atomic import apply_umask, raise_output_errors
from geoseg.core.hashing import file_sha256
from geoseg.errors import BadOptionError, BundleError, CheckpointMismatchError, UsageError
from geoseg.models.network import NetworkModel
from geoseg.models.registry import build
from geoseg.models.tensors import dtype_mismatches, find_invalid_tensor

log = logging.getLogger(__name__)

FEW = 3
"""Names listed in a message."""


def save_bundle(folder: Path | str, module: nn.Module, card: ModelCard) -> ModelCard:
    """Write a network and its card as a bundle; each file appears whole, the card last.

    Args:
        folder: Made if missing; a bundle that is there is replaced.
        module: What ``card.architecture`` builds.
        card: Its sha256 is filled in.

    Returns:
        The card as written.

    Raises:
        CheckpointMismatchError: ``card.architecture`` does not build ``module``.
        OutputNotWritableError: The folder cannot be written.
    """
    folder = Path(folder)
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in module.state_dict().items()}
    _match(build_from(card).state_dict(), weights, f"the network given for {card.name}")
    with raise_output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder) as workplace:
            unfinished = Path(workplace)
            save_file(weights, unfinished / WEIGHTS, metadata={"format": "pt"})
            apply_umask(unfinished / WEIGHTS)
            card = card.model_copy(update={"sha256": file_sha256(unfinished / WEIGHTS)})
            plain = card.model_dump(mode="json", exclude_defaults=True)
            (unfinished / CARD).write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), "utf-8")
            for name in (WEIGHTS, CARD):
                os.replace(unfinished / name, folder / name)  # noqa: PTH105 - the same call, and it says what it does
    return card


def load_bundle(folder: Path | str, *, device: str = "cpu") -> NetworkModel:
    """The model in a folder, every key of its weights matched by name, shape and kind of number.

    Raises:
        BundleError: A file is missing or malformed, the weights are not those the card was written for or hold numbers
            that nothing can be computed with, or the card names a network that cannot be built.
        CheckpointMismatchError: Weights that are not the network's.
    """
    folder = Path(folder)
    card = read_card(folder)
    weights = read_weights(folder, card)
    with torch.device("meta"):  # no memory before the weights are known to be of that size
        wanted = _as_described(card, folder).state_dict()
    _match(wanted, weights, str(folder / WEIGHTS))
    if fault := find_invalid_tensor(weights):
        raise BundleError(f"{folder / WEIGHTS}: {fault}: train it again.")
    module = _as_described(card, folder)
    module.load_state_dict(weights, strict=True)
    log.info("%s: %d of %d tensors matched, sha256 %s", folder, len(weights), len(weights), card.sha256)
    return NetworkModel(module, card, device=device)


def read_weights(folder: Path, card: ModelCard) -> dict[str, Tensor]:
    """The weights of a bundle, by name, on the CPU.

    Raises:
        BundleError: Missing, truncated, or with another sha256 than the card's.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise BundleError(f"{folder} holds no {WEIGHTS}: the bundle is incomplete.")
    if card.sha256 is None:
        raise BundleError(f"{folder / CARD} states no sha256, so nobody knows whether its weights are whole.")
    seen = file_sha256(path)
    if seen != card.sha256:
        raise BundleError(
            f"{path} has sha256 {seen[:12]}..., the card was written for {card.sha256[:12]}...: "
            "the file is damaged, or another. Copy the bundle again."
        )
    try:
        weights: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise BundleError(f"{path} is not a safetensors file ({error}).") from None
    return weights


def build_from(card: ModelCard) -> nn.Module:
    """The network that a card describes, with fresh weights.

    Raises:
        UsageError: It cannot be built; see :func:`geoseg.models.registry.build`.
    """
    if fixed := {"bands", "classes"} & set(card.architecture.options):
        raise BadOptionError(f"{min(fixed)} is no option of {card.architecture.name}: the card's own list says it.")
    return build(card.architecture.name, len(card.bands), len(card.classes), **card.architecture.options)


def _as_described(card: ModelCard, folder: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")  # refused in our own words
            return build_from(card)
    except (UsageError, ValueError, TypeError) as error:  # options are whatever someone wrote into a card
        raise BundleError(f"{folder / CARD} describes a network that cannot be built: {error}") from None


def _match(wanted: dict[str, Tensor], given: dict[str, Tensor], where: str) -> None:
    """Refuse weights that are not exactly what a network wants, naming what differs.

    Raises:
        CheckpointMismatchError: A key is missing or unexpected, or a shape or the kind of number differs.
    """
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    reshaped = [
        f"{key} {tuple(given[key].shape)} for {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    recast = dtype_mismatches(wanted, given)
    if missing or unexpected or reshaped or recast:
        matched = sum(key in given and given[key].shape == wanted[key].shape for key in wanted)
        faults = [
            f"{len(names)} {kind} ({', '.join(names[:FEW])}{', ...' if len(names) > FEW else ''})"
            for kind, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", reshaped),
                ("of another kind of number", recast),
            )
            if names
        ]
        raise CheckpointMismatchError(
            f"{where} does not fit its network: {matched} of {len(wanted)} tensors matched; {'; '.join(faults)}. "
            "Use the card and the weights that were saved together."
        )
