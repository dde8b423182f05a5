"""From a box and a date to a flood mask: the straight line, and the only library file where the rooms meet.

::

    Request -> resolve -> MapPlan -> acquire -> MapInputs -> infer -> layers -> classify -> MapData -> write
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg import __version__
from geoseg.acquire import MapInputs, acquire
from geoseg.core.clock import Clock
from geoseg.core.lock import run_lock
from geoseg.core.progress import Report, silent
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.core.request import Request
from geoseg.core.scene import Scene
from geoseg.errors import BadOptionError, EngineError, GeosegError, OutputError, SceneUnreadableError
from geoseg.inference.job import InferenceJob, ModelInput
from geoseg.inference.layers import ByteLayer
from geoseg.inference.local import LocalExecutor
from geoseg.inference.run import PROBABILITY, SOURCE, predict
from geoseg.inference.threshold import fit_scene_threshold
from geoseg.inference.work_folder import WorkFolder
from geoseg.models.inference import Predictor
from geoseg.products.map_data import MapData, MapLayers, ModelUsed, Provenance, Role, SceneUsed
from geoseg.products.write import check_out, write_products
from geoseg.readers import Cube, Failure
from geoseg.readers.read_spec import BandReadSpec
from geoseg.resolve import resolution_note, resolve, with_absolute_paths
from geoseg.result import MapResult
from geoseg.water.codes import Legend
from geoseg.water.mask import AreaOfInterest, MaskRule, fill_mask
from geoseg.water.observation_dates import early_warning
from geoseg.water.permanent import pre_event_water, union
from geoseg.water.warnings import MapFindings, observation_warnings, result_warnings

if TYPE_CHECKING:
    from geoseg.inference.dask_executor import DaskExecutor


MASK = "mask"

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
class InferenceResult:
    """One pass of the model over the grid, finished in its work folder.

    Attributes:
        layers: Probability and source, filled; the mask, not yet.
        predictor: With the threshold that was chosen for this imagery.
        failed: Scenes that could not be read somewhere.
    """

    layers: MapLayers
    predictor: Predictor
    failed: tuple[Failure, ...]


def map_flood(
    request: Request,
    out: Path | str = "flood",
    *,
    compute: Compute | None = None,
    overwrite: bool = False,
    report: Report = silent,
) -> MapResult:
    """Map what a request asks for, into a folder of products.

    A run that was stopped resumes when it is started again with the same request.

    Args:
        request: What is wanted.
        out: Folder for the products; made if missing.
        compute: How it is computed; default: in this process.
        overwrite: Replace the products of an earlier run.
        report: Called with each step forward.

    Raises:
        GeosegError: What stands in the way, in one sentence; nothing half-written is left under a final name.
    """
    compute, run = compute or Compute(), RunFolder(Path(out), Clock())
    check_out(run.out, overwrite=overwrite)
    with run_lock(run.out):
        check_out(run.out, overwrite=overwrite)  # another run may just have finished
        plan = resolve(request, report)
        predictor = Predictor.of(plan.model, compute.device, prune=request.prune, precision=request.precision)
        inputs = acquire(plan, report)
        run.clock.lap("search")
        with cleanup_on_error(run.out):
            event, pre_event = infer(inputs, predictor, compute, run.out, report)
            run.clock.lap("map")
            data = classify(inputs, event, pre_event, run)
            run.clock.lap("mask")
            record = write_products(data, run.out, report)
        WorkFolder.discard(run.out)
    return MapResult(run.out, record, inputs.event.image)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run writes, and how long its steps took."""

    out: Path
    clock: Clock


def infer(
    inputs: MapInputs, predictor: Predictor, compute: Compute, out: Path, report: Report
) -> tuple[InferenceResult, InferenceResult | None]:
    """Run the model over the event, and over the time before it where that is wanted.

    Raises:
        SceneUnreadableError: Not one of the scenes could be read.
    """
    with compute.executor() as executor:

        def run(imagery: ModelInput[Cube], stage: str) -> InferenceResult:
            """One pass; resumes where an earlier run of the same was stopped."""
            plan, grid = inputs.plan, inputs.plan.grid
            known = predictor.with_acquisition(
                gsd_m=plan.gsd_m, time=imagery.image.scenes[0].time, latlon=plan.request.area.middle_latlon
            )
            chosen = fit_scene_threshold(executor, imagery, known, report)
            key = work_key(__version__, plan.request.record(), chosen, inputs.windows, imagery)
            shape = (int(grid.shape[0]), int(grid.shape[1]))
            folder = WorkFolder.open(out, key, shape, (PROBABILITY, SOURCE, MASK), stage=stage)
            job = InferenceJob(inputs.windows, imagery, chosen, compute.batch_size)
            failed = predict(executor, job, folder, report, stage)
            layers = MapLayers(folder.layers[MASK], folder.layers[PROBABILITY], folder.layers[SOURCE])
            _check_read(imagery, failed, layers.source)
            return InferenceResult(layers, chosen, failed)

        event = run(inputs.event, "map")
        return event, run(inputs.pre_event, "before") if inputs.pre_event else None


