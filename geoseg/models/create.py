"""Resolve a model by name or folder, load it, or create a network with fresh weights: the one door to models.

A folder is named with a path (``./flood-s1``, ``runs/flood-s1``, absolute), a model that comes with geoseg by its
name (``flood-s1``). A bare name that is both is refused; ``geoseg:flood-s1`` always means geoseg's own.

Reading a card loads no torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoseg.catalog.cards import CARD, WEIGHTS, Architecture, ModelCard, cards, read_card, shipped
from geoseg.core.hashing import file_sha256
from geoseg.errors import BundleError, UnknownNameError, WeightsMissingError
from geoseg.models.registry import build, build_baseline

if TYPE_CHECKING:
    from torch import nn

    from geoseg.models.protocol import SegmentationModel

OWN = "geoseg:"
"""Prefix that says a model that comes with geoseg, whatever lies in the working directory."""

Kind = Literal["baseline", "bundle", "network"]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model, resolved: what it is, where its weights are, and which ones. Small, picklable, hashable.

    Two references are equal where the folder and the fingerprint are.

    Attributes:
        name: Name of a model that comes with geoseg, or the folder as it was given.
        card: The model's card.
        folder: Absolute path of the bundle. None: a baseline, or a network without weights.
        fingerprint: sha256 of the bundle's card, which holds the sha256 of its weights; without a bundle, sha256 of
            the card's content.
        is_shipped: It comes with geoseg, and is found by its name in any installation.
    """

    name: str = field(compare=False)
    card: ModelCard = field(compare=False, repr=False)
    folder: Path | None
    fingerprint: str
    is_shipped: bool

    @property
    def kind(self) -> Kind:
        """A baseline computes as it is, a bundle has weights, a network has none yet."""
        if self.card.family == "classical":
            return "baseline"
        return "bundle" if self.folder else "network"

    def local_folder(self) -> Path | None:
        """Find the bundle's folder on this machine, which may be a worker, and compare its fingerprint.

        Raises:
            BundleError: The folder holds another bundle here than where the model was resolved, or none.
        """
        folder = shipped(self.name) if self.is_shipped else self.folder
        if folder is None:
            return None
        if not (folder / CARD).is_file():
            raise BundleError(f"{folder} holds no {CARD} on this machine: give every worker the bundle's folder.")
        if file_sha256(folder / CARD) != self.fingerprint:
            raise BundleError(
                f"{folder} holds another bundle here than where the run was started. Give every worker the same folder "
                "and the same version of geoseg."
            )
        return folder


def resolve_model(name_or_path: str | Path | ModelRef) -> ModelRef:
    """Resolve a model's name or a bundle's folder; no weights are read.

    Args:
        name_or_path: A name as ``geoseg models list`` shows it; ``unetplusplus-ENCODER`` or ``deeplabv3plus-ENCODER``
            with any encoder of segmentation_models_pytorch or timm; ``geoseg:NAME``; or a folder. A ``Path`` is always
            a folder. A reference is returned as it is.

    Raises:
        UnknownNameError: No such model and no such folder, or a bare name that is both.
        BundleError: The folder holds no bundle, or its card is malformed.
    """
    if isinstance(name_or_path, ModelRef):
        return name_or_path
    if isinstance(name_or_path, Path):
        return _resolve_folder(name_or_path)
    name = name_or_path
    if name.startswith(OWN):
        return _resolve_name(name.removeprefix(OWN))
    if {"/", "\\"} & set(name) or name in {".", ".."}:
        return _resolve_folder(Path(name))
    is_name = _card_by_name(name) is not None
    if is_name and _holds_bundle(Path(name)):
        raise UnknownNameError(
            f"The model {name!r} is ambiguous: it is the name of a model of geoseg and a folder here. "
            f"Use ./{name} for the folder, or {OWN}{name} for geoseg's own."
        )
    if name and not is_name and Path(name).is_dir():
        return _resolve_folder(Path(name))
    return _resolve_name(name)


