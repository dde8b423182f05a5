"""Tensors that follow from plain values, made once and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

import torch
from cachetools import LRUCache
from torch import Tensor

Made = TypeVar("Made")


class Memo:
    """The few tensors made last, by everything they were made from.

    Nothing is kept while a graph is traced (the tensors there are stand-ins), nor copied or pickled with its owner.
    Threads may share one.
    """

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self._lock = threading.Lock()
        self._made: LRUCache[Hashable, Any] = LRUCache(maxsize=size)

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` returned for ``key`` before, or returns now."""
        if being_traced():
            return make()
        # A tensor born in inference mode may not take part in training later, so the mode is part of the key.
        full = (key, torch.is_inference_mode_enabled())
        with self._lock:
            if full not in self._made:
                self._made[full] = make()
            made: Made = self._made[full]
        return made

    def __len__(self) -> int:
        return len(self._made)

    def __deepcopy__(self, memo: dict[int, Any]) -> Memo:
        return Memo(self.size)

    def __reduce__(self) -> tuple[type[Memo], tuple[int]]:
        return Memo, (self.size,)


def being_traced() -> bool:
    """A graph is being written from this run: values cannot be looked at, and no tensor of it may be kept."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def state_of(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Where weights lie and how often they were written: differs as soon as one was replaced or changed in place.

    Nothing while a graph is traced, where weights lie nowhere and nothing is kept.
    """
    if being_traced():
        return ()
    return tuple((weight.data_ptr(), 0 if weight.is_inference() else weight._version) for weight in weights)
