"""``geoseg finetune``: a model of one's own from a handful of labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geoseg.training.finetune import Trained
    from geoseg.training.plan import Plan

EPILOG = """
[bold]Examples[/bold]

geoseg finetune --data sen1floods11/ --model unet --set options.base=16 --shots 5 --out my-model

geoseg finetune --labels drawn.gpkg --scene my_catalog --sensor s1 --out my-model

geoseg finetune --data my-chips/ --model my-model --freeze encoder --steps 100 --out better

geoseg finetune --config train/flood-s1 --out flood-s1

Then: geoseg map --model my-model --sensor s1 --bbox ... --date ...
"""


def finetune(
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set by name, folder of images and masks, or a YAML file describing one; again for several.",
            metavar="DATASET|FOLDER|FILE",
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Polygons with a class field, as drawn in QGIS (GPKG, GeoJSON, Shapefile).")
    ] = None,
    scene: Annotated[
        list[str] | None,
        typer.Option(help="Catalogue that shows what --labels lie in; again for several.", metavar="CATALOG"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Network to train, or a bundle to go on from (default: a small U-Net).", metavar="NAME|FOLDER"
        ),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(help="On a foundation encoder: upernet, fpn, unetr, pixelshuffle or linear (default: its own)."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with sources and recipe; flags win. See docs/training.md.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="Data that choose among the weights (default: part of --data).", metavar="DATA")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of a data set that is given by name.")] = None,
    sensor: Annotated[str | None, typer.Option(help="Of a plain folder, or of the scenes.")] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands to learn from, in order (default: all).", metavar="A,B,C")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Of a plain folder: reflectance, dB or unitless.")] = None,
    date: Annotated[str | None, typer.Option(help="Dates that --labels hold for.", metavar="YYYY-MM-DD[/...]")] = None,
    class_field: Annotated[str, typer.Option(help="Field of --labels that holds the class.")] = "class",
    shots: Annotated[int | None, typer.Option(min=1, help="Use only so many images, drawn by --seed.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random (default 0).")] = None,
    freeze: Annotated[
        str | None,
        typer.Option(help="What does not learn: none, encoder, first:N or all-but-norm.", metavar="PART"),
    ] = None,
    lora: Annotated[int | None, typer.Option(min=1, help="Adapters of this rank learn, not the encoder.")] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start a published encoder with random weights.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times every labelled area is seen.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps, in place of --epochs.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Chips a step (default 8).")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, 32 or bf16.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any key of the recipe, as augment.offset=1.5; again for more.", metavar="KEY=VALUE"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many of them, data-parallel.")] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Folder (zarr) that keeps what was read, for slow or remote imagery.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("my-model"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that was stopped in --out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in --out.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")] = False,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Train a network on labelled images, and leave a bundle that maps: geoseg map --model FOLDER.

    Labels are images with masks, or polygons over scenes. What nobody labelled is unlabelled, never dry. A run that was
    stopped goes on with --resume, to the same numbers. The bundle's card tells what it learned from, and how well.
    """
    from geoseg.allocator import keep_freed_memory
    from geoseg.cli.draw import progress_bars, set_up_logging
    from geoseg.training.plan import Plan, merged, read_plan, settings

    keep_freed_memory()
    set_up_logging(-1 if quiet else verbose)
    plan = read_plan(config) if config else Plan()
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
    told = {"root": root, "sensor": sensor, "unit": unit, "bands": bands, "date": date, "class_field": class_field}
    plan = _with_flags(plan, data or [], labels, scene or [], validation, told, shots)
    with progress_bars(quiet=quiet or json_) as report:
        from geoseg.training.run import run_plan

        done = run_plan(
            plan,
            over,
            out,
            resume=resume,
            overwrite=overwrite,
            device=device,
            devices=devices,
            cache=cache,
            report=report,
        )
    if json_:
        typer.echo(json.dumps(_record(done), indent=2))
    elif not quiet:
        _say(done)


def _with_flags(
    plan: Plan,
    data: list[str],
    labels: Path | None,
    scenes: list[str],
    validation: str | None,
    told: dict[str, Any],
    shots: int | None,
) -> Plan:
    """The plan with the sources that the command line names in place of its own."""
    from geoseg.training.plan import source_of

    read = tuple(told["bands"].split(",")) if told["bands"] else None
    plain = {"root": told["root"], "sensor": told["sensor"], "unit": told["unit"]}
    if not labels and (told["sensor"] or told["unit"]):
        plain["bands"] = read
    sources = [source_of(data=each, **plain) for each in data]
    if labels:
        drawn = {"date": told["date"], "class_field": told["class_field"], "sensor": told["sensor"]}
        sources.append(source_of(labels=labels, scenes=tuple(scenes), **drawn))
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


def _record(done: Trained) -> dict[str, Any]:
    return {
        "bundle": str(done.folder),
        "card": done.card.model_dump(mode="json", exclude_defaults=True),
        "parameters": done.parameters,
        "trainable": done.trainable,
        "seconds": round(done.seconds, 1),
        "history": list(done.history),
        "notes": list(done.notes),
    }


def _say(done: Trained) -> None:
    card = done.card
    typer.echo(f"{done.folder}: {done.parameters / 1e6:,.2f} M numbers, {done.trainable / 1e6:,.2f} M learned")
    for name, value in card.scores.items():
        typer.echo(f"{name.replace('_', ' ')}: {value:.3f}  (it chose these weights, so it flatters them)")
    if card.training:
        labelled = ", ".join(f"{count:,} px {name}" for name, count in card.training.labelled_px.items())
        typer.echo(f"Learned from {len(card.training.trained_on)} images: {labelled}.")
    for note in done.notes:
        typer.echo(f"Note: {note}")
    typer.echo(f"Took {done.seconds:,.0f} s. Map with: geoseg map --model {done.folder} --sensor {card.sensors[0]} ...")
