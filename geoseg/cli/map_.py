"""``geoseg map``: a flood mask for an area and a date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.json_output import note_json
from geoseg.cli.options import (
    COMPUTING,
    IMAGERY,
    MODEL,
    PRODUCTS,
    WHEN,
    Aoi,
    Bbox,
    Catalog,
    Date,
    MaxCloud,
    ModelName,
    SensorName,
    WindowDays,
)
from geoseg.errors import BadOptionError

if TYPE_CHECKING:
    from geoseg.result import MapResult

EXIT_FAILED_SCENES = 3
EPILOG = """
[bold]Examples[/bold]

geoseg map --bbox 8.40,11.95,8.60,12.10 --date 2018-09-21 --sensor s1 --window-days 6

geoseg map --aoi district.gpkg --date 2024-05-01/2024-05-08 --sensor s2 --reference-water planetary-computer/jrc-gsw

geoseg map --catalog my_catalog --bbox 8.4,11.9,8.6,12.1 --date 2018-09-21 --sensor s1 --model otsu --out kano

Across the antimeridian, map two boxes. A box that begins with a minus: --bbox=-8.4,11.9,-8.2,12.1
"""


def _defaults_from(ctx: typer.Context, path: Path | None) -> Path | None:
    """Let a configuration file fill in what the command line leaves open."""
    if path is None or ctx.resilient_parsing:
        return path
    import yaml

    from geoseg.catalog.records import record_text

    try:
        # every scalar as the text that a command line would hold: YAML itself takes `yes:` for True
        content = yaml.load(record_text(path, BadOptionError), Loader=yaml.BaseLoader) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptionError(f"--config {path} cannot be read: {type(error).__name__}.") from None
    except yaml.YAMLError as error:
        raise BadOptionError(f"--config {path} is not YAML: {' '.join(str(error).split())}.") from None
    known = {_long_name(parameter): parameter.name for parameter in ctx.command.params if parameter.name != "config"}
    if not isinstance(content, dict):
        raise BadOptionError(f"--config {path} must hold options as KEY: VALUE lines.")
    flat = {str(key).replace("_", "-"): value for key, value in content.items()}
    if unknown := sorted(set(flat) - set(known)):
        raise BadOptionError(
            f"--config {path} holds {unknown[0]!r}, which is no option. Known: {', '.join(sorted(known))}."
        )
    ctx.default_map = {**(ctx.default_map or {}), **{known[key]: _as_typed(value) for key, value in flat.items()}}
    return path


def _long_name(parameter: Any) -> str:
    """An option as a file names it: ``window-days`` for ``--window-days``."""
    return str(max(parameter.opts, key=len)).lstrip("-")


def _as_typed(value: Any) -> str | None:
    """A value as a person would type it; a box may be written as a list."""
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return None if value in ("", "null", "~") else str(value)


def map_(
    ctx: typer.Context,
    bbox: Bbox = None,
    aoi: Aoi = None,
    date: Date = None,
    before: Annotated[
        str | None,
        typer.Option(
            help="Dates before the flood: water seen then is permanent.", metavar="DATE[/DATE]", rich_help_panel=WHEN
        ),
    ] = None,
    window_days: WindowDays = 0,
    sensor: SensorName = None,
    catalog: Catalog = None,
    max_cloud: MaxCloud = None,
    composite: Annotated[
        str,
        typer.Option(
            help="nearest clear observation in time, or per-pixel median.", metavar="NAME", rich_help_panel=IMAGERY
        ),
    ] = "nearest",
    model: ModelName = None,
    prune: Annotated[
        int | None,
        typer.Option(
            help="Level 1..4 of a U-Net++ to stop at: coarser, faster.", metavar="1..4", rich_help_panel=MODEL
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="32, or bf16: a network in bfloat16, faster on a GPU, with small differences.",
            metavar="32|bf16",
            rich_help_panel=MODEL,
        ),
    ] = "32",
    out: Annotated[
        Path, typer.Option(help="Folder for the products.", metavar="FOLDER", rich_help_panel=PRODUCTS)
    ] = Path("flood"),
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite/--no-overwrite", help="Replace the products in --out.", rich_help_panel=PRODUCTS),
    ] = False,
    resolution: Annotated[
        float | None,
        typer.Option(help="Pixel size in metres (default: the sensor's).", metavar="M", rich_help_panel=PRODUCTS),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(help="Output CRS (default: the area's UTM zone).", metavar="EPSG:N", rich_help_panel=PRODUCTS),
    ] = None,
    reference_water: Annotated[
        str | None,
        typer.Option(
            help="Permanent water: collection name, raster or vector file, or none.",
            metavar="NAME|FILE",
            rich_help_panel=PRODUCTS,
        ),
    ] = None,
    reference_kind: Annotated[
        str | None,
        typer.Option(
            help="Values of a reference raster: mask (0, 1) or occurrence (0..100 per cent).",
            metavar="mask|occurrence",
            rich_help_panel=PRODUCTS,
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes/--no-yes", help="Map an area over the size limit.", rich_help_panel=PRODUCTS)
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Compute on this many local processes.", metavar="N", rich_help_panel=COMPUTING),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Compute on the workers of this dask scheduler.", metavar="tcp://HOST:PORT", rich_help_panel=COMPUTING
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", metavar="NAME", rich_help_panel=COMPUTING)] = "auto",
    batch_size: Annotated[
        int,
        typer.Option(min=1, help="Chips through the network at once.", metavar="N", rich_help_panel=COMPUTING),
    ] = 8,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of any of these options; options on the command line win.",
            metavar="FILE",
            callback=_defaults_from,
            is_eager=True,
        ),
    ] = None,
    json_: Annotated[
        bool,
        typer.Option(
            "--json/--no-json", help="One JSON object on stdout, all else on stderr.", callback=note_json, is_eager=True
        ),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("-v", "--verbose", count=True, help="Also print the model's limits; -vv: libraries' logs too."),
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet/--no-quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Write a flood mask for an area and a date.

    Written into --out: flood.tif (0 dry, 1 flood or water, 2 permanent water, 255 not observed), probability.tif,
    source.tif, preview.png and run.json. A run that was stopped resumes when the same command is started again.
    """
    from geoseg.cli.progress import progress_bars, set_up_logging

    set_up_logging(-1 if quiet else verbose)  # before the rest is imported: dask reads its levels when it is
    from geoseg.core.request import Request
    from geoseg.pipeline import Compute, map_flood

    if bbox and aoi and config:
        bbox, aoi = _typed_area(ctx, bbox, aoi)
    request = Request.of(
        bbox=bbox,
        aoi=aoi,
        date=date,
        sensor=sensor,
        catalog=catalog,
        model=model,
        resolution_m=resolution,
        crs=crs,
        window_days=window_days,
        max_cloud_pct=max_cloud,
        composite=composite,
        reference_water=reference_water,
        reference_kind=reference_kind,
        before=before,
        prune=prune,
        precision=precision,
        allow_large=yes,
    )
    compute = Compute(workers, scheduler, device, batch_size)
    with progress_bars(quiet=quiet) as report:
        result = map_flood(request, out, compute=compute, overwrite=overwrite, report=report)
    _print(result, as_json=json_, verbosity=-1 if quiet else verbose)
    if result.run_record.failed:
        raise typer.Exit(EXIT_FAILED_SCENES)


def _typed_area(ctx: typer.Context, bbox: str, aoi: Path) -> tuple[str | None, Path | None]:
    """Where the file gives one kind of area and a flag the other, the flag wins."""
    typed = {name for name in ("bbox", "aoi") if str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")}
    if typed == {"bbox"}:
        return bbox, None
    return (None, aoi) if typed == {"aoi"} else (bbox, aoi)


def _print(result: MapResult, *, as_json: bool, verbosity: int) -> None:
    """Print warnings of this map first, then what class 1 is, then the numbers; the model's limits with ``-v``."""
    if as_json:
        typer.echo(json.dumps(result.record(), indent=2))
        return
    run = result.run_record
    for failure in run.failed:
        typer.echo(f"Failed: {failure.id}: {failure.reason}", err=True)
    if verbosity < 0:
        return
    for note in (*run.notes, *(run.limits if verbosity else ())):
        typer.echo(f"Note: {note}", err=True)
    typer.echo(result.summary())
