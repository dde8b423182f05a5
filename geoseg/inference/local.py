"""Blocks on this machine: dask reads ahead, the caller predicts."""

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
    """Runs blocks in this process.

    Attributes:
        read_ahead: Blocks that may lie read and waiting.
        threads: Tiles read at the same time, and chips predicted.
        keep_bytes: Memory for tiles that neighbouring blocks share.
    """

    read_ahead: int = 1
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_bytes: int = 320 * 2**20

    def run(self, work: InferenceJob, blocks: Iterable[Block]) -> Iterator[BlockResult]:
        """Outcomes in the order of ``blocks``."""
        begun: deque[Callable[[], BlockResult]] = deque()
        with work.chip_predictor(self.threads) as chip_predictor:
            for block, pixels in self._read(work.imagery, blocks, shared=work.plan.y.overlap > 0):
                begun.append(work.submit(block, pixels, chip_predictor))
                if len(begun) > 1:
                    yield begun.popleft()()
            while begun:
                yield begun.popleft()()

    def scene_statistics(
        self, imagery: ModelInput[ImageSource], blocks: Iterable[Block], look: Callable[[BlockPixels], T]
    ) -> Iterator[T]:
        """``look`` at the pixels of every block, in order."""
        for _, pixels in self._read(imagery, blocks, shared=False):
            yield look(pixels)

    def _read(
        self, imagery: ModelInput[ImageSource], blocks: Iterable[Block], *, shared: bool
    ) -> Iterator[tuple[Block, BlockPixels]]:
        """Blocks and their pixels, read ahead: in turn where they share tiles, side by side where they do not."""
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
