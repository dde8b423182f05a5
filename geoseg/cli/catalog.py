"""``geoseg catalog``: what is known about imagery, and a person's own files made part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.progress import progress_bars

if TYPE_CHECKING:
    from rich.table import Table

    from geoseg.sources.local.add import Added

EXIT_FAULTS, EXIT_SOME_REFUSED = 1, 3
NOTHING_SEEN = "every pixel of it is nodata or NaN: a map of it will say not observed everywhere."
FIRST_MAP = Path("my-own-map")

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="List and show what geoseg knows about imagery, and make a catalogue out of your own files.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command(
    no_args_is_help=True,
    epilog="Examples: [cyan]geoseg catalog add chips/ --sensor s1 --units db --date 2018-09-21 -o mine[/cyan], then "
    "[cyan]geoseg map --catalog mine/catalog.json ...[/cyan]  |  [cyan]geoseg catalog add order/ "
    "--sensor planetscope -o mine[/cyan]  |  [cyan]geoseg catalog add naip.tif --sensor aerial --bands "
    "red,green,blue,nir --date 2014-07-20 -o mine[/cyan]",
)
def add(
    paths: Annotated[list[Path], typer.Argument(help="GeoTIFF files; order, scene or .SAFE folders; folders of such.")],
    sensor: Annotated[str, typer.Option(help="s1, s2, landsat, hls, planetscope or aerial.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the catalogue: made, or added to.")],
    date: Annotated[
        str | None,
        typer.Option(
            help="Day or instant (UTC) of acquisition. Where a file's metadata say it, they win, and a note says so."
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            help="What the numbers are: db or linear (s1); reflectance (0..1, or times 10000) or dn (s2, planetscope). "
            "Needed where metadata do not decide it."
        ),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands in file order, such as vv,vh: where the files do not name them.")
    ] = None,
    s2_offset: Annotated[
        int | None,
        typer.Option(
            "--s2-offset",
            help="Added to Sentinel-2 numbers: -1000 from processing baseline 04.00 on, 0 before. Overrules metadata.",
        ),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="Reflectance of the surface (surface, L2A) or of the top of the atmosphere (toa, L1C): where the "
            "files do not state it."
        ),
    ] = None,
    json_: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Describe your own files as a STAC catalogue; they stay where they are.

    Takes GeoTIFF in any CRS, PlanetScope orders (AnalyticMS or AnalyticMS_SR,
    UDM or UDM2, metadata XML), Sentinel-2 scene folders and .SAFE. What cannot
    be decided is refused by name, with the option that decides it. Adding again
    merges: an item of the same name is replaced.

    Exit status 3 where some files were refused and others added, 1 where none
    was added.
    """
    from geoseg.sources.local.add import add as add_files
    from geoseg.sources.local.options import TypedOptions

    options = TypedOptions(
        sensor=sensor, date=date, units=units, bands=bands, s2_offset=s2_offset, level=level
    ).checked()
    with progress_bars(quiet=quiet or json_) as report:
        added = add_files(paths, out, options, report=report)
    if json_:
        typer.echo(json.dumps(_plain(added), indent=2))
    else:
        _print_added(added)
    for row in map(_summary, added.items):
        if row["observed_pct"] == 0:
            typer.secho(f"WARNING: {row['id']} was added, but {NOTHING_SEEN}", err=True, bold=True)
    for refused in added.refused:
        typer.echo(f"Not added: {refused.reason}", err=True)
    raise typer.Exit(EXIT_SOME_REFUSED if added.refused else 0)


