"""How the official files name the tensors of an encoder, and what else they may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from geoseg.models.foundation.family import Leftovers

PREFIXES = (
    "",
    "encoder.",  # Prithvi 2.0: the autoencoder's encoder
    "model.encoder.",  # Lightning: Clay, and networks fine-tuned with terratorch
    "_timm_module.",  # Prithvi as older terratorch saved it
    "encoder._timm_module.",
    "model.encoder._timm_module.",
)
"""What stands before an encoder's own names, by layout."""


def best_prefix(names: Collection[str], wanted: Collection[str]) -> str:
    """The prefix under which most of the wanted names are found; the shorter one where two are as good."""
    have = set(names)
    return max(PREFIXES, key=lambda prefix: (sum(prefix + name in have for name in wanted), -len(prefix)))


def unknown_names(names: Collection[str], prefix: str, wanted: Collection[str], leftovers: Leftovers) -> list[str]:
    """Names that are neither wanted nor allowed to be left out."""
    return [name for name in names if not _explained(name, prefix, set(wanted), leftovers)]


def left_out(names: Collection[str], prefix: str, wanted: Collection[str]) -> dict[str, int]:
    """How many tensors were left out, by the part of the file they belong to."""
    wanted = set(wanted)
    rest = [name for name in names if not (name.startswith(prefix) and name.removeprefix(prefix) in wanted)]
    return dict(Counter(_part(name.removeprefix(prefix)) for name in rest))


def _explained(name: str, prefix: str, wanted: set[str], leftovers: Leftovers) -> bool:
    if name.startswith(prefix):
        inner = name.removeprefix(prefix)
        if inner in wanted or leftovers.inside.match(inner):
            return True
    return bool(leftovers.outside.match(name)) and not (prefix and name.startswith(prefix))


def _part(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "model" and len(parts) > 1 else parts[0]
