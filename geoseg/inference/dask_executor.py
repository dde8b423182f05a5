"""Run blocks on a dask.distributed cluster: each worker receives the job once, results come back in order."""

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
    """Keep a job on every worker, also on workers that join or restart later.

    Args:
        name: Name by which tasks find the plugin.
        imagery: Images to read.
        work: Job to predict; None: blocks are only read, for statistics.
    """

    idempotent = True

    def __init__(self, name: str, imagery: ModelInput[ImageSource], job: InferenceJob | None) -> None:
        self.name = name
        self.imagery = imagery
        self.job = job
        self.readers: tuple[TileReader, ...] = ()
        self.chip_predictor: ChipPredictor | None = None

    def setup(self, worker: Worker) -> None:
        """Load the model once, before the first block asks for it."""
        keep = KEEP_BYTES // len(self.imagery.images)
        self.readers = tuple(TileReader(image, keep_bytes=keep, threads=1) for image in self.imagery.images)
        if self.job is not None:
            self.job.predictor.load()
            self.chip_predictor = self.job.chip_predictor(worker.state.nthreads)

    def teardown(self, worker: Worker) -> None:
        """Stop the threads."""
        if self.chip_predictor is not None:
            self.chip_predictor.__exit__(None, None, None)


def _predict(name: str, block: Block) -> BlockResult:
    plugin = get_worker().plugins[name]
    pixels = read_block(plugin.imagery, plugin.readers, block)
    return plugin.job.predict(block, pixels, plugin.chip_predictor)  # type: ignore[no-any-return]


def _collect(name: str, block: Block, collect: Callable[[BlockPixels], T]) -> T:
    plugin = get_worker().plugins[name]
    return collect(read_block(plugin.imagery, plugin.readers, block))


@dataclass(frozen=True)
class DaskExecutor:
    """Run blocks on the workers of a dask scheduler.

    Attributes:
        client: Connected client; its opener closes it.
        ahead: Blocks submitted at the same time for each worker thread.
    """

    client: Client
    ahead: int = 2

    def run(self, job: InferenceJob, blocks: Iterable[Block]) -> Iterator[BlockResult]:
        """Predict blocks, and yield the results in their order; a block whose worker dies is run on another."""
        with self._register_plugin(job.imagery, job) as name:
            yield from self._in_order(blocks, lambda block: (_predict, name, block))

    def scene_statistics(
        self, imagery: ModelInput[ImageSource], blocks: Iterable[Block], collect: Callable[[BlockPixels], T]
    ) -> Iterator[T]:
        """Call ``collect`` with the pixels of each block, on the workers, and yield the results in order."""
        with self._register_plugin(imagery, None) as name:
            yield from self._in_order(blocks, lambda block: (_collect, name, block, collect))

    @contextmanager
    def _register_plugin(self, imagery: ModelInput[ImageSource], job: InferenceJob | None) -> Iterator[str]:
        name = f"geoseg-{uuid.uuid4().hex}"
        self.client.register_plugin(WorkPlugin(name, imagery, job), name=name)
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
            f"A block failed because each worker that ran it died (the last one: {last}), possibly out of memory. "
            "Use fewer --workers or a smaller --batch-size."
        ) from None
    finally:
        future.release()


@contextmanager
def local_cluster(workers: int) -> Iterator[DaskExecutor]:
    """Start a cluster of ``workers`` processes on this machine, one thread each."""
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, preload=["geoseg.inference.worker_preload"]) as cluster, Client(cluster) as client:
        yield DaskExecutor(client)


@contextmanager
def remote_cluster(address: str) -> Iterator[DaskExecutor]:
    """Connect to the cluster of a dask scheduler.

    Raises:
        EngineError: No scheduler answers at the address, or it has no worker.
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