def load_model(model: str | Path | ModelRef, *, device: str = "cpu") -> SegmentationModel:
    """Load a model, ready to predict.

    Args:
        model: As for :func:`resolve_model`.
        device: Where a network computes: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for a GPU where there is one.

    Raises:
        UnknownNameError: No such model, and no such folder.
        WeightsMissingError: A network is known by that name, its weights are not here.
        BundleError: The folder is no bundle, or another one than when the model was resolved.
        CheckpointMismatchError: Its weights are not its network's.
    """
    ref = resolve_model(model)
    if ref.kind == "baseline":
        return build_baseline(ref.card)
    folder = ref.local_folder()
    if folder is None:
        raise WeightsMissingError(
            f"The weights of {ref.name} are not here. {ref.card.weights_from or 'None are published.'} "
            f"`geoseg finetune --model {ref.name} --data ... --out FOLDER` trains it; give that folder as --model."
        )
    from geoseg.models.bundle import load_bundle  # brings torch, which a baseline does without

    return load_bundle(folder, device=device)


def create_model(name: str, *, bands: int | None = None, classes: int | None = None, **options: Any) -> nn.Module:
    """Create a network with fresh weights.

    >>> from geoseg.models import create_model
    >>> import torch
    >>> network = create_model("unetplusplus-efficientnet-b0", bands=4, prune=2).eval()
    >>> with torch.inference_mode():
    ...     logits = network(torch.zeros(1, 4, 97, 131))
    >>> tuple(logits.shape)
    (1, 1, 97, 131)

    Args:
        name: As for :func:`resolve_model`.
        bands: Channels of the input. None: as many as the card names.
        classes: Channels of the output. None: as many as the card names; 1 for a sigmoid.
        options: Of that network, over those of its card.

    Raises:
        UnknownNameError: No such network, or a baseline, which is no network.
        BadOptionError: Options it does not have.
    """
    card = resolve_model(name).card
    architecture = card.architecture
    return build(
        architecture.name,
        bands or len(card.bands),
        classes or len(card.classes),
        **{**architecture.options, **options},
    )


def _resolve_name(name: str) -> ModelRef:
    card = _card_by_name(name)
    if card is None:
        raise UnknownNameError.among("model", name, cards())
    folder = shipped(name)
    content = card.model_dump_json().encode()
    digest = file_sha256(folder / CARD) if folder else hashlib.sha256(content).hexdigest()
    return ModelRef(name, card, folder, digest, is_shipped=True)


def _resolve_folder(path: Path) -> ModelRef:
    if not path.exists():
        raise UnknownNameError(f"There is no folder {path}. A bundle holds {CARD} and {WEIGHTS}.")
    if not path.is_dir():
        raise BundleError(f"{path} is a file: expected the folder of a bundle, which holds {CARD} and {WEIGHTS}.")
    card, folder = read_card(path), path.resolve()
    return ModelRef(str(path), card, folder, file_sha256(folder / CARD), is_shipped=False)


def _card_by_name(name: str) -> ModelCard | None:
    """Find a card by name; None: no such card.

    A network whose card has the option ``encoder`` takes any encoder by name, as in ``unetplusplus-resnet18``.
    """
    known = cards()
    if name in known:
        return known[name]
    architecture, _, encoder = name.partition("-")
    alike = (card for card in known.values() if card.architecture.name == architecture and not shipped(card.name))
    like = next((card for card in alike if "encoder" in card.architecture.options), None)
    if like is None or not encoder:
        return None
    options = {**like.architecture.options, "encoder": encoder}
    changes = {"name": name, "architecture": Architecture(name=architecture, options=options), "parameters_m": None}
    return like.model_copy(update=changes)


def _holds_bundle(folder: Path) -> bool:
    """A folder counts where it holds part of a bundle: products of a map may lie in one of that name."""
    return (folder / CARD).is_file() or (folder / WEIGHTS).is_file()
