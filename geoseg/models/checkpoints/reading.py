"""A file of weights as names and tensors, with nothing in the file ever executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import CheckpointMismatchError, WeightsMissingError

WRAPPERS = ("state_dict", "model")
"""Keys under which trainers (Lightning, the autoencoders' own scripts) keep the weights among other things."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a torch checkpoint.

    Returns:
        Name to tensor on the CPU, mapped from the file where the format allows it.

    Raises:
        WeightsMissingError: No such file.
        CheckpointMismatchError: Not a file of weights, or one that holds code beside them.
    """
    if not path.is_file():
        raise WeightsMissingError(f"There are no weights at {path}. Give the path of a checkpoint.")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    content = _torch(path)
    for wrapper in WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping) and any(isinstance(value, Tensor) for value in inner.values()):
            content = inner
            break
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointMismatchError(f"{path.name} holds no tensors. Give a checkpoint of an encoder.")
    return tensors


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise CheckpointMismatchError(f"{path.name} is no safetensors file: {error}. Fetch it again.") from error
    return tensors


def _torch(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointMismatchError(
            f"{path.name} holds more than weights, and loading it could run code. "
            "Save its state_dict alone and give that."
        ) from error
    except (RuntimeError, ValueError, EOFError) as error:
        raise CheckpointMismatchError(
            f"{path.name} is no torch checkpoint, or a truncated one. Fetch it again."
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointMismatchError(
            f"{path.name} holds a {type(content).__name__}, not names and tensors. Give a checkpoint of an encoder."
        )
    return content
