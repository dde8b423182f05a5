"""Weights as numbers: whether they are of the kind that a network computes with, and none of them impossible."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Kinds that a weight may be stored in: each becomes float32 but for rounding. Eight bits hold no weight as it was."""

WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

VARIANCE = "running_var"
"""What torch's batch normalisation calls its variances: below 0 there is none, and its root is NaN."""


def dtype_mismatches(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Tensors of both that are of another kind of number in each: ``NAME int32 for float32``; none is the rule.

    Real numbers stand for real numbers of any usual precision, whole numbers for whole numbers, and any other dtype
    for itself alone: torch would cast every one to every other without a word.
    """
    return [
        f"{key} {_short(given[key].dtype)} for {_short(tensor.dtype)}"
        for key, tensor in wanted.items()
        if key in given and not _alike(tensor.dtype, given[key].dtype)
    ]


def find_invalid_tensor(weights: Mapping[str, Tensor]) -> str | None:
    """What is impossible in the numbers of a network that computes in float32, naming the tensor; None: nothing.

    Each tensor is read once: its extremes are NaN where any number is, and infinite where one is. About half a
    second for 300 million numbers on two cores.
    """
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        low, high = (float(each.float()) for each in torch.aminmax(tensor))
        if not (abs(low) < torch.inf and abs(high) < torch.inf):
            return f"{name} holds NaN, infinity, or a number beyond float32"
        if name.rpartition(".")[2] == VARIANCE and low < 0:
            return f"{name} holds a negative variance ({low:g})"
    return None


def _alike(one: torch.dtype, other: torch.dtype) -> bool:
    return one == other or any(one in kind and other in kind for kind in (REAL, WHOLE))


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
