"""The products of a finished map, each written whole, the run record last."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg import __version__
from geoseg.core.atomic import writing
from geoseg.core.clock import Clock
from geoseg.core.progress import Progress, Report
from geoseg.core.scene import Scene
from geoseg.errors import OutputExistsError, OutputNotWritableError
from geoseg.inference.layers import ByteLayer
from geoseg.inference.run import PROBABILITY, SOURCE
from geoseg.inference.work_folder import NAME
from geoseg.products.preview import LONGEST_PX, Preview, step_for, write_preview
from geoseg.products.raster import scene_band, write_cogs
from geoseg.products.run_record import LeftOutScene, ModelUsed, RunRecord, SceneUsed, digest, grid_record, write_run
from geoseg.readers import Cube, Failure
from geoseg.resolve import MapPlan
from geoseg.result import MapResult
from geoseg.water.areas import ClassAreas
from geoseg.water.codes import PROBABILITY as PROBABILITY_BAND
from geoseg.water.codes import Legend

if TYPE_CHECKING:
    from geoseg.models.inference import Predictor

MASK = "mask"
FLOOD_TIF, PROBABILITY_TIF, SOURCE_TIF = "flood.tif", "probability.tif", "source.tif"
PREVIEW_PNG, RUN_JSON = "preview.png", "run.json"
LEAST_SEEN_PCT = 50
"""A model that finds less than this of the water that is known to be there is probably blind to the rest as well."""
PRODUCTS = (FLOOD_TIF, PROBABILITY_TIF, SOURCE_TIF, PREVIEW_PNG, RUN_JSON)


@dataclass(frozen=True, slots=True)
class Finished:
    """A map that is computed and not yet written.

    Attributes:
        sight: What was looked up.
        predictor: The model as it was settled for the scene.
        layers: Mask, probability and source, filled.
        legend: What the codes mean.
        shares: What the mask comes to.
        reference: Items of reference water it was compared with.
        undecided_px: Class 1 pixels where the reference says nothing.
        failures: Scenes that could not be read somewhere.
        early: Warning that pixels were observed before the date; None: none was.
    """

    map_plan: MapPlan
    predictor: Predictor
    layers: dict[str, ByteLayer]
    legend: Legend
    shares: ClassAreas
    reference: tuple[Scene, ...]
    unknown_reference_px: int
    failures: tuple[Failure, ...]
    early: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person must know to read the map: that it is older than asked for, what class 1 is, the warnings."""
        early = (self.early,) if self.early else ()
        return (*early, self.legend.sentence, *(warning for warning in self.warnings if warning != self.early))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must know before believing the map, the most important first."""
        notes = [self.early] if self.early else []
        hidden = self.shares.pct(255)
        if not self.shares.total_px:
            notes.append("NOTHING WAS COUNTED: the area holds no pixel's middle. Choose a finer --resolution.")
        elif self.shares.pixels[255] == self.shares.total_px:
            notes.append("NOTHING WAS OBSERVED: every pixel is 255. Widen --window-days, or try another sensor.")
        elif hidden >= 1:
            notes.append(f"{hidden:.0f} % of the area was not observed: the map says nothing there.")
        notes += self.map_plan.caveats
        if alike := self._one_class():
            notes.append(alike)
        scene_threshold_info = self.predictor.scene_threshold_info()
        if scene_threshold_info.get("threshold_from") == "default":
            level = scene_threshold_info["threshold_db"]
            notes.append(f"No part of the scene showed water and land apart: a published {level:g} dB decides instead.")
        seen = self.shares.reference_seen_pct
        if seen is not None and seen < LEAST_SEEN_PCT:
            notes.append(f"Only {seen:.0f} % of the known permanent water was found: do not trust what is called dry.")
        if self.unknown_reference_px:
            share = 100 * self.unknown_reference_px / max(1, self.shares.pixels[1])
            notes.append(f"For {share:.0f} % of the flood the reference water says nothing: some may be permanent.")
        skipped = {failure.scene_id for failure in self.failures}
        if skipped:
            notes.append(
                f"{_count(len(skipped), 'scene')} could not be read, skipped: {', '.join(sorted(skipped)[:3])}."
            )
        if left_out := self.map_plan.left_out:
            first, others = left_out[0], len(left_out) - 1
            more = f", and {others} more: see {RUN_JSON}" if others else ""
            notes.append(f"{_count(len(left_out), 'scene')} left out: {first.id} ({first.reason.rstrip('.')}){more}.")
        return (
            *notes,
            *self.map_plan.notes,
            *(f"{self.map_plan.card.name}: {limit}" for limit in self.map_plan.card.limits[:2]),
        )

    def _one_class(self) -> str | None:
        """A network that gives one class to all it saw may be right, or may have learned nothing: it cannot tell."""
        card, pixels, what = self.map_plan.card, self.shares.pixels, self.map_plan.card.meaning
        dry, found = pixels[0], pixels[1] + pixels[2]
        if card.family == "classical" or bool(dry) == bool(found):
            return None
        said = f"found no {what} anywhere in the observed area" if dry else f"calls all of the observed area {what}"
        return (
            f"{card.name} {said}: either that is so, or the network does not know {what} when it sees it. Compare with "
            "the preview, or with a baseline."
        )


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a place that cannot take the products, before any work is done.

    Raises:
        OutputExistsError: Products are there and nobody said to replace them.
        OutputNotWritableError: A file is in the way, or the folder may not be written.
    """
    if out.exists() and not out.is_dir():
        raise OutputNotWritableError(f"{out} is a file. Choose a folder with --out.")
    there = [name for name in PRODUCTS if (out / name).exists()]
    if there and not overwrite:
        raise OutputExistsError(f"{out} holds {', '.join(there)} already. Choose another --out, or add --overwrite.")
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    # tried, not asked: a read-only disk, a file in the way and root's own rights make any answer worthless
    with writing(out), tempfile.TemporaryFile(dir=nearest):
        pass


