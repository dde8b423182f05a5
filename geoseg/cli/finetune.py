"""``geoseg finetune``: train a network on labelled images."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geoseg.training.finetune import FinetuneResult
    from geoseg.training.plan import TrainingPlan

EPILOG = """
[bold]Examples[/bold]

Polygons drawn in QGIS, over scenes of a catalogue (see geoseg catalog add):

geoseg finetune --labels drawn.gpkg --scene my_catalog --sensor s1 \\
--date 2018-09-21 --out my-model

A plain folder, my-chips/images/NAME.tif and my-chips/masks/NAME.tif
(0 dry, 1 water, -1 unlabelled):

geoseg finetune --data my-chips/ --sensor s1 --bands vv,vh --unit dB

Five images of a known data set:

geoseg finetune --data sen1floods11/ --model unet --shots 5 --out my-model

Continue from a bundle, or train as a plan file says:

geoseg finetune --data my-dataset.yaml --model ./my-model --freeze encoder

geoseg finetune --config train/flood-s1 --out flood-s1

Each run ends with the command that maps with the new bundle.
"""


DATA, NETWORK, TRAINING, COMPUTING, OUTPUT = (
    "Labelled images",
    "Network",
    "Training",
    "Computing",
    "Output",
)
"""Groups of options in ``--help``."""


def finetune(
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set by name, folder of images and masks, or YAML record; repeatable.",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of a data set given by name.", rich_help_panel=DATA)] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Polygons with a class field, as drawn in QGIS (GPKG, GeoJSON, Shapefile).",
            metavar="FILE",
            rich_help_panel=DATA,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Layer of --labels (default: all).", metavar="NAME", rich_help_panel=DATA),
    ] = None,
    class_field: Annotated[
        str, typer.Option(help="Field of --labels that holds the class.", rich_help_panel=DATA)
    ] = "class",
    scene: Annotated[
        list[str] | None,
        typer.Option(help="Catalogue of the scenes under --labels; repeatable.", metavar="CAT", rich_help_panel=DATA),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(help="Acquisition dates that --labels hold for.", metavar="DATE[/DATE]", rich_help_panel=DATA),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(help="Pixel size to read --scene at, metres (default: the sensor's).", rich_help_panel=DATA),
    ] = None,
    sensor: Annotated[
        str | None, typer.Option(help="Sensor of a plain folder, or of --scene.", rich_help_panel=DATA)
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Bands to train on, in order (default: all).", metavar="A,B,C", rich_help_panel=DATA),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Pixel unit of a plain folder: reflectance, dB, unitless.", rich_help_panel=DATA),
    ] = None,
    codes: Annotated[
        str | None,
        typer.Option(
            help="Classes of the mask values of a plain folder, e.g. 0:0,255:1 (-1: unlabelled).",
            metavar="VALUE:CLASS,...",
            rich_help_panel=DATA,
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Validation data, to choose the best weights (default: part of --data).",
            metavar="DATA",
            rich_help_panel=DATA,
        ),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(min=1, help="Train on this many images or tiles, drawn by --seed.", rich_help_panel=DATA),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Network to train, or bundle to continue from (default: a small U-Net).",
            metavar="NAME|FOLDER",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            help="Decoder on a foundation encoder: upernet, fpn, unetr, pixelshuffle, linear.", rich_help_panel=NETWORK
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Random weights for a published encoder.", rich_help_panel=NETWORK),
    ] = False,
    freeze: Annotated[
        str | None,
        typer.Option(
            help="Frozen layers: none, encoder, first:N, all-but-norm.", metavar="PART", rich_help_panel=NETWORK
        ),
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(min=1, help="Rank of LoRA adapters; the encoder is frozen.", rich_help_panel=NETWORK),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file of data and recipe; options win over it.", rich_help_panel=TRAINING),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the labelled area.", rich_help_panel=TRAINING)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps, instead of --epochs.", rich_help_panel=TRAINING)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Chips per step (default 8).", rich_help_panel=TRAINING)
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed (default 0).", rich_help_panel=TRAINING)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any key of the recipe, e.g. augment.offset=1.5; repeatable.",
            metavar="KEY=VALUE",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, 32 or bf16.", rich_help_panel=COMPUTING)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=COMPUTING)] = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="Number of devices, data-parallel.", rich_help_panel=COMPUTING)
    ] = 1,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder (zarr) that caches slow or remote imagery.", rich_help_panel=COMPUTING),
    ] = None,
    out: Annotated[Path, typer.Option(help="Output folder of the bundle.", rich_help_panel=OUTPUT)] = Path("my-model"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run that was stopped in --out.", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in --out.", rich_help_panel=OUTPUT)
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.", rich_help_panel=OUTPUT)
    ] = False,
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, help="More messages.", rich_help_panel=OUTPUT)
    ] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Train a network on labelled images and write a model bundle for geoseg map.

    Labels are masks beside images (--data), or polygons over scenes of a catalogue (--labels with --scene).
    Unlabelled pixels are ignored, never taken as dry. A stopped run resumes with --resume, to the same weights.
    """
    began = time.monotonic()
    from geoseg.cli.progress import progress_bars, set_up_logging
    from geoseg.core.allocator import keep_freed_memory
    from geoseg.training.plan import TrainingPlan, merged, read_plan, settings

    keep_freed_memory()
    set_up_logging(-1 if quiet else verbose)
    plan = read_plan(config) if config else TrainingPlan()
    flags = {
        "model": model,
        "seed": seed,
        "freeze": freeze,
        "lora": lora,
        "epochs": epochs,
        "steps": steps,
        "batch_size": batch_size,
        "precision": precision,
        "from_scratch": from_scratch or None,
        "options": {"decoder": decoder} if decoder else None,
    }
    over = merged({key: value for key, value in flags.items() if value is not None}, settings(set_ or []))
    told: dict[str, Any] = {
        "root": root,
        "sensor": sensor,
        "unit": unit,
        "bands": bands,
        "codes": codes,
        "date": date,
        "class_field": class_field,
        "layer": layer,
        "resolution_m": resolution,
    }
    plan = _with_flags(plan, data or [], labels, scene or [], validation, told, shots)
    with progress_bars(quiet=quiet or json_) as report:
        from geoseg.training.finetune import RunSettings, run_plan

        how = RunSettings(resume=resume, overwrite=overwrite, device=device, devices=devices, cache=cache)
        done = run_plan(plan, over, out, how, report)
    if json_:
        typer.echo(json.dumps(_record(done, time.monotonic() - began), indent=2))
    elif not quiet:
        _say(done, time.monotonic() - began)


