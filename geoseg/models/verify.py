"""Whether weights are whole and fit: every tensor by name, shape and kind of number, its values, the file's hash."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoseg.catalog.cards import WEIGHTS
from geoseg.catalog.encoders import encoder_facts, encoder_names
from geoseg.errors import WeightsMissingError
from geoseg.models.create import load_model, resolve_model


@dataclass(frozen=True, slots=True)
class Verified:
    """Weights that fit.

    Attributes:
        name: Of the model.
        path: The file of weights.
        sha256: Its hash.
        published: The hash is the one that the card or the catalogue states. False: none is stated.
        matched: Tensors matched by name and shape.
        total: Tensors that the network has; always ``matched``, anything less is an error.
        parameters: Numbers in them, buffers left out.
        notes: What a person should know.
    """

    name: str
    path: Path
    sha256: str
    published: bool
    matched: int
    total: int
    parameters: int
    notes: tuple[str, ...] = ()


def verify(name_or_folder: str | Path) -> Verified:
    """Load the weights of a bundle, or of an encoder in the cache, strictly.

    Raises:
        UnknownNameError: No such model.
        WeightsMissingError: There is nothing to verify: a baseline, or weights that are not here.
        BundleError: A file is missing or damaged.
        CheckpointMismatchError: The weights are not the network's.
    """
    ref = resolve_model(name_or_folder)
    if ref.is_shipped and ref.name in encoder_names():
        return _verify_encoder(ref.name)
    if ref.kind == "baseline":
        raise WeightsMissingError(f"{ref.name} is a formula: it has no weights to verify.")
    model = load_model(ref)
    from geoseg.models.network import NetworkModel

    assert isinstance(model, NetworkModel)  # every bundle is one
    assert ref.folder is not None
    count = len(model.module.state_dict())
    return Verified(
        name=model.card.name,
        path=ref.folder / WEIGHTS,
        sha256=str(model.card.sha256),
        published=True,
        matched=count,
        total=count,
        parameters=sum(each.numel() for each in model.module.parameters()),
    )


def _verify_encoder(name: str) -> Verified:
    import torch

    from geoseg.models.checkpoints.fetch import weights_of
    from geoseg.models.checkpoints.loading import load_encoder
    from geoseg.models.foundation.build import EncoderInput, build_encoder

    path = weights_of(name)
    family, _ = encoder_facts(name)
    sensor, known = next(iter(family.sensors.items()))
    bands = family.bands or tuple(known.bands)
    with torch.device("meta"):
        encoder = build_encoder(name, bands=len(bands))
    loaded = load_encoder(encoder, name, path, EncoderInput(sensor, bands))
    return Verified(
        name=name,
        path=path,
        sha256=loaded.sha256,
        published=loaded.hash_known,
        matched=loaded.matched,
        total=loaded.total,
        parameters=loaded.parameters,
        notes=loaded.notes,
    )
