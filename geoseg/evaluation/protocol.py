"""From labelled images and models to counts of every held-out image: the straight line of an evaluation.

::

    data -> folds -> (train) -> predict the whole image -> GeoTIFFs and exact counts -> result.json, fold by fold

``result.json`` comes last, so that a fold that has one is done; a stopped evaluation goes on with the next, and inside
a fold with the training's own last checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg import __version__
from geoseg.catalog.cards import CARD
from geoseg.catalog.target import TargetClass
from geoseg.core.atomic import atomic_file
from geoseg.core.progress import Progress, Report, silent
from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.errors import BadOptionError, NotTrainableError, OutputExistsError
from geoseg.evaluation.boundary import BoundaryCounts
from geoseg.evaluation.calibration import ProbabilityCounts
from geoseg.evaluation.cost import peak_memory, size_of
from geoseg.evaluation.counts import Confusion
from geoseg.evaluation.folds import (
    Fold,
    LabelFacts,
    by_split,
    check_classes,
    few_shot,
    label_facts,
    leave_one_region_out,
    scored_folds,
)
from geoseg.evaluation.held_out import file_stem, write_held_out
from geoseg.evaluation.plan import DEFAULT_SETTINGS, EvaluationPlan, EvaluationSettings, Protocol
from geoseg.evaluation.predicting import Predicted, predict_pair
from geoseg.evaluation.records import ChipRecord, Costs, FoldRecord, read_fold, write_record
from geoseg.evaluation.runs import Run, resolve_runs
from geoseg.evaluation.train_test_overlap import learned_from
from geoseg.models.inference import Predictor
from geoseg.models.network import resolve_device
from geoseg.products.run_record import installed_versions
from geoseg.training.finetune import RUN, RunSettings, finetune
from geoseg.training.run_state import RunFingerprint

RESULT, TRAINED = "result.json", "trained.json"


@dataclass(frozen=True)
class Task:
    """One fold of one contender.

    Attributes:
        entry: Who.
        fold: On what.
        folder: Where its bundle, masks and result lie.
        fingerprint: Of everything that decides the result, the label's pixels included; images count by id and size.
    """

    run: Run
    fold: Fold
    folder: Path
    fingerprint: str


@dataclass(frozen=True)
class Evaluated:
    """Every fold, done.

    Attributes:
        protocol: Which.
        entries: In the order asked for.
        folds: In that order, and each contender's in the order of its folds.
        out: Folder of the results.
    """

    protocol: Protocol
    runs: tuple[Run, ...]
    folds: tuple[FoldRecord, ...]
    out: Path

    def folder(self, record: FoldRecord) -> Path:
        """Of a fold."""
        return fold_folder(self.out, record.label, record.fold)


def run_folds(
    plan: EvaluationPlan,
    protocol: Protocol,
    out: Path,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> Evaluated:
    """Do every fold that is not done.

    Args:
        plan: Data and models.
        protocol: ``split``, ``loro`` or ``fewshot``.
        out: Folder of the results.
        settings: How the evaluation is carried out.
        report: Called with each step forward.

    Raises:
        OutputExistsError: ``out`` holds folds of another evaluation, and nobody said to replace them.
        BadOptionError: Two contenders of one name.
        NotTrainableError: A fold that nothing can be learned from; before any is trained.
        GeosegError: What else stands in the way.
    """
    resolve_device(settings.device)
    runs = resolve_runs(plan, train=settings.train)
    tasks = _tasks(plan, protocol, runs, out, report)
    _check_apart(tasks)
    finished = [read_fold(task.folder / RESULT) for task in tasks]
    _check_out(tasks, finished, overwrite=settings.overwrite)
    records = []
    for number, (task, known) in enumerate(zip(tasks, finished, strict=True)):
        report(Progress("folds", number, len(tasks), "folds", f"{task.run.label}: {task.fold.name}"))
        if known is not None and known.fingerprint == task.fingerprint:
            # an earlier version did not record what a bundle knew
            records.append(known.model_copy(update={"learned_from": _learned_from(task)}))
            continue
        if number and tasks[number - 1].run.data is not task.run.data:
            tasks[number - 1].run.data.forget_images()
        records.append(_do(task, settings.device, report))
    report(Progress("folds", len(tasks), len(tasks), "folds"))
    return Evaluated(protocol, runs, tuple(records), out)


def fold_folder(out: Path, label: str, fold: str) -> Path:
    """Where a fold's files lie."""
    return out / file_stem(label) / f"fold-{file_stem(fold)}"


