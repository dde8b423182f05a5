"""Blocks on a dask.distributed cluster: the work travels to each worker once, results stream back in order."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, get_worker

from geoseg.errors import EngineError
from geoseg.inference.chip_predictor import ChipPredictor
from geoseg.inference.image_source import ImageSource
from geoseg.inference.job import BlockPixels, BlockResult, InferenceJob, ModelInput, read_block
from geoseg.inference.tiles import TileReader
from geoseg.inference.windows import Block

if TYPE_CHECKING:
    from distributed import Future, Worker

T = TypeVar("T")

KEEP_BYTES = 256 * 2**20


class WorkPlugin(WorkerPlugin):  # type: ignore[misc]  # distributed is untyped
    """Holds a piece of work on every worker, also on those that join or restart later.

    Args:
        name: What tasks ask for it by.
        imagery: What is read there.
        work: What is predicted there; None: blocks are only looked at.
    """

    idempotent = True

    def __init__(self, name: str, imagery: ModelInput[ImageSource], work: InferenceJob | None) -> None:
        self.name = name
        self.imagery = imagery
        self.work = work
        self.readers: tuple[TileReader, ...] = ()
        self.chip_predictor: ChipPredictor | None = None

    def setup(self, worker: Worker) -> None:
        """Load the model once, before the first block asks for it."""
        keep = KEEP_BYTES // len(self.imagery.images)
        self.readers = tuple(TileReader(image, keep_bytes=keep, threads=1) for image in self.imagery.images)
        if self.work is not None:
            self.work.predictor.load()
            self.chip_predictor = self.work.chip_predictor(worker.state.nthreads)

    def teardown(self, worker: Worker) -> None:
        """Let the threads go."""
        if self.chip_predictor is not None:
            self.chip_predictor.__exit__(None, None, None)


def _predict(name: str, block: Block) -> BlockResult:
    carried = get_worker().plugins[name]
    pixels = read_block(carried.imagery, carried.readers, block)
    return carried.work.predict(block, pixels, carried.chip_predictor)  # type: ignore[no-any-return]


def _look(name: str, block: Block, look: Callable[[BlockPixels], T]) -> T:
    carried = get_worker().plugins[name]
    return look(read_block(carried.imagery, carried.readers, block))


@dataclass(frozen=True)
class DaskExecutor:
    """Runs blocks on the workers of a dask scheduler.

    Attributes:
        client: Connected client; closed by whoever opened it.
        ahead: Blocks in flight for each worker thread.
    """

    client: Client
    ahead: int = 2

    def run(self, work: InferenceJob, blocks: Iterable[Block]) -> Iterator[BlockResult]:
        """Outcomes in the order of ``blocks``; a block whose worker dies is computed elsewhere."""
        with self._register_plugin(work.imagery, work) as name:
            yield from self._in_order(blocks, lambda block: (_predict, name, block))

    def scene_statistics(
        self, imagery: ModelInput[ImageSource], blocks: Iterable[Block], look: Callable[[BlockPixels], T]
    ) -> Iterator[T]:
        """``look`` at the pixels of every block on the workers, in order."""
        with self._register_plugin(imagery, None) as name:
            yield from self._in_order(blocks, lambda block: (_look, name, block, look))

    @contextmanager
    def _register_plugin(self, imagery: ModelInput[ImageSource], work: InferenceJob | None) -> Iterator[str]:
        name = f"geoseg-{uuid.uuid4().hex}"
        self.client.register_plugin(WorkPlugin(name, imagery, work), name=name)
        try:
            yield name
        finally:
            self.client.unregister_worker_plugin(name)

    def _in_order(self, blocks: Iterable[Block], task: Callable[[Block], tuple[Any, ...]]) -> Iterator[Any]:
        threads = sum(self.client.nthreads().values()) or 1
        waiting: deque[Future] = deque()
        for block in blocks:
            function, *arguments = task(block)
            waiting.append(self.client.submit(function, *arguments, pure=False))
            if len(waiting) >= threads * self.ahead:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(future: Future) -> Any:
    try:
        return future.result()
    except KilledWorker as error:
        last = error.last_worker.address if error.last_worker else "?"
        raise EngineError(
            f"A block was lost with every worker that took it ({last} last): they may be short of memory. "
            "Use fewer --workers or a smaller --batch-size."
        ) from None
    finally:
        future.release()


@contextmanager
def local_cluster(workers: int) -> Iterator[DaskExecutor]:
    """A cluster of ``workers`` processes on this machine, one thread each."""
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, preload=["geoseg.inference.worker_preload"]) as cluster, Client(cluster) as client:
        yield DaskExecutor(client)


@contextmanager
def remote_cluster(address: str) -> Iterator[DaskExecutor]:
    """The cluster behind a dask scheduler.

    Raises:
        EngineError: Nobody answers there, or it has no worker.
    """
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise EngineError(
            f"No dask scheduler answers at {address} ({type(error).__name__}). Start one, or use --workers."
        ) from None
    with client:
        if not client.nthreads():
            raise EngineError(f"The scheduler at {address} has no worker. Start some with `dask worker {address}`.")
        yield DaskExecutor(client)
