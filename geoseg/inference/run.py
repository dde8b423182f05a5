"""Run a model over an image, block by block: the one loop of maps and of evaluations.

:func:`predict_rows` keeps the result in memory, row of blocks by row of blocks. :func:`predict` writes the rows into
layers on disk, so that a run that was stopped resumes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.core.progress import Progress, Report
from geoseg.core.text import counted
from geoseg.inference.blend import Blend
from geoseg.inference.job import BlockResult, InferenceJob
from geoseg.readers import Failure

if TYPE_CHECKING:
    from geoseg.inference.dask_executor import DaskExecutor
    from geoseg.inference.local import LocalExecutor
    from geoseg.inference.work_folder import WorkFolder

PROBABILITY, SOURCE = "probability", "source"
"""The layers of a work folder: uint8 per cent, and uint8 scene number; 255 not observed in both."""


class PredictedRow(NamedTuple):
    """The finished pixels of a row of blocks.

    Attributes:
        number: Number of the row of blocks.
        top: First row of pixels.
        percent: uint8 (y, x), probability in per cent, 255 where not observed.
        source: uint8 (y, x), scene of each pixel, 255 where not observed.
    """

    number: int
    top: int
    percent: NDArray[np.uint8]
    source: NDArray[np.uint8]


def predict_rows(
    executor: LocalExecutor | DaskExecutor,
    job: InferenceJob,
    blend: Blend,
    done: Callable[[BlockResult], None],
    first: int = 0,
) -> Iterator[PredictedRow]:
    """Predict an image, one row of blocks after the other.

    Args:
        executor: Runs the blocks.
        job: The images, the model and the windows.
        blend: The weighted sums; after each row they hold the part that overlaps into the next one.
        done: Called with the result of each block.
        first: The first row of blocks.
    """
    row = first
    for result in executor.run(job, job.plan.blocks(first)):
        if result.sums.block.row != row:
            yield PredictedRow(row, *blend.flush(row))
            row = result.sums.block.row
        blend.merge(result.sums)
        done(result)
    if row < job.plan.rows:
        yield PredictedRow(row, *blend.flush(row))


def predict(
    executor: LocalExecutor | DaskExecutor, job: InferenceJob, folder: WorkFolder, report: Report, step: str
) -> tuple[Failure, ...]:
    """Fill the layers of a work folder, starting at the first row of blocks that is missing.

    Each row of blocks is written and committed together with the sums that overlap into the next row, so that a run
    that was stopped and resumed gives the same bytes as one that was not.

    Returns:
        Every scene that could not be read somewhere, once.
    """
    plan, blend, failures, first = job.plan, Blend(job.plan), dict[Failure, None](), folder.row
    if first:
        carry = folder.carry()
        failures.update(dict.fromkeys(_unpack(carry.pop("failures"))))
        blend = Blend.resumed(plan, int(carry.pop("top")), carry)

    across = -(-plan.x.count // plan.block[1])
    total, blocks = plan.shape[0] * plan.shape[1] / 1e6, plan.rows * across

    def done(result: BlockResult) -> None:
        failures.update(dict.fromkeys(result.failures))
        share = (result.sums.block.index + 1) / blocks
        report(Progress(step, total * share, total, "Mpx", note=_note(failures)))

    report(Progress(step, total * first * across / blocks, total, "Mpx"))
    for row in predict_rows(executor, job, blend, done, first):
        folder.layers[PROBABILITY].write(row.top, row.percent)
        folder.layers[SOURCE].write(row.top, row.source)
        folder.commit(row.number + 1, {**blend.carry, "top": np.array(blend.top), "failures": _pack(failures)})
    return tuple(failures)


def _note(failures: dict[Failure, None]) -> str:
    failed = {failure.scene_id for failure in failures}
    return f"{counted(len(failed), 'scene')} failed" if failed else ""


def _pack(failures: dict[Failure, None]) -> NDArray[np.uint8]:
    text = json.dumps([[failure.scene_id, failure.reason] for failure in failures])
    return np.frombuffer(text.encode(), np.uint8)


def _unpack(packed: NDArray[np.generic]) -> list[Failure]:
    return [Failure(scene_id, reason) for scene_id, reason in json.loads(packed.tobytes().decode())]