def _with_flags(
    plan: TrainingPlan,
    data: list[str],
    labels: str | None,
    scenes: list[str],
    validation: str | None,
    told: dict[str, Any],
    shots: int | None,
) -> TrainingPlan:
    """The plan with the sources that the command line names in place of its own."""
    from geoseg.errors import BadOptionError
    from geoseg.training.plan import source_of

    read = tuple(told["bands"].split(",")) if told["bands"] else None
    plain = {"root": told["root"], "sensor": told["sensor"], "unit": told["unit"]}
    if codes := told["codes"]:
        from geoseg.datasets.label_codes import parse_codes

        plain["codes"] = parse_codes(codes)
    if not labels and (told["sensor"] or told["unit"]):
        plain["bands"] = read
    sources = [source_of(data=each, **plain) for each in data]
    if labels:
        drawn = {key: told[key] for key in ("date", "class_field", "layer", "sensor", "resolution_m")}
        sources.append(source_of(labels=labels, scenes=tuple(scenes), **drawn))
    elif layer := told["layer"]:
        raise BadOptionError(f"--layer {layer} is a layer of --labels, which is not given.")
    elif told["resolution_m"]:
        raise BadOptionError("--resolution is of --labels on --scene: the images of --data keep their own pixels.")
    changes: dict[str, Any] = {}
    if sources:
        changes["sources"] = tuple(sources)
    if validation:
        changes["validation"] = (source_of(data=validation, **plain),)
    if read:
        changes["bands"] = read
    if shots:
        changes["shots"] = shots
    return plan.model_copy(update=changes)


def _record(done: FinetuneResult, seconds: float) -> dict[str, Any]:
    """What ``--json`` tells; ``seconds`` is the whole command's."""
    run = done.card.training
    return {
        "bundle": str(done.folder),
        "card": done.card.model_dump(mode="json", exclude_defaults=True),
        "on_training": run.on_training.model_dump(mode="json") if run and run.on_training else None,
        "parameters": done.parameters,
        "trainable": done.trainable,
        "seconds": round(done.seconds, 1),
        "seconds_in_all": round(seconds, 1),
        "history": list(done.history),
        "notes": list(done.notes),
        "map": done.try_it,
    }


def _say(done: FinetuneResult, seconds: float) -> None:
    """What a person is told at the end; ``seconds`` is the whole command's."""
    card, run = done.card, done.card.training
    typer.echo(f"{done.folder}: {_millions(done.parameters)} parameters, {_learned(done)}")
    if run:
        labelled = ", ".join(f"{count:,} px {name}" for name, count in run.labelled_px.items())
        typer.echo(f"Learned from {done.learned_from}: {labelled}.")
    if run and run.on_training:
        what = card.classes[0].capitalize() if len(card.classes) == 1 else "Mean"
        typer.echo(f"{what} IoU on what it learned from: {run.on_training.iou:.2f} (this is no measure of skill)")
    for name, value in card.scores.items():
        typer.echo(f"{name.replace('_', ' ')}: {value:.2f} (it chose these weights, so it flatters them)")
    for note in done.notes:
        typer.echo(f"Note: {note}")
    # of a run that was resumed, the training may be longer than the command
    typer.echo(f"Took {seconds:,.0f} s, start-up included (training alone: {done.seconds:,.0f} s).")
    typer.echo(f"Map with:\n{done.try_it}")


def _millions(count: int) -> str:
    return f"{count / 1e6:,.2f} M" if count >= 1e4 else f"{count:,}"


def _learned(done: FinetuneResult) -> str:
    part = "all" if done.trainable == done.parameters else _millions(done.trainable)
    return f"{part} of them learned"
