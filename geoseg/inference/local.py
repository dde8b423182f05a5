"""Run blocks on this machine: threads read ahead while the caller predicts."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from geoseg.inference.image_source import ImageSource
from geoseg.inference.job import BlockPixels, BlockResult, InferenceJob, ModelInput, read_block
from geoseg.inference.tiles import TileReader
from geoseg.inference.windows import Block

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Run blocks in this process.

    Attributes:
        read_ahead: Blocks that are read before they are needed.
        threads: Tiles read, and chips predicted, at the same time.
        keep_bytes: Bytes of tiles kept for neighbouring blocks.
    """

    read_ahead: int = 1
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_bytes: int = 320 * 2**20

    def run(self, job: InferenceJob, blocks: Iterable[Block]) -> Iterator[BlockResult]:
        """Predict blocks, and yield the results in their order."""
        submitted: deque[Callable[[], BlockResult]] = deque()
        with job.chip_predictor(self.threads) as chip_predictor:
            for block, pixels in self._read(job.imagery, blocks, shared=job.plan.y.overlap > 0):
                submitted.append(job.submit(block, pixels, chip_predictor))
                if len(submitted) > 1:
                    yield submitted.popleft()()
            while submitted:
                yield submitted.popleft()()

    def scene_statistics(
        self, imagery: ModelInput[ImageSource], blocks: Iterable[Block], collect: Callable[[BlockPixels], T]
    ) -> Iterator[T]:
        """Call ``collect`` with the pixels of each block, and yield the results in order."""
        for _, pixels in self._read(imagery, blocks, shared=False):
            yield collect(pixels)

    def _read(
        self, imagery: ModelInput[ImageSource], blocks: Iterable[Block], *, shared: bool
    ) -> Iterator[tuple[Block, BlockPixels]]:
        """Read blocks ahead: one after the other where they share tiles, in parallel where they do not."""
        keep = self.keep_bytes // len(imagery.images) if shared else 0
        kept = tuple(TileReader(image, keep_bytes=keep, threads=self.threads) for image in imagery.images)

        def read(block: Block) -> BlockPixels:
            fresh = tuple(TileReader(image, threads=1) for image in imagery.images)
            return read_block(imagery, kept if shared else fresh, block)

        ahead = self.read_ahead if shared else self.read_ahead * self.threads
        waiting: deque[tuple[Block, Future[BlockPixels]]] = deque()
        with ThreadPoolExecutor(1 if shared else self.threads, thread_name_prefix="read-ahead") as pool:
            try:
                for block in blocks:
                    waiting.append((block, pool.submit(read, block)))
                    if len(waiting) > ahead:
                        first, pixels = waiting.popleft()
                        yield first, pixels.result()
                while waiting:
                    first, pixels = waiting.popleft()
                    yield first, pixels.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
