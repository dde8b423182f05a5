"""``geoseg doctor``: what this installation has and lacks."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def doctor(
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Print versions, GDAL drivers, torch's device, caches, and which credentials are set (never their values).

    Exit status 1 where something would stop a map.
    """
    from geoseg.doctor import CREDENTIALS, examine, problems

    state = examine()
    faults = problems(state)
    if json_:
        typer.echo(json.dumps({**state, "problems": faults}, indent=2))
        raise typer.Exit(1 if faults else 0)
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row(
        "geoseg", f"{state['geoseg']} on Python {state['python']}, {state['cores']} cores, {state['platform']}"
    )
    table.add_row(
        "packages", ", ".join(f"{name} {version or 'MISSING'}" for name, version in state["packages"].items())
    )
    gdal = state["gdal"]
    have = ", ".join(name for name, there in gdal["drivers"].items() if there)
    table.add_row("GDAL", f"{gdal['version']}, PROJ {gdal['proj']}, drivers {have}")
    torch = state["torch"]
    table.add_row("torch", torch.get("error") or f"{torch['gpu'] or 'CPU'}, {torch['threads']} threads")
    cache = state["cache"]
    table.add_row("cache", f"{cache['folder']}, {cache['used_mb']} MB used, {cache['free_gb']} GB free")
    for name, what_for in CREDENTIALS.items():
        table.add_row(name, f"{'set' if state['credentials'][name] else 'not set'} ({what_for})")
    Console().print(table)
    for fault in faults:
        typer.echo(f"Problem: {fault}", err=True)
    if not faults:
        typer.echo("Nothing stands in the way of a map.")
    raise typer.Exit(1 if faults else 0)
