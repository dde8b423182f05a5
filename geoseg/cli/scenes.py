"""``geoseg scenes``: what a map would use, and why a scene is rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geoseg.core.request import Request
    from geoseg.core.scene import Found


def scenes(
    bbox: Annotated[str | None, typer.Option(help="Area: west,south,east,north in degrees.", metavar="W,S,E,N")] = None,
    aoi: Annotated[Path | None, typer.Option(help="Area: polygons of a GeoJSON, GPKG or Shapefile, any CRS.")] = None,
    date: Annotated[
        str | None, typer.Option(help="Day, or FIRST/LAST, in UTC.", metavar="YYYY-MM-DD[/YYYY-MM-DD]")
    ] = None,
    sensor: Annotated[str | None, typer.Option(help="s1, s2, planetscope or aerial.")] = None,
    catalog: Annotated[
        str | None,
        typer.Option(help="Catalogue name, STAC API address, catalog.json or .parquet.", metavar="NAME|URL|PATH"),
    ] = None,
    window_days: Annotated[int, typer.Option(help="Also search this many days before and after.")] = 0,
    max_cloud: Annotated[
        float | None, typer.Option(help="Leave out scenes stating more cloud than this, per cent.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model whose bands the scenes must have. Default: the sensor's.", metavar="NAME|FOLDER"),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List the scenes a map would use, and those rejected with the reason. No pixel is opened."""
    from geoseg.core.request import Request
    from geoseg.resolve import scenes_for

    request = Request.of(
        bbox=bbox,
        aoi=aoi,
        date=date,
        sensor=sensor,
        catalog=catalog,
        window_days=window_days,
        max_cloud_pct=max_cloud,
        model=model,
    )
    found = scenes_for(request)
    if json_:
        typer.echo(json.dumps(_record(request, found), indent=2))
    else:
        _table(request, found)


def _record(request: Request, found: Found) -> dict[str, Any]:
    """The answer as plain JSON values."""
    from geoseg.sources.search import coverage_pct

    return {
        "request": request.record(),
        "scenes": [
            {
                "id": scene.id,
                "time": scene.time.isoformat(),
                "collection": scene.collection,
                "sensor": scene.sensor,
                "platform": scene.platform,
                "cloud_pct": scene.cloud_pct,
                "coverage_pct": round(coverage_pct(scene, request.area), 2),
                "bbox": list(scene.bbox),
            }
            for scene in found.scenes
        ],
        "rejected": [{"id": each.id, "reason": each.reason} for each in found.rejected],
    }


def _table(request: Request, found: Found) -> None:
    from rich.console import Console
    from rich.table import Table

    from geoseg.sources.search import coverage_pct

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("id", overflow="fold")
    for name in ("cloud %", "area %"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("platform", no_wrap=True)
    table.add_column("collection", overflow="fold")
    for scene in found.scenes:
        cloud = "-" if scene.cloud_pct is None else f"{scene.cloud_pct:.0f}"
        share = coverage_pct(scene, request.area)
        covered = "<1" if 0 < share < 1 else f"{share:.0f}"
        table.add_row(
            f"{scene.time:%Y-%m-%d %H:%M:%S}", scene.id, cloud, covered, scene.platform or "-", scene.collection
        )
    # markup and highlight off: ids are other people's text
    console = Console(markup=False, highlight=False)
    console.print(table)
    if found.rejected:
        console.print(f"\nRejected ({len(found.rejected)}):")
    for each in found.rejected:
        console.print(f"  {each.id}: {each.reason}.")
