"""Items of a local stac-geoparquet file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geoseg.errors import SearchFailedError
from geoseg.sources.search.query import Query, RawItem
from geoseg.sources.search.source_policy import SourcePolicy

BATCH = 1000


def search_parquet(path: str, query: Query) -> Iterator[RawItem]:
    """Every item whose box meets the area and whose date the dates; read in batches, never as a whole.

    Raises:
        SearchFailedError: It is no stac-geoparquet.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds
    from stac_geoparquet.arrow import stac_table_to_items

    try:
        table = ds.dataset(path, format="parquet")
        if not {"id", "assets", "geometry"} <= set(table.schema.names):
            raise SearchFailedError(
                f"{path} is a parquet file, but no stac-geoparquet: it has no id, assets and geometry."
            )
        for batch in table.to_batches(filter=_filter(table.schema, query), batch_size=BATCH):
            if batch.num_rows:
                for row in stac_table_to_items(pa.Table.from_batches([batch])):
                    yield RawItem(_item(row), str(Path(path)), SourcePolicy(local=True))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, SearchFailedError):
            raise
        raise SearchFailedError(f"{path} is no stac-geoparquet that can be read ({type(error).__name__}).") from None


def _filter(schema: Any, query: Query) -> Any:
    """What the file itself can leave out; None where it lacks the columns (then every item is tested afterwards)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    clauses = []
    if "bbox" in schema.names and pa.types.is_struct(schema.field("bbox").type):
        west, south, east, north = query.area.bbox
        corner = {name: pc.field("bbox", name) for name in ("xmin", "ymin", "xmax", "ymax")}
        clauses += [corner["xmin"] <= east, corner["xmax"] >= west, corner["ymin"] <= north, corner["ymax"] >= south]
    if query.dates is not None and "datetime" in schema.names:
        kind = schema.field("datetime").type
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            first, last = query.dates.interval
            time = pc.field("datetime")
            # an item without one instant (start and end instead) is judged afterwards
            clauses.append(time.is_null() | ((time >= pa.scalar(first, kind)) & (time <= pa.scalar(last, kind))))
    if not clauses:
        return None
    whole = clauses[0]
    for clause in clauses[1:]:
        whole &= clause
    return whole


def _as_json(value: Any) -> Any:
    """A value of a table as STAC's JSON has it: without nulls where other items have a value, NaN as the word."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _item(row: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = _as_json(row)
    assets = item.get("assets") or {}
    return {**item, "assets": {name: asset for name, asset in assets.items() if asset.get("href")}}
