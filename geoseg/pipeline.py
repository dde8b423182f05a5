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
from geoseg.catalog.sensors import sensor
from geoseg.clock import Clock
from geoseg.engine.here import Here
from geoseg.engine.predict import PROBABILITY, SOURCE, predict
from geoseg.engine.settle import settle
from geoseg.engine.work import Imagery, Work
from geoseg.errors import BadOptionError, EngineError, GeosegError, OutputError, SceneUnreadableError
from geoseg.models.inference import Predictor
from geoseg.permanent import Permanent, either, permanent_water, water_before
from geoseg.products.codes import NOT_OBSERVED, Legend
from geoseg.products.layer import ByteLayer
from geoseg.products.mask import fill_mask
from geoseg.products.work import WorkFolder
from geoseg.progress import Report, silent
from geoseg.readers import Failure
from geoseg.request import Request
from geoseg.result import MapResult
from geoseg.sight import Sight, look
from geoseg.write import MASK, Finished, check_out, write_products

if TYPE_CHECKING:
    from geoseg.engine.cluster import Cluster


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
    def executor(self) -> Iterator[Here | Cluster]:
        """What runs the blocks."""
        if not (self.workers or self.scheduler):
            yield Here()
            return
        from geoseg.engine.cluster import local_cluster, remote_cluster

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

    executor: Here | Cluster
    sight: Sight
    predictor: Predictor
    batch_size: int
    out: Path
    report: Report

    def over(self, imagery: Imagery, stage: str) -> Pass:
        """One pass; carries on where an earlier run of the same was stopped.

        Raises:
            SceneUnreadableError: Not one of the scenes could be read.
        """
        known = self.predictor.seeing(gsd_m=self.sight.gsd_m, time=imagery.now.scenes[0].time, latlon=self.sight.latlon)
        settled = settle(self.executor, imagery, known, self.report)
        plan, shape = self.sight.plan, (int(self.sight.grid.shape[0]), int(self.sight.grid.shape[1]))
        key = digest_of(__version__, self.sight.request.record(), settled, plan, imagery)
        folder = WorkFolder.open(self.out, key, shape, (PROBABILITY, SOURCE, MASK), stage=stage)
        work = Work(plan, imagery, settled, self.batch_size)
        failures = predict(self.executor, work, folder, self.report, stage)
        scenes = {scene.id for cube in imagery.cubes for scene in cube.scenes}
        if scenes <= {failure.scene_id for failure in failures} and is_empty(folder.layers[SOURCE]):
            raise SceneUnreadableError(f"None of the {len(scenes)} scenes could be read. {failures[0].reason}")
        return Pass(folder.layers, settled, failures)


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
    predictor = Predictor.of(
        request.model or sensor(request.sensor).default_model,
        compute.device,
        prune=request.prune,
        precision=request.precision,
    )
    sight = look(request, predictor.card, report)
    reference = permanent_water(request, sight.grid)
    clock.lap("search")
    with tidy(out):
        with compute.executor() as executor:
            mapper = Mapper(executor, sight, predictor, compute.batch_size, out, report)
            now = mapper.over(sight.imagery, "map")
            before = mapper.over(sight.imagery_before, "before") if sight.imagery_before else None
        clock.lap("map")
        finished = finish(sight, now, before, reference)
        clock.lap("mask")
        result = write_products(finished, out, clock, report)
    WorkFolder.discard(out)
    return result


def finish(sight: Sight, now: Pass, before: Pass | None, reference: Permanent | None) -> Finished:
    """The mask: from the probability, and from what is known of permanent water."""
    threshold_pct = sight.card.threshold_pct
    permanent = either(reference, water_before(before.layers[PROBABILITY], threshold_pct) if before else None)
    shares, undecided_px = fill_mask(
        now.layers[MASK],
        (now.layers[PROBABILITY], now.layers[SOURCE]),
        sight.grid,
        threshold_pct=threshold_pct,
        known=permanent.on if permanent else None,
        area=json.dumps(sight.request.area.geojson),
        blank_outside=sight.request.area.polygon is not None,
    )
    failures = (*now.failures, *(before.failures if before else ()), *(reference.failures if reference else ()))
    return Finished(
        sight=sight,
        predictor=now.predictor,
        layers=now.layers,
        legend=Legend.of(sight.card.meaning, has_reference=permanent is not None),
        shares=shares,
        reference=reference.found.scenes if reference else (),
        undecided_px=undecided_px,
        failures=tuple(dict.fromkeys(failures)),
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
        if isinstance(part, Imagery):
            recipes = [recipe for cube in part.cubes for recipe in cube.recipes]
            files = {Path(href) for recipe in recipes for href in recipe.hrefs}
            stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files) if path.is_file()]
            digest.update(repr((recipes, stamps)).encode())
    return digest.hexdigest()


def is_empty(layer: ByteLayer) -> bool:
    """Nothing was observed anywhere."""
    return all((block == NOT_OBSERVED).all() for _, block in layer.blocks())
