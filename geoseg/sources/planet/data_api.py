"""Scenes of Planet's Data API, described in STAC's words. They have no files until they are downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from geoseg.catalog.collections import PlanetData
from geoseg.errors import SearchFailedError
from geoseg.sources.planet.session import planet_data_api
from geoseg.sources.search.query import MOST_ITEMS, Query, RawItem, too_many
from geoseg.sources.search.source_policy import SourcePolicy


def search_planet(name: str, source: PlanetData, query: Query) -> Iterator[RawItem]:
    """Every scene Planet has for the query's area and dates and this account may download.

    Args:
        name: Of the collection record.
        source: Where it is.
        query: What is asked for.

    Raises:
        MissingCredentialsError: No key, or none that Planet takes.
        SearchFailedError: Planet did not answer as expected.
        AreaTooLargeError: More scenes than a map would use.
    """
    trust = SourcePolicy.of_url(source.url)
    with planet_data_api(source.url) as planet:
        answer = planet.search([source.item_type], _filter(query), limit=MOST_ITEMS + 1)
        for number, feature in enumerate(answer, start=1):
            if number > MOST_ITEMS:
                raise too_many(query.subject)
            yield RawItem(stac_item(feature), source.url, trust, name)


def _filter(query: Query) -> dict[str, Any]:
    """What the Data API is asked: meets the area, acquired in the dates, not a test image."""
    clauses: list[dict[str, Any]] = [
        {"type": "GeometryFilter", "field_name": "geometry", "config": query.area.geojson},
        {"type": "StringInFilter", "field_name": "quality_category", "config": ["standard"]},
    ]
    if query.dates is not None:
        first, last = (f"{time:%Y-%m-%dT%H:%M:%S.%fZ}" for time in query.dates.interval)
        clauses.append({"type": "DateRangeFilter", "field_name": "acquired", "config": {"gte": first, "lte": last}})
    return {"type": "AndFilter", "config": clauses}


def stac_item(feature: Any) -> dict[str, Any]:
    """A scene of the Data API as a STAC item without files; what may be downloaded is in ``pl:downloadable``.

    Raises:
        SearchFailedError: It is no scene of the Data API.
    """
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise SearchFailedError("Planet's Data API answered with something that is no scene.")
    may = [word.removeprefix("assets.").removesuffix(":download") for word in feature.get("_permissions") or ()]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": feature.get("id"),
        "collection": properties.get("item_type"),
        "geometry": feature.get("geometry"),
        "properties": {
            "datetime": properties.get("acquired"),
            "platform": str(properties.get("satellite_id") or ""),
            "eo:cloud_cover": _cloud_pct(properties),
            "instruments": [properties["instrument"]] if properties.get("instrument") else [],
            "pl:item_type": properties.get("item_type"),
            "pl:strip_id": properties.get("strip_id"),
            "pl:downloadable": sorted(may),
        },
        "assets": {},
    }


def _cloud_pct(properties: dict[str, Any]) -> float | None:
    """Cloud share 0..100: of UDM2 (``cloud_percent``), else of the older estimate (``cloud_cover``, 0..1)."""
    percent, share = properties.get("cloud_percent"), properties.get("cloud_cover")
    if percent is not None:
        return float(percent)
    return None if share is None else 100 * float(share)
