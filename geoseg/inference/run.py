"""Mapping a grid block by block into layers on disk, so that a run that is stopped carries on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.core.progress import Progress, Report
from geoseg.inference.blend import Blend
from geoseg.inference.job import InferenceJob
from geoseg.readers import Failure

if TYPE_CHECKING:
    from geoseg.inference.dask_executor import DaskExecutor
    from geoseg.inference.local import LocalExecutor
    from geoseg.inference.work_folder import WorkFolder

PROBABILITY, SOURCE = "probability", "source"
"""The layers of a work folder: uint8 per cent, and uint8 scene number; 255 not observed in both."""


def predict(
    executor: LocalExecutor | DaskExecutor, work: InferenceJob, folder: WorkFolder, report: Report, step: str
) -> tuple[Failure, ...]:
    """Fill a work folder's layers with the map, from the first row of blocks that it lacks.

    Each row of blocks is written, then remembered together with what overlaps into the next, so that the rest of a
    stopped run gives the same bytes as a run that was not.

    Returns:
        Every scene that could not be read somewhere, once.
    """
    plan, blend, failures, row = work.plan, Blend(work.plan), dict[Failure, None](), folder.row
    if row:
        carry = folder.carry()
        failures.update(dict.fromkeys(_unpack(carry.pop("failures"))))
        blend = Blend.resumed(plan, int(carry.pop("top")), carry)

    def finish(row: int) -> None:
        first, percent, source = blend.flush(row)
        folder.layers[PROBABILITY].write(first, percent)
        folder.layers[SOURCE].write(first, source)
        folder.commit(row + 1, {**blend.carry, "top": np.array(blend.top), "failures": _pack(failures)})

    across = -(-plan.x.count // plan.block[1])
    total, blocks = plan.shape[0] * plan.shape[1] / 1e6, plan.rows * across
    report(Progress(step, total * row * across / blocks, total, "Mpx"))
    for outcome in executor.run(work, plan.blocks(row)):
        block = outcome.partial.block
        if block.row != row:
            finish(row)
            row = block.row
        blend.merge(outcome.partial)
        failures.update(dict.fromkeys(outcome.failures))
        report(Progress(step, total * (block.index + 1) / blocks, total, "Mpx", note=_note(failures)))
    if row < plan.rows:
        finish(row)
    return tuple(failures)


def _note(failures: dict[Failure, None]) -> str:
    skipped = {failure.scene_id for failure in failures}
    return f"{len(skipped)} scenes skipped" if skipped else ""


def _pack(failures: dict[Failure, None]) -> NDArray[np.uint8]:
    text = json.dumps([[failure.scene_id, failure.reason] for failure in failures])
    return np.frombuffer(text.encode(), np.uint8)


def _unpack(packed: NDArray[np.generic]) -> list[Failure]:
    return [Failure(scene_id, reason) for scene_id, reason in json.loads(packed.tobytes().decode())]
