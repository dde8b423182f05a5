"""Batches through a model on a GPU in two lanes: while one computes, the pixels of the next are on their way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Batch = NDArray[np.float32]
Ask = Callable[[Tensor], Tensor]

LANES = 2


class Lanes:
    """Two lanes, each with page-locked memory on this side and a buffer on the GPU.

    Every batch travels at the size of the largest: the rest of a short one is not observed, and its answers are left.
    So the network meets one size only, and a recording of it serves all.

    Args:
        ask: Chips float32 (batch, band, y, x) on ``device`` -> answers float32 (batch, y, x) there.
        shape: (batch, band, y, x) of the largest batch.
        device: Where it computes. On the CPU the lanes work too, one after the other.
    """

    def __init__(self, ask: Ask, shape: tuple[int, int, int, int], device: torch.device) -> None:
        self._ask = ask
        self._device = device
        on_gpu = device.type == "cuda"
        self._copying = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]
        count, _, height, width = shape
        self._sent = [torch.full(shape, torch.nan, pin_memory=on_gpu) for _ in range(LANES)]
        self._there = [torch.empty(shape, device=device) for _ in range(LANES)]
        self._answers = [torch.empty((count, height, width), pin_memory=on_gpu) for _ in range(LANES)]
        if self._copying is not None:  # the buffers may lie where work of the other stream is not done yet
            self._copying.wait_stream(torch.cuda.current_stream(device))

    def answers(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The answer float32 (n, y, x) to each batch float32 (n, band, y, x), in their order."""
        waiting: deque[Callable[[], Batch]] = deque()
        for number, batch in enumerate(batches):
            if len(waiting) == LANES:
                yield waiting.popleft()()
            waiting.append(self._begin(number % LANES, batch))
        while waiting:
            yield waiting.popleft()()

    def _begin(self, lane: int, batch: Batch) -> Callable[[], Batch]:
        """Send a batch on its way; what comes back waits for its answer, which frees the lane."""
        count = len(batch)
        sent, there, answer = self._sent[lane], self._there[lane], self._answers[lane]
        sent[:count].copy_(torch.from_numpy(np.ascontiguousarray(batch)))
        sent[count:] = torch.nan
        with self._stream():
            there.copy_(sent, non_blocking=True)
        if self._copying is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._copying)
        answer.copy_(self._ask(there), non_blocking=True)
        done = None
        if self._copying is not None:
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(self._device))

        def wait() -> Batch:
            if done is not None:
                done.synchronize()
            read: Batch = answer[:count].numpy().copy()
            return read

        return wait

    def _stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._copying is None else torch.cuda.stream(self._copying)
