"""How deep each parameter of an encoder lies, for learning rates that fall with depth and for partial freezing."""

from __future__ import annotations

import re

from torch import nn

from geoseg.errors import BadOptionError
from geoseg.models.foundation.protocol import PatchEncoder

FIRST = re.compile(r"first:(\d+)$")
KINDS = "none, encoder, first:N (the embedding and N blocks) or all-but-norm"


def depths(encoder: PatchEncoder) -> dict[str, int]:
    """Depth of each parameter by name: 0 the embedding, tokens and positions, 1.. the blocks, then what follows them.

    A learning rate of ``lr * decay ** (encoder.depth + 1 - depth)`` falls layer by layer (Bao et al. 2022, BEiT).
    """
    of_block = {id(p): index for index, block in enumerate(encoder.blocks_in_order()) for p in block.parameters()}
    after = {id(p) for name, p in encoder.named_parameters() if re.match(r"(transformer\.)?norm\.", name)}
    return {
        name: of_block[id(p)] + 1 if id(p) in of_block else (encoder.depth + 1 if id(p) in after else 0)
        for name, p in encoder.named_parameters()
    }


def trained_under(encoder: PatchEncoder, frozen: str) -> set[str]:
    """Names of the parameters that learn where ``frozen`` is ``none``, ``encoder``, ``first:N`` or ``all-but-norm``.

    Raises:
        BadOptionError: Something else, or more blocks than there are.
    """
    names = {name for name, _ in encoder.named_parameters()}
    if frozen == "none":
        return names
    if frozen == "encoder":
        return set()
    if frozen == "all-but-norm":
        norms = {id(p) for part in encoder.modules() if isinstance(part, nn.LayerNorm) for p in part.parameters()}
        return {name for name, p in encoder.named_parameters() if id(p) in norms}
    if not (first := FIRST.match(frozen)) or int(first[1]) > encoder.depth:
        raise BadOptionError(f"An encoder of {encoder.depth} blocks cannot freeze {frozen!r}. Choose {KINDS}.")
    return {name for name, depth in depths(encoder).items() if depth > int(first[1])}
