"""``geoseg evaluate``: train and score models on images that they did not learn from."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

if TYPE_CHECKING:
    from geoseg.evaluation.plan import EvaluationPlan

EPILOG = """
[bold]Examples[/bold]

Leave one region out: a baseline and a network trained for each region:

geoseg evaluate loro --data sen1floods11/ --model otsu,unet \\
--set unet.options.base=16 --steps 300 --out loro

Train on the train split, test on the test split:

geoseg evaluate split --data massachusetts/ \\
--model unetplusplus-efficientnet-b0 --epochs 40

Learn from 2, 5, 10 and 20 images, fine-tuned in three ways:

geoseg evaluate fewshot --data sen1floods11/ --model ./my-model --crop 256 \\
--shots 2,5,10,20 --modes frozen,lora,full

Score a bundle and a baseline on your own chips, without training:

geoseg evaluate loro --data my-chips/ --model ./my-model,otsu --no-train

Repeat the evaluation of a paper:

geoseg evaluate loro --config papers/floodplanet-loro-sites \\
--data floodplanet/

Run the same command again to resume: finished folds are kept.
Predicted masks are written to OUT/MODEL/fold-REGION/masks.
"""

DATA, FOLDS, MODELS, TRAINING, COMPUTING, OUTPUT = (
    "Labelled images",
    "Folds",
    "Models",
    "Training",
    "Computing",
    "Output",
)
"""Groups of options in ``--help``."""


def evaluate(
    protocol: Annotated[str, typer.Argument(help="split, loro (leave one region out) or fewshot.", metavar="PROTOCOL")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set by name, folder of images and masks, or YAML record; repeatable.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of a data set given by name.", rich_help_panel=DATA)] = None,
    sensor: Annotated[str | None, typer.Option(help="Sensor of a plain folder.", rich_help_panel=DATA)] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Pixel unit of a plain folder: reflectance, dB, unitless.", rich_help_panel=DATA),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Bands to use, in order (default: all).", metavar="A,B,C", rich_help_panel=DATA),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(
            min=16, help="Cut images into squares of this side, in pixels.", metavar="PX", rich_help_panel=DATA
        ),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(
            help="What a region is: region, split or id:REGEX (default: region).",
            metavar="FIELD",
            rich_help_panel=FOLDS,
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(help="Test only on these regions; train on all others.", metavar="A,B,C", rich_help_panel=FOLDS),
    ] = None,
    shots: Annotated[
        str | None,
        typer.Option(help="Few-shot: images to learn from (default: 2,5,10,20).", metavar="N,N", rich_help_panel=FOLDS),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1, help="Few-shot: random draws for each number (default: 3).", metavar="N", rich_help_panel=FOLDS
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Baselines, networks to train, folders of bundles to continue from.",
            metavar="NAME,NAME",
            rich_help_panel=MODELS,
        ),
    ] = None,
    modes: Annotated[
        str | None,
        typer.Option(help="Ways to fine-tune: frozen, lora, full.", metavar="A,B", rich_help_panel=MODELS),
    ] = None,
    no_train: Annotated[
        bool,
        typer.Option(
            "--no-train",
            help="Score bundles and baselines as they are; no images to learn from are needed.",
            rich_help_panel=MODELS,
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of data, models and recipe; options override it. See docs/evaluation.md.",
            metavar="FILE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes over the labelled area.", metavar="N", rich_help_panel=TRAINING),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Optimiser steps, instead of --epochs.", metavar="N", rich_help_panel=TRAINING),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of every random choice (default: 0).", metavar="N", rich_help_panel=TRAINING),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Value of the recipe, or of one model's: MODEL.KEY=VALUE; repeatable.",
            metavar="KEY=VALUE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=COMPUTING)] = "auto",
    out: Annotated[Path, typer.Option(help="Folder of the results.", rich_help_panel=OUTPUT)] = Path("evaluation"),
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Recompute results made with other settings.", rich_help_panel=OUTPUT),
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw figures.", rich_help_panel=OUTPUT)
    ] = True,
    json_: Annotated[
        bool,
        typer.Option("--json", help="One JSON object on stdout, all else on stderr.", rich_help_panel=OUTPUT),
    ] = False,
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, help="More messages.", rich_help_panel=OUTPUT)
    ] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Errors only.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Train and score models on images that they did not learn from.

    loro holds out one region after the other, never single chips. split uses the train and test splits of the data.
    fewshot learns from a few images, drawn several times.

    Writes scores.csv, scores.json, table.md, run.json, figures, and the predicted mask of every test image as GeoTIFF.
    """
    from geoseg.cli.progress import progress_bars, set_up_logging
    from geoseg.errors import BadOptionError

    set_up_logging(-1 if quiet else verbose)
    known = ("split", "loro", "fewshot")
    if protocol not in known:
        raise BadOptionError(f"The protocol is split, loro or fewshot, not {protocol!r}.")
    from geoseg.evaluation.plan import EvaluationPlan, EvaluationSettings, Mode, read_evaluation

    plan = read_evaluation(config) if config else EvaluationPlan()
    told = {"root": root, "sensor": sensor, "unit": unit}
    plan = _with_data(plan, data or [], told, _parts(bands))
    plan = _with_models(plan, _parts(model))
    over: dict[str, Any] = {"epochs": epochs, "steps": steps}
    plan = plan.with_settings({key: value for key, value in over.items() if value is not None}, set_ or [])
    unknown = sorted(set(_parts(modes)) - set(get_args(Mode)))
    if unknown:
        raise BadOptionError(f"--modes are frozen, lora and full, not {unknown[0]!r}.")
    changes = {
        "regions": regions,
        "held_out": _parts(held_out) or None,
        "shots": _counts(shots),
        "repeats": repeats,
        "modes": _parts(modes) or None,
        "crop_px": crop,
        "seed": seed,
    }
    plan = plan.model_copy(update={key: value for key, value in changes.items() if value is not None})
    command = shlex.join(["geoseg", *sys.argv[1:]])
    with progress_bars(quiet=quiet or json_) as report:
        from geoseg.evaluation.evaluate import evaluate as run

        settings = EvaluationSettings(
            train=not no_train, device=device, overwrite=overwrite, figures=figures, command=command
        )
        done = run(plan, protocol, out, settings, report)  # type: ignore[arg-type]
    if json_:
        typer.echo(json.dumps(done.plain(), indent=1))
    elif not quiet:
        typer.echo(done.summary())
        typer.echo(f"{out}: {', '.join(sorted(path.name for path in done.files))}")


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()


