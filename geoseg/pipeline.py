"""From a box and a date to a flood mask: the straight line, and the only library file where the rooms meet.

::

    Request -> search -> grid -> imagery -> model -> predict -> reference water -> mask -> products
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg import __version__
from geoseg.core.clock import Clock
from geoseg.core.progress import Report, silent
from geoseg.core.request import Request
from geoseg.errors import BadOptionError, EngineError, GeosegError, OutputError, SceneUnreadableError
from geoseg.inference.job import InferenceJob, ModelInput
from geoseg.inference.layers import ByteLayer
from geoseg.inference.local import LocalExecutor
from geoseg.inference.run import PROBABILITY, SOURCE, predict
from geoseg.inference.threshold import fit_scene_threshold
from geoseg.inference.work_folder import WorkFolder
from geoseg.models.inference import Predictor
from geoseg.products.write import MASK, Finished, check_out, write_products
from geoseg.readers import Failure
from geoseg.resolve import MapPlan, resolve
from geoseg.result import MapResult
from geoseg.water.codes import NOT_OBSERVED, Legend
from geoseg.water.mask import fill_mask
from geoseg.water.observation_dates import early_warning
from geoseg.water.permanent import PermanentWater, either, permanent_water, pre_event_water

if TYPE_CHECKING:
    from geoseg.inference.dask_executor import DaskExecutor


MOST_WORKERS_A_CORE = 4
"""Each worker is a process that holds the model: more of them cost memory and gain nothing."""


@dataclass(frozen=True, slots=True)
class Compute:
    """How a map is computed. Changes speed only, never the answer.

    Attributes:
        workers: Local processes; None: this process alone.
        scheduler: Address of a dask scheduler, instead.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch_size: Chips through the network at once.
    """

    workers: int | None = None
    scheduler: str | None = None
    device: str = "auto"
    batch_size: int = 8

    def __post_init__(self) -> None:
        """Refuse two places at once, and more processes than would ever help.

        Raises:
            BadOptionError: Both ``workers`` and ``scheduler``, an unknown device, or workers far beyond the cores.
        """
        cores = os.cpu_count() or 1
        if self.workers is not None and not 1 <= self.workers <= MOST_WORKERS_A_CORE * cores:
            raise BadOptionError(
                f"--workers is 1..{MOST_WORKERS_A_CORE * cores} on this machine of {cores} cores, not {self.workers}."
            )
        if self.workers and self.scheduler:
            raise BadOptionError("--workers and --scheduler exclude each other: one cluster computes a map.")
        if self.device not in ("auto", "cpu", "cuda"):
            raise BadOptionError(f"--device is auto, cpu or cuda, not {self.device!r}.")

    @contextmanager
    def executor(self) -> Iterator[LocalExecutor | DaskExecutor]:
        """What runs the blocks."""
        if not (self.workers or self.scheduler):
            yield LocalExecutor()
            return
        from geoseg.inference.dask_executor import local_cluster, remote_cluster

        with remote_cluster(self.scheduler) if self.scheduler else local_cluster(self.workers or 1) as cluster:
            yield cluster


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of the model over the grid, finished in its work folder.

    Attributes:
        layers: Probability and source, filled; the mask, not yet.
        predictor: As it was settled for this imagery.
        failures: Scenes that could not be read somewhere.
    """

    layers: dict[str, ByteLayer]
    predictor: Predictor
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Mapper:
    """Shows a model imagery, all over a grid.

    Attributes:
        executor: What runs the blocks.
        sight: What was looked up.
        predictor: The model.
        batch_size: Chips through the network at once.
        out: Folder that the unfinished work lies in.
        report: Told of every step.
    """

    executor: LocalExecutor | DaskExecutor
    map_plan: MapPlan
    predictor: Predictor
    batch_size: int
    out: Path
    report: Report

    def over(self, imagery: ModelInput, stage: str) -> Pass:
        """One pass; carries on where an earlier run of the same was stopped.

        Raises:
            SceneUnreadableError: Not one of the scenes could be read.
        """
        known = self.predictor.with_acquisition(
            gsd_m=self.map_plan.gsd_m, time=imagery.now.scenes[0].time, latlon=self.map_plan.latlon
        )
        with_threshold = fit_scene_threshold(self.executor, imagery, known, self.report)
        plan, shape = self.map_plan.plan, (int(self.map_plan.grid.shape[0]), int(self.map_plan.grid.shape[1]))
        key = digest_of(__version__, self.map_plan.request.record(), with_threshold, plan, imagery)
        folder = WorkFolder.open(self.out, key, shape, (PROBABILITY, SOURCE, MASK), stage=stage)
        work = InferenceJob(plan, imagery, with_threshold, self.batch_size)
        failures = predict(self.executor, work, folder, self.report, stage)
        scenes = {scene.id for cube in imagery.cubes for scene in cube.scenes}
        if scenes <= {failure.scene_id for failure in failures} and is_empty(folder.layers[SOURCE]):
            raise SceneUnreadableError(f"None of the {len(scenes)} scenes could be read. {failures[0].reason}")
        return Pass(folder.layers, with_threshold, failures)


