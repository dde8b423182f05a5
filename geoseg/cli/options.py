"""Options that several verbs share, grouped as ``--help`` shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WHERE, WHEN, IMAGERY, MODEL, PRODUCTS, COMPUTING = "Where", "When", "Imagery", "Model", "Products", "Computing"
"""Panels of ``--help``. Words in a panel stay short: at 80 columns a word that does not fit its cell is cut."""

Bbox = Annotated[
    str | None,
    typer.Option(help="Area: west, south, east, north in degrees.", metavar="W,S,E,N", rich_help_panel=WHERE),
]
Aoi = Annotated[
    Path | None,
    typer.Option(
        help="Area: polygons of a GeoJSON, GPKG or Shapefile, any CRS.", metavar="FILE", rich_help_panel=WHERE
    ),
]
Date = Annotated[
    str | None,
    typer.Option(
        help="Day YYYY-MM-DD, or range YYYY-MM-DD/YYYY-MM-DD, UTC.", metavar="DATE[/DATE]", rich_help_panel=WHEN
    ),
]
WindowDays = Annotated[
    int, typer.Option(help="Also search this many days before and after.", metavar="N", rich_help_panel=WHEN)
]
SensorName = Annotated[
    str | None,
    typer.Option(help="s1, s2, landsat, hls, planetscope or aerial.", metavar="NAME", rich_help_panel=IMAGERY),
]
Catalog = Annotated[
    str | None,
    typer.Option(
        help="Catalogue name, STAC API address, catalog.json or .parquet file (default: the sensor's).",
        metavar="NAME|URL|PATH",
        rich_help_panel=IMAGERY,
    ),
]
MaxCloud = Annotated[
    float | None,
    typer.Option(
        help="Reject scenes that state more cloud than this, per cent.", metavar="PCT", rich_help_panel=IMAGERY
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        help="Name of a model, or folder of a bundle (default: the sensor's).",
        metavar="NAME|FOLDER",
        rich_help_panel=MODEL,
    ),
]