def classify(inputs: MapInputs, event: InferenceResult, pre_event: InferenceResult | None, run: RunFolder) -> MapData:
    """Fill the mask from the probability and from what is known of permanent water, and measure it."""
    plan, reference, layers = inputs.plan, inputs.reference, event.layers
    request, card = plan.request, plan.card
    before = pre_event_water(pre_event.layers.probability, card.threshold_pct) if pre_event else None
    permanent = union(reference, before)
    area = AreaOfInterest(json.dumps(request.area.geojson), blank_outside=request.area.polygon is not None)
    summary = fill_mask(
        layers.mask,
        (layers.probability, layers.source),
        plan.grid,
        area,
        MaskRule(card.threshold_pct, permanent.read if permanent else None),
    )
    failed = dict.fromkeys((*event.failed, *(pre_event.failed if pre_event else ())))
    failed |= reference.failures if reference else {}
    areas, gap = summary.areas, permanent.gap if permanent else ""
    legend = Legend.of(card.meaning, has_reference=summary.reference_px > 0)
    info = event.predictor.scene_threshold_info()
    findings = MapFindings(card, summary, gap, info, tuple(failed), plan.rejected)
    early = early_warning(layers.source, inputs.event.image.scenes, plan.grid, request)
    warnings = [*observation_warnings(areas), *plan.warnings, *result_warnings(findings), *imagery_notes(inputs)]
    return MapData(
        grid=plan.grid,
        layers=layers,
        legend=legend,
        areas=areas,
        dates=request.dates,
        sensor=plan.sensor,
        display=inputs.display,
        scenes=scenes_used(inputs),
        rejected=plan.rejected,
        failed=tuple(failed),
        notes=(*([early] if early else []), legend.sentence, *dict.fromkeys(warnings)),
        limits=tuple(f"{card.name}: {limit}" for limit in card.limits[:2]),
        simulated=inputs.is_simulated,
        provenance=Provenance(
            command=with_absolute_paths(request, plan.model).command(out=run.out.absolute()),
            request=request.record(),
            model=ModelUsed(
                name=card.name, card=card.model_dump(mode="json"), sha256=card.sha256, scene_threshold_info=info
            ),
            threshold_pct=card.threshold_pct,
            clock=run.clock,
        ),
    )


def imagery_notes(inputs: MapInputs) -> tuple[str, ...]:
    """What a person should know about the imagery, and about the grid."""
    notes = [*inputs.notes]
    if (note := resolution_note(inputs.plan)) is not None:
        notes.append(note)
    if inputs.is_simulated:
        notes.append("The imagery is simulated: this flood never happened.")
    return tuple(notes)


def scenes_used(inputs: MapInputs) -> tuple[SceneUsed, ...]:
    """List what the map is made from: scenes of the event, of the time before it, and reference water."""
    before = inputs.event.pre_event or (inputs.pre_event.image if inputs.pre_event else None)
    reference = inputs.reference.found.scenes if inputs.reference else ()
    return (
        *_of_cube(inputs.event.image, "input"),
        *(_of_cube(before, "before") if before else ()),
        *(_scene_used(scene, "reference") for scene in reference),
    )


def _of_cube(cube: Cube, role: Role) -> Iterator[SceneUsed]:
    for code, (scene, spec) in enumerate(zip(cube.scenes, cube.specs, strict=True)):
        yield _scene_used(scene, role, spec.bands, code if role == "input" else None)


def _scene_used(scene: Scene, role: Role, bands: Sequence[BandReadSpec] = (), code: int | None = None) -> SceneUsed:
    return SceneUsed(
        id=scene.id,
        collection=scene.collection,
        role=role,
        time=scene.time.isoformat(),
        platform=scene.platform,
        cloud_pct=scene.cloud_pct,
        hrefs={band.name: band.href for band in bands},
        code=code,
    )


def _check_read(imagery: ModelInput[Cube], failed: tuple[Failure, ...], source: ByteLayer) -> None:
    scenes = {scene.id for cube in imagery.images for scene in cube.scenes}
    if scenes <= {failure.scene_id for failure in failed} and _is_empty(source):
        raise SceneUnreadableError(f"None of the {len(scenes)} scenes could be read. {failed[0].reason}")


@contextmanager
def cleanup_on_error(out: Path) -> Iterator[None]:
    """Delete the work folder after a permanent error; keep it after I/O or cluster errors, so that a rerun resumes."""
    try:
        yield
    except (OutputError, EngineError):
        raise
    except GeosegError:
        WorkFolder.discard(out)
        raise


def work_key(*parts: object) -> str:
    """Compute the SHA-256 of everything that affects the pixels; local files count by size and time of change."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode())
        if isinstance(part, ModelInput):
            recipes = [recipe for cube in part.images for recipe in cube.specs]
            files = {Path(href) for recipe in recipes for href in recipe.hrefs}
            stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files) if path.is_file()]
            digest.update(repr((recipes, stamps)).encode())
    return digest.hexdigest()


def _is_empty(layer: ByteLayer) -> bool:
    """Nothing was observed anywhere."""
    return all((block == NOT_OBSERVED).all() for _, block in layer.blocks())
