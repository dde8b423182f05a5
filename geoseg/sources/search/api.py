"""Items of a STAC API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from geoseg.errors import GeosegError, SearchFailedError
from geoseg.sources.search.query import MOST_ITEMS, Offer, Query, too_many
from geoseg.sources.search.source_policy import Trust
from geoseg.sources.search.web import BoundedIO

PAGE = 200


def search_api(
    io: BoundedIO,
    search_url: str,
    query: Query,
    *,
    method: str = "POST",
    collections: Sequence[str] = (),
    record: str | None = None,
) -> Iterator[Offer]:
    """Every item an API has for the query's box and dates.

    The box is asked for also where the area is a polygon: every API knows boxes, and the outline is tested here anyway.

    Args:
        io: What asks.
        search_url: The API's search address.
        query: What is asked for.
        method: ``POST`` or ``GET``.
        collections: STAC ids of the collections; empty: all.
        record: Collection record the items belong to, where it is known beforehand.

    Raises:
        SearchFailedError: The API did not answer as one does.
        AreaTooLargeError: More items than a map would use.
    """
    from pystac_client.item_search import ItemSearch

    trust: Trust = io.trust
    try:
        search = ItemSearch(
            search_url,
            method=method,
            stac_io=io,
            max_items=MOST_ITEMS + 1,
            limit=PAGE,
            bbox=query.area.bbox,
            datetime=_interval(query),
            collections=list(collections) or None,
        )
        for number, item in enumerate(search.items_as_dicts(), start=1):
            if number > MOST_ITEMS:
                raise too_many(query.subject)
            yield Offer(item, _own_address(item, search_url), trust, record)
    except GeosegError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        host = urlsplit(search_url).hostname
        raise SearchFailedError(
            f"{host} answered a search with something that is no STAC ({type(error).__name__})."
        ) from None


def search_link(landing: dict[str, Any], url: str) -> tuple[str, str] | None:
    """Address and method of an API's search, or None where the document is no API's landing page."""
    links = [link for link in landing.get("links") or () if isinstance(link, dict) and link.get("rel") == "search"]
    hrefs = [
        (urljoin(f"{url}/", str(link["href"])), str(link.get("method") or "GET").upper())
        for link in links
        if link.get("href")
    ]
    return next((pair for pair in hrefs if pair[1] == "POST"), hrefs[0] if hrefs else None)


def _interval(query: Query) -> str | None:
    if query.dates is None:
        return None
    first, last = query.dates.interval
    return f"{first:%Y-%m-%dT%H:%M:%SZ}/{last:%Y-%m-%dT%H:%M:%SZ}"


def _own_address(item: Any, search_url: str) -> str:
    """The item's address in its API, which relative hrefs start from."""
    root = search_url.rsplit("/search", 1)[0]
    if not isinstance(item, dict):
        return root
    return f"{root}/collections/{quote(str(item.get('collection')))}/items/{quote(str(item.get('id')))}"
