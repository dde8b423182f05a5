"""``geoseg evaluate``: how good a model is where nobody showed it anything."""

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

geoseg evaluate loro --data sen1floods11/ --model otsu,unet --set unet.options.base=16 --steps 300 --out loro

geoseg evaluate split --data massachusetts/ --model unetplusplus-efficientnet-b0 --epochs 40

geoseg evaluate fewshot --data sen1floods11/ --model my-model --crop 256 --shots 2,5,10,20 --modes frozen,lora,full

geoseg evaluate loro --data my-chips/ --model my-model,otsu --no-train

geoseg evaluate loro --config papers/floodplanet-loro-sites --data floodplanet/

The same command goes on where it was stopped. Every held-out mask lies in OUT/MODEL/fold-REGION/masks.
"""


def evaluate(
    protocol: Annotated[
        str, typer.Argument(help="split, loro (leave one region out) or fewshot.", metavar="split|loro|fewshot")
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set by name, folder of images and masks, or a YAML file describing one; again for several.",
            metavar="DATASET|FOLDER|FILE",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Baselines, networks to train, bundles to go on from.", metavar="NAME|FOLDER[,...]"),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(help="What is left out together: region, split, or id:REGEX.", metavar="FIELD"),
    ] = None,
    held_out: Annotated[
        str | None, typer.Option(help="Hold out only these regions; the others always teach.", metavar="A,B,C")
    ] = None,
    shots: Annotated[str | None, typer.Option(help="Images learned from (default 2,5,10,20).", metavar="K,K")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Draws for each (default 3).")] = None,
    modes: Annotated[str | None, typer.Option(help="Ways to fine-tune: frozen, lora, full.", metavar="A,B")] = None,
    no_train: Annotated[bool, typer.Option("--no-train", help="Score bundles and baselines as they are.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with data, models and recipe; flags win. See docs/evaluation.md.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of a data set that is given by name.")] = None,
    sensor: Annotated[str | None, typer.Option(help="Of a plain folder.")] = None,
    unit: Annotated[str | None, typer.Option(help="Of a plain folder: reflectance, dB or unitless.")] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands to learn from, in order (default: all).", metavar="A,B,C")
    ] = None,
    crop: Annotated[int | None, typer.Option(min=16, help="Cut images into squares of this side first.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random (default 0).")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times every labelled area is seen.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps, in place of --epochs.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Key of the recipe, or of one model's: MODEL.KEY=VALUE.", metavar="KEY=VALUE"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("evaluation"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what was done otherwise.")] = False,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw them.")] = True,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")] = False,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Train and judge models on images they never saw, and leave every held-out mask as a GeoTIFF.

    loro holds out one region after the other, never single chips; split goes by the data's own splits; fewshot learns
    from a handful, drawn several times. Into --out go scores.csv, scores.json, table.md, figures and run.json.
    """
    from geoseg.cli.progress import progress_bars, set_up_logging
    from geoseg.errors import BadOptionError

    set_up_logging(-1 if quiet else verbose)
    known = ("split", "loro", "fewshot")
    if protocol not in known:
        raise BadOptionError(f"The protocol is {', '.join(known)}, not {protocol!r}.")
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
