"""``geoseg models``: what can map, what it reads, where its weights are, and whether they are whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="List and show models, fetch and verify weights, export a trained model.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ModelArgument = Annotated[str, typer.Argument(help="A model's name, or a bundle's folder.", metavar="NAME|FOLDER")]


@app.command("list", epilog="Examples: [cyan]geoseg models list[/cyan]  |  [cyan]geoseg models list --sensor s1[/cyan]")
def list_(
    sensor: Annotated[str | None, typer.Option(help="Only models that read this sensor.")] = None,
    json_: JsonOption = False,
) -> None:
    """List every model: family, size in parameters, whether its weights are here, sensors (--json: licences, too)."""
    from geoseg.catalog.sensors import sensor as sensor_record
    from geoseg.catalog.sensors import sensors
    from geoseg.models.listing import list_models

    if sensor is not None:
        sensor_record(sensor)  # an unknown name is refused, rather than listed as having no model
    rows = [row for row in list_models() if sensor is None or sensor in row.sensors]
    if json_:
        typer.echo(json.dumps({"models": [asdict(row) for row in rows]}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # fits 80 columns
    table.add_column("model", no_wrap=True)  # a name is there to be copied
    table.add_column("family", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("weights", width=len("encoder"))
    table.add_column("sensors")
    for row in rows:
        size = f"{row.parameters_m:,.2f} M" if row.parameters_m else "-"
        weights = row.weights.replace("none needed", "-")
        untrained = row.family == "cnn" and row.weights == "train"  # reads whatever it is trained on
        read = "any" if untrained or set(row.sensors) == set(sensors()) else " ".join(row.sensors)
        table.add_row(row.name, row.family, size, weights, read)
    Console().print(table)


@app.command(
    no_args_is_help=True,
    epilog="Examples: [cyan]geoseg models show otsu[/cyan]  |  [cyan]geoseg models show unet[/cyan]",
)
def show(
    name: ModelArgument,
    full: Annotated[bool, typer.Option("--full", help="Also the ids of the images it learned from.")] = False,
    json_: JsonOption = False,
) -> None:
    """Show a model: what it reads, scores, limits; then how it is built and trained, licence and references."""
    from geoseg.models.listing import describe_model

    record = describe_model(name)
    if json_:
        typer.echo(json.dumps(record, indent=2))
    else:
        _print_rows(name, _in_order(record) if full else _without_ids(_in_order(record)))


@app.command(no_args_is_help=True, epilog="Example: [cyan]geoseg models fetch prithvi-eo-v2-tiny-tl[/cyan]")
def fetch(
    name: Annotated[str, typer.Argument(help="A foundation encoder's name.")],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json_: JsonOption = False,
) -> None:
    """Bring an encoder's official weights into the cache; a broken download carries on where it was."""
    from geoseg.cli.progress import progress_bars
    from geoseg.models.checkpoints.fetch import fetch as fetch_weights

    with progress_bars(quiet=quiet or json_) as report:
        got = fetch_weights(name, report=report)
    if json_:
        typer.echo(json.dumps({"path": str(got.path), "sha256": got.sha256, "verified": got.verified}, indent=2))
    else:
        typer.echo(f"{got.path}\nsha256 {got.sha256} ({'as published' if got.verified else 'no hash is published'})")


@app.command(
    no_args_is_help=True,
    epilog="Examples: [cyan]geoseg models verify my-bundle/[/cyan]  |  [cyan]geoseg models verify clay-v1.5[/cyan]",
)
def verify(name: ModelArgument, json_: JsonOption = False) -> None:
    """Load weights strictly: every tensor by name and shape, and the file's hash. Exit status 1 for any fault."""
    from geoseg.models.verify import verify as check

    found = check(name)
    if json_:
        typer.echo(json.dumps(asdict(found) | {"path": str(found.path)}, indent=2))
        return
    typer.echo(
        f"{found.name}: {found.matched} of {found.total} tensors matched, {found.parameters / 1e6:,.2f} M parameters"
    )
    typer.echo(f"{found.path}\nsha256 {found.sha256} ({'as stated' if found.published else 'no hash is published'})")
    for note in found.notes:
        typer.echo(f"Note: {note}")


@app.command(
    no_args_is_help=True,
    epilog="Examples: [cyan]geoseg models export my-bundle/ -o flood.onnx[/cyan]  |  "
    "[cyan]geoseg models export my-bundle/ --format pt2 -o flood.pt2[/cyan]",
)
def export(
    name: ModelArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    format_: Annotated[
        str, typer.Option("--format", help="onnx (opens in the QGIS plugin Deepness), torchscript or pt2.")
    ] = "onnx",
    json_: JsonOption = False,
) -> None:
    """Write a trained network to one file for other programs, checked against the network before it appears.

    It takes physical units, NaN where not observed, and gives probabilities.
    """
    from geoseg.models.export import export_model

    done = export_model(name, out, format_)  # type: ignore[arg-type]  # checked there
    if json_:
        typer.echo(json.dumps(asdict(done) | {"path": str(done.path)}, indent=2))
    else:
        typer.echo(f"{done.path}: {done.format}, within {done.difference:.1e} of the network.")


def _print_rows(title: str, record: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, title=escape(title), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in _flat(record):
        table.add_row(escape(key), escape(value))
    Console().print(table)


FIRST = (
    *("name", "title", "sensors", "bands", "unit", "gsd_m", "classes", "meaning", "threshold_pct", "calibrated"),
    *("scores", "limits", "weights_from"),
)
"""Keys of a card that a person looks for first."""


def _in_order(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in (*FIRST, *record) if key in record and record[key] not in ("", [], {})}


def _without_ids(record: dict[str, Any]) -> dict[str, Any]:
    """The same with the number of the images that it learned from in place of their ids."""
    run = record.get("training")
    if not run:
        return record
    counts = {
        key: f"{len(run[key])} images (--full lists them)" for key in ("trained_on", "validated_on") if run.get(key)
    }
    return {**record, "training": {**run, **counts}}


def _flat(record: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted lines; lists of plain values on one."""
    rows: list[tuple[str, str]] = []
    for key, value in record.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            many = any(isinstance(each, str) and " " in each for each in value)
            rows.append((prefix + key, ("\n" if many else ", ").join(map(str, value))))
        else:
            rows.append((prefix + key, str(value)))
    return rows