def map_flood(
    request: Request,
    out: Path | str = "flood",
    *,
    compute: Compute | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> MapResult:
    """Map what a request asks for, into a folder of products.

    A run that was stopped carries on where it was when it is started again with the same request.

    Args:
        request: What is wanted.
        out: Folder for the products; made if missing.
        compute: How it is computed; default: in this process.
        overwrite: Replace the products of an earlier run.
        report: Called with each step forward.

    Raises:
        GeosegError: What stands in the way, in one sentence; nothing half-written is left under a final name.
    """
    compute, out, clock = compute or Compute(), Path(out), Clock()
    check_out(out, overwrite=overwrite)
    map_plan = resolve(request, report)
    predictor = Predictor.of(map_plan.model, compute.device, prune=request.prune, precision=request.precision)
    reference = permanent_water(request, map_plan.grid)
    clock.lap("search")
    with tidy(out):
        with compute.executor() as executor:
            mapper = Mapper(executor, map_plan, predictor, compute.batch_size, out, report)
            now = mapper.over(map_plan.imagery, "map")
            before = mapper.over(map_plan.imagery_before, "before") if map_plan.imagery_before else None
        clock.lap("map")
        finished = finish(map_plan, now, before, reference)
        clock.lap("mask")
        result = write_products(finished, out, clock, report)
    WorkFolder.discard(out)
    return result


def finish(map_plan: MapPlan, now: Pass, before: Pass | None, reference: PermanentWater | None) -> Finished:
    """The mask: from the probability, and from what is known of permanent water."""
    threshold_pct = map_plan.card.threshold_pct
    permanent = either(reference, pre_event_water(before.layers[PROBABILITY], threshold_pct) if before else None)
    shares, unknown_reference_px = fill_mask(
        now.layers[MASK],
        (now.layers[PROBABILITY], now.layers[SOURCE]),
        map_plan.grid,
        threshold_pct=threshold_pct,
        known=permanent.on if permanent else None,
        area=json.dumps(map_plan.request.area.geojson),
        blank_outside=map_plan.request.area.polygon is not None,
    )
    failures = (*now.failures, *(before.failures if before else ()), *(reference.failures if reference else ()))
    return Finished(
        map_plan=map_plan,
        predictor=now.predictor,
        layers=now.layers,
        legend=Legend.of(map_plan.card.meaning, has_reference=permanent is not None),
        shares=shares,
        reference=reference.found.scenes if reference else (),
        unknown_reference_px=unknown_reference_px,
        failures=tuple(dict.fromkeys(failures)),
        early=early_warning(now.layers[SOURCE], map_plan.imagery.now.scenes, map_plan.grid, map_plan.request),
    )


@contextmanager
def tidy(out: Path) -> Iterator[None]:
    """Leave no unfinished work behind an error that would come again; keep it where the same command can carry on."""
    existed = out.exists()
    try:
        yield
    except (OutputError, EngineError):
        raise
    except GeosegError:
        WorkFolder.discard(out)
        if not existed and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise


def digest_of(*parts: object) -> str:
    """One digest for everything that decides a map's pixels; files on this machine count by size and time of change."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode())
        if isinstance(part, ModelInput):
            recipes = [recipe for cube in part.cubes for recipe in cube.specs]
            files = {Path(href) for recipe in recipes for href in recipe.hrefs}
            stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files) if path.is_file()]
            digest.update(repr((recipes, stamps)).encode())
    return digest.hexdigest()


def is_empty(layer: ByteLayer) -> bool:
    """Nothing was observed anywhere."""
    return all((block == NOT_OBSERVED).all() for _, block in layer.blocks())
