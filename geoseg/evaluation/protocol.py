"""Run an evaluation: train and score each model in each fold, and count every test image exactly.

::

    data -> folds -> (train) -> predict the whole image -> GeoTIFFs and exact counts -> result.json, fold by fold

``result.json`` is written last, so a fold that has one is finished. A stopped evaluation resumes with the next fold,
and within a fold from the last checkpoint of its training.
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
    """One fold of one run.

    Attributes:
        run: Model, mode and data.
        fold: Training and test images.
        folder: Folder of its bundle, masks and result.
        fingerprint: SHA-256 of everything that affects the result, label pixels included; images by id and size.
    """

    run: Run
    fold: Fold
    folder: Path
    fingerprint: str


@dataclass(frozen=True)
class Evaluated:
    """Results of every fold.

    Attributes:
        protocol: ``split``, ``loro`` or ``fewshot``.
        runs: Models in the order of the plan.
        folds: Results in the order of ``runs``, those of a run in the order of its folds.
        out: Folder of the results.
    """

    protocol: Protocol
    runs: tuple[Run, ...]
    folds: tuple[FoldRecord, ...]
    out: Path

    def folder(self, record: FoldRecord) -> Path:
        """Return the folder of a fold."""
        return fold_folder(self.out, record.label, record.fold)


def run_folds(
    plan: EvaluationPlan,
    protocol: Protocol,
    out: Path,
    settings: EvaluationSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> Evaluated:
    """Run every fold that is not finished.

    Args:
        plan: Data and models.
        protocol: ``split``, ``loro`` or ``fewshot``.
        out: Folder of the results.
        settings: How the evaluation is carried out.
        report: Called with each step forward.

    Raises:
        OutputExistsError: ``out`` holds folds of another evaluation, and ``overwrite`` is not set.
        BadOptionError: Two models have the same name.
        NotTrainableError: A fold lacks images or classes to learn from; raised before any fold is trained.
        GeosegError: The data or a model cannot be used.
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
            # results of an earlier version lack learned_from
            records.append(known.model_copy(update={"learned_from": _learned_from(task)}))
            continue
        if number and tasks[number - 1].run.data is not task.run.data:
            tasks[number - 1].run.data.forget_images()
        records.append(_do(task, settings.device, report))
    report(Progress("folds", len(tasks), len(tasks), "folds"))
    return Evaluated(protocol, runs, tuple(records), out)


def fold_folder(out: Path, label: str, fold: str) -> Path:
    """Return the folder of a fold's files."""
    return out / file_stem(label) / f"fold-{file_stem(fold)}"


def count(pair: Pair, truth: NDArray[np.int16], predicted: Predicted, files: tuple[str, str]) -> ChipRecord:
    """Count the pixels of a test image exactly.

    Args:
        pair: The image.
        truth: Its label, int16 (y, x).
        predicted: The prediction, on the same grid.
        files: Names of the mask and of the probability, relative to the fold's folder.
    """
    confusion = Confusion.of(truth, predicted.mask, 2)
    outline = BoundaryCounts.of(truth, predicted.mask, classes=2)
    calibration = ProbabilityCounts.of(truth, predicted.percent)
    return ChipRecord(
        id=pair.id,
        region=pair.region,
        split=pair.split,
        matrix=tuple(tuple(int(each) for each in row) for row in confusion.matrix),
        not_observed=confusion.not_observed,
        no_answer=int(np.count_nonzero(predicted.no_answer & np.isin(truth, (0, 1)))),
        boundary=(outline.predicted, outline.predicted_near, outline.labelled, outline.labelled_near),
        probability_histogram=tuple(calibration.pixels.tolist()),
        positive_histogram=tuple(calibration.positives.tolist()),
        mask=files[0],
        probability=files[1],
        seconds=round(predicted.seconds, 4),
        windows=predicted.windows,
        scene_threshold_info=predicted.scene_threshold_info,
    )


def _tasks(plan: EvaluationPlan, protocol: Protocol, runs: Sequence[Run], out: Path, report: Report) -> list[Task]:
    """List the folds of every run, checked as far as possible before anything is trained."""
    # runs on the same data share its folds, and so the images in memory
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
    # the card affects the result of a bundle that is trained further as well as of one that is only scored
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
    """Refuse two folds in one folder: one would be scored with the weights of the other."""
    first: dict[Path, Task] = {}
    for task in tasks:
        other = first.setdefault(task.folder, task)
        if other is not task:
            raise BadOptionError(
                f"Two models are called {task.run.label}, so both would write to {task.folder}. "
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
            raise _other_results(task.folder)
        shutil.rmtree(task.folder)


def _other_results(folder: Path) -> OutputExistsError:
    return OutputExistsError(
        f"{folder} holds a fold done with other data, models or settings. "
        "Choose another --out, or add --overwrite to recompute them."
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
    """Train the bundle of a fold, resume a training that was stopped, or reuse a finished one.

    Raises:
        OutputExistsError: A second process has written another fold's bundle into the folder.
    """
    stamp = _stamp(task.folder)
    if stamp is not None and stamp["fingerprint"] != task.fingerprint:
        raise _other_results(task.folder)
    if stamp is not None and stamp.get("seconds") is not None and (task.folder / CARD).is_file():
        return stamp
    run, fold = task.run, task.fold
    assert run.recipe is not None and fold.training is not None
    task.folder.mkdir(parents=True, exist_ok=True)
    _write_stamp(task.folder, {"fingerprint": task.fingerprint})
    recipe = run.recipe.model_copy(update={"seed": fold.seed})

    def labelled_report(event: Progress) -> None:
        if event.step != "labels":  # labels are in memory by now
            report(replace(event, note=f"{run.label}: {fold.name}; {event.note}".removesuffix("; ")))

    resume = RunFingerprint.read(task.folder / RUN) is not None
    try:
        done = finetune(
            fold.training,
            recipe,
            task.folder,
            RunSettings(resume=resume, overwrite=not resume, device=device),
            labelled_report,
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
    """Test images that the bundle had learned from before this evaluation, whether or not it is trained further."""
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
            predicted = predict_pair(predictor, pair)
            files = _write(task, pair, predicted, meaning)
            _, truth = pair.read()
            chips.append(count(pair, truth, predicted, files))
            pixels += predicted.mask.size
            seconds += predicted.seconds
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


def _write(task: Task, pair: Pair, predicted: Predicted, meaning: TargetClass) -> tuple[str, str]:
    tags = {
        "TIFFTAG_SOFTWARE": f"geoseg {__version__}",
        "GEOSEG_MODEL": task.run.label,
        "GEOSEG_IMAGE": pair.id,
        "GEOSEG_HELD_OUT": task.fold.name,
    }
    if task.run.data.simulated:
        tags["GEOSEG_SIMULATED"] = "yes"
    mask, probability = write_held_out(task.folder, pair, predicted, meaning, tags)
    return mask.relative_to(task.folder).as_posix(), probability.relative_to(task.folder).as_posix()
