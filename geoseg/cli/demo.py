"""``geoseg demo``: a first map, without network or account."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from geoseg.demo import Demo

DEFAULT_REGION, DEFAULT_SENSOR = "urban", "s2"
EPILOG = (
    "Examples: [cyan]geoseg demo[/cyan]  |  [cyan]geoseg demo --list[/cyan]  |  "
    "[cyan]geoseg demo --region paddy --sensor s1 --out paddy[/cyan]"
)


def demo(
    region: Annotated[str, typer.Option(help="A simulated region; see --list.")] = DEFAULT_REGION,
    sensor: Annotated[str, typer.Option(help="s1, s2 or planetscope.")] = DEFAULT_SENSOR,
    out: Annotated[Path | None, typer.Option(help="Folder for the products (default: demo-REGION-SENSOR).")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the simulated regions.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the products in --out.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Map a simulated flood and compare the map with the truth. Needs no network: the imagery is made here, once.

    The places, the floods and the imagery are simulated; the numbers say how the code works, not how a real map would
    score.
    """
    if list_:
        _print_regions(as_json=json_)
        return
    from geoseg.cli.progress import progress_bars, set_up_logging
    from geoseg.demo import run_demo

    set_up_logging(-1 if quiet else 0)
    with progress_bars(quiet=quiet) as report:
        # what the demo itself wrote under its own name it may replace
        folder = out or Path(f"demo-{region}-{sensor}")
        finished = run_demo(region, sensor, folder, overwrite=overwrite or out is None, report=report)
    if json_:
        typer.echo(json.dumps(finished.record(), indent=2))
    elif not quiet:
        typer.echo(_told(finished))


def _print_regions(*, as_json: bool) -> None:
    from geoseg.demo import regions_made

    known = regions_made()
    if as_json:
        rows = {name: {"title": facts.title, "made": made} for name, (facts, made) in known.items()}
        typer.echo(json.dumps(rows, indent=2))
        return
    for name, (facts, made) in known.items():
        typer.echo(f"{name:<9} {facts.title}{' (made)' if made else ''}")


def _told(finished: Demo) -> str:
    """What a person who has never seen geoseg wants to know."""
    score, result = finished.score, finished.result
    found = {name: "none" if value is None else f"{value:.1f} %" for name, value in score.iou.items()}
    whole = score.observed_px + score.not_observed_px
    return "\n".join(
        [
            f"SIMULATED flood, region {finished.region}, sensor {finished.request.sensor}. Nothing here was observed.",
            result.summary(),
            "",
            f"Against the simulation's truth, over the {100 * score.observed_px / whole:.1f} % of pixels observed:",
            f"  water IoU {found['water']}   flood IoU {found['flood']}   dry IoU {found['dry']}",
            f"Truth    {finished.truth}",
            "",
            f"Open it in QGIS: drag {result.flood} onto the map; its colours and class names come with it.",
            f"The same as a map of your own:\n  {finished.request.command('map', Path('my-first-map'))}",
        ]
    )