def count(pair: Pair, truth: NDArray[np.int16], said: Predicted, files: tuple[str, str]) -> ChipRecord:
    """Exact counts of a held-out image.

    Args:
        pair: Whose.
        truth: Its label, int16 (y, x).
        said: What was predicted, on the same grid.
        files: Names of the mask and of the probability, relative to the fold's folder.
    """
    confusion = Confusion.of(truth, said.mask, 2)
    outline = BoundaryCounts.of(truth, said.mask, classes=2)
    calibration = ProbabilityCounts.of(truth, said.percent)
    return ChipRecord(
        id=pair.id,
        region=pair.region,
        split=pair.split,
        matrix=tuple(tuple(int(each) for each in row) for row in confusion.matrix),
        not_observed=confusion.not_observed,
        no_answer=int(np.count_nonzero(said.no_answer & np.isin(truth, (0, 1)))),
        boundary=(outline.predicted, outline.predicted_near, outline.labelled, outline.labelled_near),
        probability_histogram=tuple(calibration.pixels.tolist()),
        positive_histogram=tuple(calibration.positives.tolist()),
        mask=files[0],
        probability=files[1],
        seconds=round(said.seconds, 4),
        windows=said.windows,
        scene_threshold_info=said.scene_threshold_info,
    )


def _tasks(plan: EvaluationPlan, protocol: Protocol, runs: Sequence[Run], out: Path, report: Report) -> list[Task]:
    """What is to be done, checked as far as it can be before anything is trained."""
    # entries that are shown the same data share its folds, and so the images that are held in memory
    facts_of: dict[int, dict[str, LabelFacts]] = {}
    folds_of: dict[tuple[int, bool], tuple[Fold, ...]] = {}
    tasks = []
    for run in runs:
        key, train = id(run.data), run.recipe is not None
        if key not in facts_of:
            facts_of[key] = label_facts(run.data, report)
        if (key, train) not in folds_of:
            folds_of[key, train] = _folds(plan, protocol, run.data, train=train)
        facts = facts_of[key]
        for fold in folds_of[key, train]:
            check_classes(fold, facts)
            folder = fold_folder(out, run.label, fold.name)
            tasks.append(Task(run, fold, folder, _fingerprint(run, fold, facts)))
    return tasks


def _folds(plan: EvaluationPlan, protocol: Protocol, data: LabelledSet, *, train: bool) -> tuple[Fold, ...]:
    if not train:
        return scored_folds(data, protocol, held_out=plan.held_out, seed=plan.seed)
    if protocol == "split":
        return by_split(data, seed=plan.seed)
    if protocol == "loro":
        return leave_one_region_out(data, held_out=plan.held_out, seed=plan.seed)
    return few_shot(data, plan.shots, plan.repeats, held_out=plan.held_out, seed=plan.seed)