@app.command(
    "list",
    epilog="Examples: [cyan]geoseg catalog list[/cyan]  |  [cyan]geoseg catalog list planetary-computer[/cyan]"
    "  |  [cyan]geoseg catalog list mine[/cyan]",
)
def list_(
    where: Annotated[
        str | None,
        typer.Argument(help="A catalogue's name, or the folder of your own. Left out: every collection known."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """List the collections that geoseg knows, or the items of your own catalogue."""
    if where is not None and (Path(where).exists() or "/" in where):
        _list_items(Path(where), json_=json_)
    else:
        _list_collections(where, json_=json_)


@app.command(
    no_args_is_help=True,
    epilog="Examples: [cyan]geoseg catalog show planetary-computer/sentinel-2-l2a[/cyan]  |  "
    "[cyan]geoseg catalog show s1[/cyan]  |  [cyan]geoseg catalog show mine[/cyan]  |  "
    "[cyan]geoseg catalog show mine/Nigeria_812045_S1Hand[/cyan]",
)
def show(
    name: Annotated[
        str,
        typer.Argument(help="A collection, a sensor, your own catalogue's folder, or an item of it as FOLDER/ITEM."),
    ],
    json_: JsonOption = False,
) -> None:
    """Show a record: where the imagery is, its bands, how it is read, its licence.

    Of your own catalogue: every item with its place, date, resolution, bands
    and the share of it that was observed.
    """
    from geoseg.catalog.collections import collections
    from geoseg.catalog.sensors import sensors
    from geoseg.errors import UnknownNameError

    records = {**collections(), **sensors()}
    if name in records:
        record = records[name].model_dump(mode="json", exclude_none=True)
    elif (item := _item(Path(name))) is not None:
        record = item
    elif Path(name).exists():
        _show_items(Path(name), json_=json_)
        return
    else:
        raise UnknownNameError.among("collection, sensor or item", name, records)
    if json_:
        typer.echo(json.dumps(record, indent=2))
    else:
        _print_rows(name, _item_rows(record) if record.get("type") == "Feature" else _rows(record))


@app.command(no_args_is_help=True, epilog="Example: [cyan]geoseg catalog validate mine[/cyan]")
def validate(
    folder: Annotated[Path, typer.Argument(help="Folder of your own catalogue.")], json_: JsonOption = False
) -> None:
    """Check your own catalogue: files there and whole, bands, sizes, units. Exit status 1 for any fault."""
    from geoseg.sources.local.validate import validate as check

    with progress_bars(quiet=json_) as report:
        count, problems = check(_own_folder(folder), report=report)
    if json_:
        faults = [{"item": each.item, "problem": each.text} for each in problems]
        typer.echo(json.dumps({"items": count, "problems": faults}, indent=2))
    else:
        for each in problems:
            typer.echo(f"{each.item or folder}: {each.text}")
        typer.echo(f"{count} items, {len(problems)} problems.")
    raise typer.Exit(EXIT_FAULTS if problems else 0)


# -- add ------------------------------------------------------------------------------------------------------------


def _plain(added: Added) -> dict[str, Any]:
    from geoseg.sources.local.suggest_map import covering, days

    return {
        "catalog": str(added.folder / "catalog.json"),
        "added": [_summary(item) for item in added.items],
        "replaced": list(added.replaced),
        "refused": [{"path": str(each.path), "reason": each.reason} for each in added.refused],
        "total": added.total,
        "bbox": _rfc_7946(covering(added.items)),
        "dates": list(days(added.items)),
        "command": _command(added),
    }


def _rfc_7946(boxes: tuple[tuple[float, float, float, float], ...]) -> list[float]:
    """Join the boxes of both sides of the antimeridian: west is then east of east, as GeoJSON writes it."""
    if len(boxes) == 1:
        return list(boxes[0])
    (west, south, _, north), (_, south_beyond, east, north_beyond) = boxes
    return [west, min(south, south_beyond), east, max(north, north_beyond)]


def _command(added: Added) -> str | None:
    """The map of what was added, as a person may type it; None where no model of geoseg's own reads it."""
    from geoseg.sources.local.suggest_map import first_map

    request = first_map(added.items, added.folder / "catalog.json")
    return None if request is None else request.command("map", FIRST_MAP)


def _summary(item: dict[str, Any]) -> dict[str, Any]:
    from geoseg.sources.local.item import level_notes

    properties = item["properties"]
    data = [asset for asset in item["assets"].values() if "data" in asset["roles"]]
    return {
        "id": item["id"],
        "sensor": properties["geoseg:sensor"],
        "datetime": properties["datetime"],
        "units": properties["geoseg:units"],
        "bands": [band["name"] for asset in data for band in asset["eo:bands"]],
        "masks": [name for name, asset in item["assets"].items() if "mask" in asset["roles"]],
        "bbox": item["bbox"],
        "crs": properties.get("proj:code"),
        "resolution": [abs(properties["proj:transform"][place]) for place in (0, 4)],
        "observed_pct": properties.get("geoseg:observed_pct"),
        "notes": [*properties.get("geoseg:notes", []), *level_notes(properties)],
    }


def _print_added(added: Added) -> None:
    from rich.console import Console

    rows = [_summary(item) for item in added.items]
    Console().print(_items_table(rows))
    for note in dict.fromkeys(note for row in rows for note in row["notes"]):
        ids = [row["id"] for row in rows if note in row["notes"]]
        typer.echo(f"Note on {ids[0] if len(ids) == 1 else f'{len(ids)} items'}: {note}.")
    replaced = f", {len(added.replaced)} of them anew" if added.replaced else ""
    refused = f"; {len(added.refused)} refused" if added.refused else ""
    count = "1 item" if len(added.items) == 1 else f"{len(added.items)} items"
    typer.echo(f"Added {count}{replaced}{refused}. The catalogue holds {added.total}: {added.folder}/catalog.json")
    _print_first_map(added)


def _print_first_map(added: Added) -> None:
    from geoseg.sources.local.suggest_map import covering, days

    first, last = days(added.items)
    boxes = covering(added.items)
    box = " and ".join(",".join(f"{number:.4f}" for number in each) for each in boxes)
    if len(boxes) > 1:
        box += " (two sides of the antimeridian: map them one by one)"
    typer.echo(f"Covered: {box}  on {first if first == last else f'{first} to {last}'}")
    command = _command(added)
    if command is None:
        typer.echo("No model of geoseg's own maps these: name a trained one with `geoseg map --model FOLDER`.")
    else:
        typer.echo(f"Map it with:\n  {command}")


def _items_table(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("item", "sensor", "taken (UTC)", "numbers", "bands", "masks"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row["id"],
            row["sensor"],
            row["datetime"][:16].replace("T", " "),
            row["units"],
            " ".join(row["bands"]),
            " ".join(row["masks"]),
        )
    return table


# -- list and show --------------------------------------------------------------------------------------------------


def _own_folder(path: Path) -> Path:
    """The folder of a person's own catalogue, also where one of its files was named.

    Raises:
        SearchFailedError: It is none, or a damaged one.
    """
    from geoseg.errors import SearchFailedError
    from geoseg.sources.local.store import CATALOG, ITEMS, PARQUET, read_items

    if not path.exists():
        raise SearchFailedError(f"There is no file or folder {path}. `geoseg catalog list` names what geoseg knows.")
    folder = path.parent if path.name in (CATALOG, ITEMS, PARQUET) else path
    try:
        read_items(folder)
    except SearchFailedError:
        if _is_own(folder):
            raise
        raise SearchFailedError(
            f"{path} has no items.json made by `geoseg catalog add`, and list and validate read no other catalogue. "
            "`geoseg scenes --catalog` searches any STAC catalogue; `geoseg demo --list` names the simulated regions."
        ) from None
    return folder


def _is_own(folder: Path) -> bool:
    """Its door says that ``geoseg catalog add`` made it."""
    from geoseg.sources.local.store import CATALOG, CATALOG_ID

    try:
        door = json.loads((folder / CATALOG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(door, dict) and door.get("id") == CATALOG_ID


def _show_items(path: Path, *, json_: bool) -> None:
    from geoseg.sources.local.store import read_items

    rows = [_summary(item) for item in read_items(_own_folder(path))]
    if json_:
        typer.echo(json.dumps({"items": rows}, indent=2))
        return
    for row in rows:
        seen = "not known" if row["observed_pct"] is None else f"{row['observed_pct']:g} % of its pixels"
        _print_rows(
            row["id"],
            [
                ("sensor", f"{row['sensor']}, {row['units']}"),
                ("taken", row["datetime"].replace("T", " ").replace("Z", " UTC")),
                ("box", ",".join(f"{number:.4f}" for number in row["bbox"])),
                ("pixel", f"{_pixel(row)}, {row['crs'] or 'own CRS'}"),
                ("bands", " ".join(row["bands"])),
                ("masks", " ".join(row["masks"]) or "none"),
                ("observed", seen),
                *(("note", note) for note in row["notes"]),
            ],
        )
    typer.echo(f"{len(rows)} items.")


def _pixel(row: dict[str, Any]) -> str:
    """Width and height of a pixel in units of its CRS."""
    from pyproj import CRS

    unit = CRS(row["crs"]).axis_info[0].unit_name if row["crs"] else ""
    short = {"metre": "m", "degree": "degrees"}.get(unit, unit)
    wide, high = row["resolution"]
    return f"{wide:.6g} x {high:.6g} {short}".strip()


def _list_items(path: Path, *, json_: bool) -> None:
    from geoseg.sources.local.store import read_items

    rows = [_summary(item) for item in read_items(_own_folder(path))]
    if json_:
        typer.echo(json.dumps({"items": rows}, indent=2))
        return
    from rich.console import Console

    Console().print(_items_table(rows))
    typer.echo(f"{len(rows)} items.")


def _list_collections(catalog: str | None, *, json_: bool) -> None:
    from geoseg.catalog.collections import collections
    from geoseg.errors import UnknownNameError

    records = {name: each for name, each in collections().items() if catalog in (None, each.catalog)}
    if not records:
        raise UnknownNameError.among("catalogue", str(catalog), {each.catalog for each in collections().values()})
    rows = [
        {"name": name, "sensor": each.sensor or each.role, "access": each.access, "title": each.title}
        for name, each in records.items()
    ]
    if json_:
        typer.echo(json.dumps({"collections": rows}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("collection", no_wrap=True)  # a name is there to be copied
    for heading in ("sensor", "access", "title"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    Console().print(table)


def _item(path: Path) -> dict[str, Any] | None:
    """The item at ``FOLDER/ITEM``, or in an item's own JSON file; None where there is none."""
    from geoseg.sources.local.store import is_catalogue, read_items

    name = path.name.removesuffix(".json")
    for folder in (path.parent, path.parent.parent):
        if is_catalogue(folder):
            return next((item for item in read_items(folder) if item["id"] == name), None)
    return None


def _print_rows(name: str, rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, title=escape(name), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(escape(key), escape(value))
    Console().print(table)


def _item_rows(item: dict[str, Any]) -> list[tuple[str, str]]:
    """An item as lines: its properties, its files, and how each band's numbers are read."""
    rows = [("bbox", _text(item["bbox"])), *((key, _text(value)) for key, value in item["properties"].items())]
    for name, asset in item["assets"].items():
        rows.append((name, asset["href"]))
        for band, numbers in zip(asset["eo:bands"], asset["raster:bands"], strict=True):
            rows.append((f"  {band['name']}", _reading(numbers)))
    return rows


def _reading(numbers: dict[str, Any]) -> str:
    value = (
        f"{numbers['unit']} = DN * {numbers['scale']:.6g} + {numbers['offset']:g}" if "scale" in numbers else "codes"
    )
    return f"{numbers['data_type']}, nodata {numbers.get('nodata', 'none')}, {value}"


def _rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """A record as lines: what it nests one level deep gets a line each."""
    rows = []
    for key, value in record.items():
        if isinstance(value, dict) and value:
            rows += [(f"{key}.{inner}", _text(each)) for inner, each in value.items()]
        else:
            rows.append((key, _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list) and all(not isinstance(each, dict | list) for each in value):
        return ", ".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
