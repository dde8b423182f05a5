"""Which parameters learn, and how fast: frozen parts, rates that fall towards the input, no decay where it harms."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from torch import nn

from geoseg.errors import BadOptionError
from geoseg.models.foundation.layers import depths, trained_under
from geoseg.models.foundation.protocol import PatchEncoder

UNDECAYED = re.compile(r"(bias|token|positions|pos_embed|scale|gamma)$")
"""Names of parameters that weight decay would only pull away from where they belong; whatever is a vector, too."""

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)

FIRST = re.compile(r"first:(\d+)$")


def freeze(module: nn.Module, part: str) -> None:
    """Let everything learn but ``part`` of the encoder; :func:`eval_frozen_modules` keeps that in evaluation.

    Args:
        module: Any network of ours; the contracting path is the encoder of a U-Net.
        part: ``none``, ``encoder``, ``first:N`` (the embedding or stem, and N blocks) or ``all-but-norm``.

    Raises:
        BadOptionError: Something else, more blocks than there are, or a network without an encoder.
    """
    if part == "none":
        return
    encoder = getattr(module, "encoder", None)
    if isinstance(encoder, PatchEncoder):
        names = trained_under(encoder, part)
        learning = {id(each) for name, each in encoder.named_parameters() if name in names}
    else:
        learning = _learning(module, part)
    for identity, parameter in _of_encoder(module):
        parameter.requires_grad_(parameter.requires_grad and identity in learning)


def eval_frozen_modules(module: nn.Module) -> None:
    """Put every part in which nothing learns into evaluation: its dropout and batch statistics rest, too."""
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            part.eval()


def parameter_groups(module: nn.Module, *, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """What an optimiser is given: ``lr * layer_decay ** distance`` from the end of the encoder.

    Norms, biases, tokens, positions and scales are not decayed. Layer-wise rates: Bao et al. 2022 (BEiT,
    arXiv 2106.08254), section 3.

    Args:
        module: Its parameters that learn are taken.
        lr: Of everything behind the encoder.
        weight_decay: Of matrices and kernels.
        layer_decay: Factor per layer; 1: all alike.
    """
    depth = layer_depths(module)
    last = max(depth.values(), default=-1) + 1
    groups = defaultdict[tuple[float, float], list[nn.Parameter]](list)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            rate = lr * layer_decay ** (last - depth.get(id(parameter), last))
            decay = 0.0 if parameter.ndim <= 1 or UNDECAYED.search(name) else weight_decay
            groups[rate, decay].append(parameter)
    return [{"params": each, "lr": rate, "weight_decay": decay} for (rate, decay), each in groups.items()]


def layer_depths(module: nn.Module) -> dict[int, int]:
    """Depth of each parameter of the encoder by its identity, 0 being nearest to the image."""
    encoder = getattr(module, "encoder", None)
    if isinstance(encoder, PatchEncoder):
        depth = depths(encoder)
        return {id(each): depth[name] for name, each in encoder.named_parameters() if name in depth}
    layers = _layers(module)
    return {identity: index for index, layer in enumerate(layers) for identity, _ in layer}


def _learning(module: nn.Module, part: str) -> set[int]:
    layers = _layers(module)
    if not layers:
        raise BadOptionError(f"{type(module).__name__} has no encoder that could be frozen. Use --freeze none.")
    if part == "encoder":
        return set()
    if part == "all-but-norm":
        return {id(each) for one in module.modules() if isinstance(one, NORMS) for each in one.parameters()}
    first = FIRST.match(part)
    if not first or int(first[1]) >= len(layers):
        raise BadOptionError(
            f"An encoder of {len(layers)} layers cannot freeze {part!r}. "
            f"Choose none, encoder, first:N below {len(layers)}, or all-but-norm."
        )
    return {identity for layer in layers[int(first[1]) + 1 :] for identity, _ in layer}


def _of_encoder(module: nn.Module) -> Iterator[tuple[int, nn.Parameter]]:
    for layer in _layers(module):
        yield from layer


def _layers(module: nn.Module) -> list[list[tuple[int, nn.Parameter]]]:
    """Parameters of each layer of the encoder, the stem first; lists of blocks count one by one."""
    path: tuple[str, ...] = getattr(module, "encoder_path", ("encoder",) if hasattr(module, "encoder") else ())
    found = []
    for name in path:
        part = getattr(module, name)
        if isinstance(part, nn.Parameter):
            found.append([part])
            continue
        direct = list(part.parameters(recurse=False))
        blocks = [part] if isinstance(part, nn.Sequential) else list(_blocks(part))
        found.append(direct)
        for index, block in enumerate(blocks):
            if index and isinstance(block, NORMS):
                found[-1] += block.parameters()  # it belongs to the convolution before it
            else:
                found.append(list(block.parameters()))
    return [[(id(each), each) for each in layer] for layer in found if layer]


def _blocks(part: nn.Module) -> Iterator[nn.Module]:
    """Children in order, those of lists and stages in their place; a module without children is itself one."""
    children = list(part.children())
    while len(children) == 1 and not list(part.parameters(recurse=False)):
        part, children = children[0], list(children[0].children())  # a wrapper, as smp's around timm's encoders
    if not children:
        yield part
    for child in children:
        if isinstance(child, nn.ModuleList) or (isinstance(child, nn.Sequential) and len(child) > 1):
            yield from child.children()
        else:
            yield child
