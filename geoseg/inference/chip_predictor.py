"""Chips through the model: on a GPU in batches, on a CPU one chip a core."""

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
    """Predicts chips, in their order.

    On a CPU every chip is one forward pass on one core, as many at a time as there are ``threads``. A library that
    splits one pass over several cores sums in another order for another number of cores or another batch, and the last
    bits of the answer follow; it also waits for its slowest core in every layer, which on a busy machine costs more
    than it gains. One chip a core has neither fault: serial runs and clusters of any size give the same bytes.

    Args:
        predictor: The model.
        threads: Chips at the same time on a CPU.
        batch_size: Chips at the same time on a GPU.
    """

    def __init__(self, predictor: Predictor, *, threads: int, batch_size: int) -> None:
        self._predictor = predictor
        self._batch_size = batch_size
        self._pool = ThreadPoolExecutor(threads, "chip", initializer=_prepared(predictor)) if predictor.on_cpu else None

    def __enter__(self) -> Self:
        """Open for work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the threads go."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def probabilities(self, chips: Iterable[Chip]) -> Iterator[Answer]:
        """Probability float32 (y, x) of each chip, NaN where not observed.

        On a CPU the threads take the chips up at once, whether or not anyone asks for an answer yet.
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
    """The answers in their order, each let go as soon as it is handed on."""
    while waiting:
        yield waiting.popleft().result()


def _prepared(predictor: Predictor) -> Callable[[], None] | None:
    """What each thread does first; nothing for a model that computes with numpy, on one core by nature."""
    return None if isinstance(predictor.load(), ArrayModel) else _one_core


def _one_core() -> None:
    """Hold this thread's passes to one core; the setting is the thread's own."""
    import torch

    torch.set_num_threads(1)
