"""``geoseg scenes``: what a map would use, and why a scene is rejected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.options import Aoi, Bbox, Catalog, Date, MaxCloud, ModelName, SensorName, WindowDays

if TYPE_CHECKING:
    from geoseg.core.request import Request
    from geoseg.core.scene import Found


def scenes(
    bbox: Bbox = None,
    aoi: Aoi = None,
    date: Date = None,
    window_days: WindowDays = 0,
    sensor: SensorName = None,
    catalog: Catalog = None,
    max_cloud: MaxCloud = None,
    model: ModelName = None,
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
