"""Predict chips: on a GPU in batches, on a CPU one chip per core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.windows import WindowIndex
from geoseg.models.protocol import ArrayModel

if TYPE_CHECKING:
    from geoseg.models.inference import Predictor

Chip = tuple[WindowIndex, NDArray[np.float32]]
Answer = tuple[WindowIndex, NDArray[np.float32]]


class ChipPredictor:
    """Predict chips, in their order.

    On a CPU each chip is one forward pass on one core, and ``threads`` chips run at a time. A pass that is split over
    several cores sums in an order that depends on the number of cores and the batch, which changes the last bits of the
    result; it also waits for the slowest core in every layer. With one chip per core, serial runs and clusters of any
    size give the same bytes.

    Args:
        predictor: The model.
        threads: Chips at the same time on a CPU.
        batch_size: Chips at the same time on a GPU.
    """

    def __init__(self, predictor: Predictor, *, threads: int, batch_size: int) -> None:
        self._predictor = predictor
        self._batch_size = batch_size
        self._pool = (
            ThreadPoolExecutor(threads, "chip", initializer=_thread_initializer(predictor))
            if predictor.on_cpu
            else None
        )

    def __enter__(self) -> Self:
        """Return the predictor itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the threads."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def probabilities(self, chips: Iterable[Chip]) -> Iterator[Answer]:
        """Compute the probability float32 (y, x) of each chip, NaN where not observed.

        On a CPU the threads start at once, before the first result is asked for.
        """
        if self._pool is None:
            return self._by_batch(chips)
        return _ordered_results(deque(self._pool.submit(self._one, chip) for chip in chips))

    def _one(self, chip: Chip) -> Answer:
        window, pixels = chip
        return window, self._predictor.probability(pixels[None])[0]

    def _by_batch(self, chips: Iterable[Chip]) -> Iterator[Answer]:
        waiting = iter(chips)
        while batch := list(islice(waiting, self._batch_size)):
            probability = self._predictor.probability(np.stack([pixels for _, pixels in batch]))
            yield from zip((window for window, _ in batch), probability, strict=True)


def _ordered_results(waiting: deque[Future[Answer]]) -> Iterator[Answer]:
    """Yield the results in their order, and release each one as soon as it is yielded."""
    while waiting:
        yield waiting.popleft().result()


def _thread_initializer(predictor: Predictor) -> Callable[[], None] | None:
    """Return what each thread runs first; None for a numpy model, which uses one core anyway."""
    return None if isinstance(predictor.load(), ArrayModel) else _one_core


def _one_core() -> None:
    """Limit torch to one core in this thread; the setting holds for the thread only."""
    import torch

    torch.set_num_threads(1)