def write_products(finished: Finished, out: Path, clock: Clock, report: Report) -> MapResult:
    """Write everything aside, then move it into place: a disk that fills up costs no earlier result.

    Raises:
        OutputNotWritableError: The disk is full, or the folder cannot be written.
    """
    with _staged(out) as part:
        ids = _write_all(finished, part, out, clock, report)
    report(Progress("write", len(PRODUCTS), len(PRODUCTS), "files"))
    return _result(finished, out, ids, clock)


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A folder whose files move to ``out`` when all are written, and vanish when they cannot be.

    The old run record goes first and the new one comes last, so that it never lies; names go before the raster.
    """
    part = out / NAME / "products"
    shutil.rmtree(part, ignore_errors=True)
    try:
        with writing(out):
            part.mkdir(parents=True)
        yield part
        with writing(out):
            (out / RUN_JSON).unlink(missing_ok=True)
            for path in sorted(part.iterdir(), key=lambda path: (path.name == RUN_JSON, path.suffix != ".xml")):
                path.replace(out / path.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_all(finished: Finished, part: Path, out: Path, clock: Clock, report: Report) -> tuple[str, ...]:
    """The products in a folder ``part``, as they will lie in ``out``; gives the ids that ``source.tif`` counts."""
    map_plan, layers, steps = finished.map_plan, finished.layers, len(PRODUCTS)
    ids = tuple(scene.id for scene in map_plan.imagery.now.scenes)
    tags = _tags(finished)
    files = {
        part / FLOOD_TIF: (layers[MASK], finished.legend.band),
        part / PROBABILITY_TIF: (layers[PROBABILITY], PROBABILITY_BAND),
        part / SOURCE_TIF: (layers[SOURCE], scene_band(ids)),
    }
    standing = count(1)

    def stands(path: Path) -> None:
        report(Progress("write", next(standing), steps, "files", path.name))

    report(Progress("write", 0, steps, "files"))
    with ThreadPoolExecutor(1, "aside") as aside:  # beside the compression, which keeps no core busy to the end
        drawn = aside.submit(lambda: write_preview(part / PREVIEW_PNG, _preview(finished)))
        inputs = aside.submit(_inputs, finished)
        write_cogs(files, map_plan.grid, tags, done=stands)
        stands(drawn.result())
        scenes = inputs.result()
    outputs = {Path(name).stem: name for name in PRODUCTS if name != RUN_JSON}
    digests = {key: digest(part / name) for key, name in outputs.items()}
    clock.lap("write")
    files_said = {"scenes": scenes, "outputs": outputs, "sha256": digests}
    write_run(part / RUN_JSON, _record(finished, out, clock, files_said))
    return ids


def _tags(finished: Finished) -> dict[str, str]:
    tags = {
        "TIFFTAG_SOFTWARE": f"geoseg {__version__}",
        "TIFFTAG_IMAGEDESCRIPTION": finished.legend.sentence,
        "GEOSEG_DATE": str(finished.map_plan.request.dates),
        "GEOSEG_MODEL": finished.map_plan.card.name,
    }
    return {**tags, "GEOSEG_SIMULATED": "yes"} if finished.map_plan.simulated else tags


def _preview(finished: Finished) -> Preview:
    map_plan = finished.map_plan
    step = step_for(finished.layers[MASK].shape)
    cube = map_plan.display
    pixels = cube.thumbnail(LONGEST_PX).pixels.values
    scenes = cube.scenes
    days = sorted({scene.time.strftime("%Y-%m-%d") for scene in scenes})
    taken = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return Preview(
        codes=finished.layers[MASK].thinned(step),
        imagery=pixels if len(pixels) == 3 else pixels[0],
        geobox=map_plan.grid,
        legend=finished.legend,
        shares=finished.shares,
        title=f"{finished.legend.target.title} on {map_plan.request.dates}",
        caption=f"{map_plan.sensor.title}, {taken}, {_count(len(scenes), 'scene')}; model {map_plan.card.name}",
        imagery_title=", ".join(cube.bands) + (f" ({map_plan.sensor.unit})" if len(cube.bands) == 1 else ""),
        notes=finished.warnings,
        simulated=map_plan.simulated,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _inputs(finished: Finished) -> tuple[SceneUsed, ...]:
    """What the map was made from, with the digests of local files."""
    map_plan = finished.map_plan
    before = map_plan.imagery.before or (map_plan.imagery_before.now if map_plan.imagery_before else None)
    return (
        *_used(map_plan.imagery.now, "input"),
        *(_used(before, "before") if before else ()),
        *(_scene(scene, "reference") for scene in finished.reference),
    )


def _record(finished: Finished, out: Path, clock: Clock, files: Mapping[str, Any]) -> RunRecord:
    """The run record; ``files`` is what it says of the scenes and of the products."""
    map_plan, card = finished.map_plan, finished.map_plan.card
    return RunRecord(
        simulated=map_plan.simulated,
        command=map_plan.anywhere.command(out=out.absolute()),
        request=map_plan.request.record(),
        class_1=finished.legend.target,
        grid=grid_record(map_plan.grid),
        left_out=tuple(LeftOutScene(id=each.id, reason=each.reason) for each in map_plan.left_out),
        failures=tuple(LeftOutScene(id=each.scene_id, reason=each.reason) for each in finished.failures),
        model=ModelUsed(
            name=card.name,
            card=card.model_dump(mode="json"),
            sha256=card.sha256,
            scene_threshold_info=finished.predictor.scene_threshold_info(),
        ),
        threshold_pct=card.threshold_pct,
        shares=finished.shares.record(finished.legend),
        notes=finished.notes,
        seconds=clock.seconds,
        started=datetime.fromtimestamp(clock.started, UTC).isoformat(timespec="seconds"),
        **files,
    )


def _used(cube: Cube, role: str) -> Iterable[SceneUsed]:
    for code, (scene, spec) in enumerate(zip(cube.scenes, cube.specs, strict=True)):
        hrefs = {band.name: band.href for band in spec.bands}
        files = {name: Path(href) for name, href in hrefs.items() if Path(href).is_file()}
        digests = {path: digest(path) for path in set(files.values())}
        extra = {"hrefs": hrefs, "sha256": {name: digests[path] for name, path in files.items()}}
        yield _scene(scene, role, code=code if role == "input" else None, **extra)


def _scene(scene: Scene, role: str, **extra: object) -> SceneUsed:
    return SceneUsed.model_validate(
        {
            "id": scene.id,
            "collection": scene.collection,
            "role": role,
            "time": scene.time.isoformat(),
            "platform": scene.platform,
            "cloud_pct": scene.cloud_pct,
            **extra,
        }
    )


def _result(finished: Finished, out: Path, ids: tuple[str, ...], clock: Clock) -> MapResult:
    shares = finished.shares.record(finished.legend)
    return MapResult(
        request=finished.map_plan.request,
        out=out,
        flood=out / FLOOD_TIF,
        probability=out / PROBABILITY_TIF,
        source=out / SOURCE_TIF,
        preview=out / PREVIEW_PNG,
        run=out / RUN_JSON,
        meaning=finished.legend.target.name,
        shares_pct=shares["pct"],
        area_km2=shares["km2"],
        scenes=ids,
        failures=finished.failures,
        notes=finished.notes,
        left_out=finished.map_plan.left_out,
        seconds=clock.seconds,
        cube=finished.map_plan.imagery.now,
    )