def _fingerprint(run: Run, fold: Fold, facts: dict[str, LabelFacts]) -> str:
    start = run.model.card.sha256 if run.model.folder else ""
    recipe = run.recipe.model_copy(update={"seed": fold.seed}).model_dump(mode="json") if run.recipe else None
    # what a training starts from decides it as much as what is only scored
    told = run.model.folder is not None or run.recipe is None
    card = run.model.card.model_dump(mode="json") if told else None

    def seen(data: LabelledSet | None) -> list[object]:
        pairs = data.pairs if data else ()
        return [(each.id, each.region, each.split, each.weight, each.shape, facts[each.id].sha256) for each in pairs]

    data = run.data
    parts: list[object] = [start, recipe, card, data.bands, data.unit, data.classes, data.meaning.name]
    parts += [seen(fold.training), seen(fold.test)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_apart(tasks: Sequence[Task]) -> None:
    """Refuse two folds in one folder: one would be judged with what the other had learned."""
    first: dict[Path, Task] = {}
    for task in tasks:
        other = first.setdefault(task.folder, task)
        if other is not task:
            raise BadOptionError(
                f"Two models are called {task.run.label}, so that both would write {task.folder}. "
                "Rename one of them in --config."
            )


def _check_out(tasks: Sequence[Task], finished: Sequence[FoldRecord | None], *, overwrite: bool) -> None:
    for task, known in zip(tasks, finished, strict=True):
        other = known is not None and known.fingerprint != task.fingerprint
        if not other:
            other = (task.folder / RESULT).exists() and known is None
        if not other and known is None:
            stamp = _stamp(task.folder)
            other = stamp is not None and stamp["fingerprint"] != task.fingerprint
        if not other:
            continue
        if not overwrite:
            raise _done_otherwise(task.folder)
        shutil.rmtree(task.folder)


def _done_otherwise(folder: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{folder} holds a fold that was done with other data, models or settings. "
        "Choose another --out, or add --overwrite to do it again."
    )


def _do(task: Task, device: str, report: Report) -> FoldRecord:
    run, fold = task.run, task.fold
    notes: list[str] = []
    trained: dict[str, Any] = {}
    if run.recipe is not None:
        trained = _trained(task, device, report)
        notes += trained["notes"]
        predictor = Predictor.of(task.folder, device)
    else:
        predictor = Predictor.of(run.model, device)
    chips, costs = _scored(task, predictor, trained, report)
    record = FoldRecord(
        fingerprint=task.fingerprint,
        label=run.label,
        mode=run.mode,
        model=run.model.name,
        data=run.data.name,
        sensor=run.data.sensor,
        bands=run.data.bands,
        classes=run.data.classes,
        fold=fold.name,
        shots=fold.shots,
        repeat=fold.repeat,
        seed=fold.seed,
        recipe=run.recipe.model_dump(mode="json", exclude_defaults=True) if run.recipe else {},
        trained_on=tuple(pair.id for pair in fold.training.pairs) if fold.training and run.recipe else (),
        learned_from=_learned_from(task),
        threshold_pct=predictor.card.threshold_pct,
        chips=chips,
        costs=costs,
        versions=installed_versions(),
        notes=tuple(notes),
    )
    write_record(task.folder / RESULT, record)
    return record


def _trained(task: Task, device: str, report: Report) -> dict[str, Any]:
    """Train the fold's bundle, or find that it was; go on with a training that was stopped.

    Raises:
        OutputExistsError: Another fold's bundle has come to lie there since the start, as of a second run into ``out``.
    """
    stamp = _stamp(task.folder)
    if stamp is not None and stamp["fingerprint"] != task.fingerprint:
        raise _done_otherwise(task.folder)
    if stamp is not None and stamp.get("seconds") is not None and (task.folder / CARD).is_file():
        return stamp
    run, fold = task.run, task.fold
    assert run.recipe is not None and fold.training is not None
    task.folder.mkdir(parents=True, exist_ok=True)
    _write_stamp(task.folder, {"fingerprint": task.fingerprint})
    recipe = run.recipe.model_copy(update={"seed": fold.seed})

    def told(event: Progress) -> None:
        if event.step != "labels":  # they are held in memory by now
            report(replace(event, note=f"{run.label}: {fold.name}; {event.note}".removesuffix("; ")))

    resume = RunFingerprint.read(task.folder / RUN) is not None
    try:
        done = finetune(
            fold.training, recipe, task.folder, RunSettings(resume=resume, overwrite=not resume, device=device), told
        )
    except NotTrainableError as error:
        raise NotTrainableError(f"Fold {fold.name} of {run.label}: {error}") from None
    stamp = {
        "fingerprint": task.fingerprint,
        "seconds": done.seconds,
        "parameters": done.parameters,
        "trainable": done.trainable,
        "notes": list(done.notes),
    }
    _write_stamp(task.folder, stamp)
    return stamp


def _stamp(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / TRAINED).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "fingerprint" in found else None


def _write_stamp(folder: Path, stamp: dict[str, Any]) -> None:
    with atomic_file(folder / TRAINED) as part:
        part.write_text(json.dumps(stamp), "utf-8")


def _learned_from(task: Task) -> tuple[str, ...]:
    """Held-out images that a bundle knew before this evaluation, whether or not it learns more in it."""
    model = task.run.model
    return learned_from(model.card, (pair.id for pair in task.fold.test.pairs)) if model.folder else ()


def _scored(
    task: Task, predictor: Predictor, trained: dict[str, Any], report: Report
) -> tuple[tuple[ChipRecord, ...], Costs]:
    fold, meaning = task.fold, predictor.card.meaning
    chips, pixels, seconds = [], 0, 0.0
    size = size_of(predictor.load())
    with peak_memory(not predictor.on_cpu) as peak:
        for number, pair in enumerate(fold.test.pairs):
            report(Progress("score", number, len(fold.test.pairs), "images", f"{task.run.label}: {fold.name}"))
            said = predict_pair(predictor, pair)
            files = _written(task, pair, said, meaning)
            _, truth = pair.read()
            chips.append(count(pair, truth, said, files))
            pixels += said.mask.size
            seconds += said.seconds
    report(Progress("score", len(fold.test.pairs), len(fold.test.pairs), "images"))
    costs = Costs(
        parameters=trained.get("parameters", size.parameters),
        trainable=trained.get("trainable"),
        multiply_adds=size.multiply_adds,
        counted_px=size.chip_px,
        scored_px=pixels,
        score_seconds=round(seconds, 4),
        train_seconds=round(trained["seconds"], 2) if trained else None,
        peak_memory=peak.bytes,
        device="cpu" if predictor.on_cpu else "cuda",
    )
    return tuple(chips), costs


def _written(task: Task, pair: Pair, said: Predicted, meaning: TargetClass) -> tuple[str, str]:
    tags = {
        "TIFFTAG_SOFTWARE": f"geoseg {__version__}",
        "GEOSEG_MODEL": task.run.label,
        "GEOSEG_IMAGE": pair.id,
        "GEOSEG_HELD_OUT": task.fold.name,
    }
    if task.run.data.simulated:
        tags["GEOSEG_SIMULATED"] = "yes"
    mask, probability = write_held_out(task.folder, pair, said, meaning, tags)
    return mask.relative_to(task.folder).as_posix(), probability.relative_to(task.folder).as_posix()