def _counts(text: str | None) -> tuple[int, ...] | None:
    from geoseg.errors import BadOptionError

    if text is None:
        return None
    try:
        counts = tuple(int(part) for part in _parts(text))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise BadOptionError(f"--shots is a list of whole numbers of 1 or more, such as 2,5,10, not {text!r}.")
    return counts


def _with_data(plan: EvaluationPlan, data: list[str], told: dict[str, Any], bands: tuple[str, ...]) -> EvaluationPlan:
    from geoseg.training.plan import source_of

    plain = {**told, "bands": bands} if bands and (told["sensor"] or told["unit"]) else told
    changes: dict[str, Any] = {"bands": bands} if bands else {}
    if data:
        changes["sources"] = tuple(source_of(data=each, **plain) for each in data)
    return plan.model_copy(update=changes)


def _with_models(plan: EvaluationPlan, names: tuple[str, ...]) -> EvaluationPlan:
    """Only these; those that a file describes as it does."""
    from geoseg.evaluation.plan import ModelSpec

    if not names:
        return plan
    labels = [Path(name).name if "/" in name else name for name in names]  # a bundle goes by its folder's name
    labels = [name if labels.count(label) > 1 else label for label, name in zip(labels, names, strict=True)]
    models = {label: plan.models.get(name) or ModelSpec(model=name) for label, name in zip(labels, names, strict=True)}
    return plan.model_copy(update={"models": models})
