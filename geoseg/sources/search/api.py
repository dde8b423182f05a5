"""Items of a STAC API, page by page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from geoseg.errors import SearchFailedError
from geoseg.sources.search.query import MOST_ITEMS, Query, RawItem, too_many
from geoseg.sources.search.source_policy import SourcePolicy
from geoseg.sources.search.web import BoundedIO, RefusedRequestError, server_words

PAGE = 200
"""Items per page: fewer requests. Speed only, every page is read."""

SMALLER_PAGES = (100, 50, 10)
"""Tried where a server says that ``limit`` is too large and does not say what it takes."""

MOST_BARREN_PAGES = 20
"""Pages in a row without an item that is new: a search that does not come forward."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page's request.

    Attributes:
        url: Its address.
        method: ``POST`` or ``GET``.
        body: Of a POST; parameters of a GET.
        headers: Further headers.
    """

    url: str
    method: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def key(self) -> str:
        """The same for two requests that ask the same."""
        return json.dumps([self.url, self.method, self.body, self.headers], sort_keys=True, default=str)


@dataclass(frozen=True, slots=True)
class SearchEndpoint:
    """The search of a STAC API.

    Attributes:
        url: Address of the search.
        method: ``POST`` or ``GET``.
        collections: STAC ids of the collections to search; empty: all.
        record: Name of the collection record of the items, where it is known beforehand.
    """

    url: str
    method: str = "POST"
    collections: tuple[str, ...] = ()
    record: str | None = None


def search_api(io: BoundedIO, endpoint: SearchEndpoint, query: Query) -> Iterator[RawItem]:
    """Yield every item that an API has for the query's box and dates.

    The box is asked for also where the area is a polygon: every API knows boxes, and the outline is tested here anyway.

    Args:
        io: Makes the requests.
        endpoint: The API's search.
        query: What is asked for.

    Raises:
        SearchFailedError: The API did not answer as one does.
        AreaTooLargeError: More items than a map would use.
    """
    trust: SourcePolicy = io.trust
    parameters = _parameters(query, endpoint.collections, endpoint.method)
    first = PageRequest(endpoint.url, endpoint.method, parameters, {})
    known: set[str] = set()
    for features in _pages(io, first, known):
        for item in features:
            known.add(_identity(item))
            if len(known) > MOST_ITEMS:
                raise too_many(query.subject)
            yield RawItem(item, _own_address(item, endpoint.url), trust, endpoint.record)


def find_search(landing: dict[str, Any], url: str) -> SearchEndpoint | None:
    """Find an API's search in its landing page; None where the document is not an API's landing page."""
    found = landing.get("links")
    links = [link for link in found if isinstance(link, dict)] if isinstance(found, list) else []
    endpoints: list[SearchEndpoint] = []
    for link in links:
        if link.get("rel") != "search" or not isinstance(link.get("href"), str) or not link["href"]:
            continue
        try:
            address = urljoin(f"{url}/", link["href"])
        except ValueError:
            continue
        if urlsplit(address).scheme in ("http", "https"):
            endpoints.append(SearchEndpoint(address, str(link.get("method") or "GET").upper()))
    return next((each for each in endpoints if each.method == "POST"), endpoints[0] if endpoints else None)


def _pages(io: BoundedIO, request: PageRequest, known: set[str]) -> Iterator[list[Any]]:
    """The features of each page; ``known`` grows while the pages are read, which tells whether they bring new items."""
    page, request = _first_page(io, request)
    asked, barren = {request.key}, 0
    while True:
        before = len(known)
        yield _features(page, request.url)
        barren = 0 if len(known) > before else barren + 1
        following = _next_request(page, request)
        if following is None or (barren and following.key in asked):
            return  # a server that links to the same page for ever has no more items
        if barren >= MOST_BARREN_PAGES:
            raise SearchFailedError(
                f"{_host(request.url)} sends page after page without a new item ({barren} in a row). Narrow the search."
            )
        asked.add(following.key)
        request = following
        page = io.json(request.url, request.method, headers=request.headers or None, parameters=request.body or None)


def _first_page(io: BoundedIO, request: PageRequest) -> tuple[Any, PageRequest]:
    """The first page, asked for again with a smaller ``limit`` where the server says that it is too large."""
    smaller = iter(SMALLER_PAGES)
    while True:
        try:
            return io.json(request.url, request.method, parameters=request.body), request
        except RefusedRequestError as error:
            if error.status not in (400, 413, 416, 422) or "limit" not in error.words.lower():
                raise
            limit = _allowed_limit(error.words, request.body["limit"]) or next(smaller, None)
            while limit is not None and limit >= request.body["limit"]:
                limit = next(smaller, None)
            if limit is None:
                raise
        request = PageRequest(request.url, request.method, {**request.body, "limit": limit}, request.headers)


def _allowed_limit(words: str, asked: int) -> int | None:
    """The largest number below ``asked`` in a server's words on ``limit``."""
    numbers = [int(number) for number in re.findall(r"(?<![\d.])\d{1,6}(?![\d.]*\d)", words)]
    return max((number for number in numbers if 1 <= number < asked), default=None)


def _features(page: Any, url: str) -> list[Any]:
    if isinstance(page, dict) and "features" in page:
        features = page["features"]
        if features is None:
            return []
        if isinstance(features, list):
            return features
    words = server_words(page) if isinstance(page, dict) else ""
    raise SearchFailedError(
        f"{_host(url)} answered the search without a list of items, so it is no STAC API's answer"
        + (f": {words}." if words else ".")
    )


def _next_request(page: dict[str, Any], request: PageRequest) -> PageRequest | None:
    """The request of the next page, as the STAC API specification has it: relative addresses and ``merge`` included."""
    links = page.get("links")
    found = [each for each in links if isinstance(each, dict)] if isinstance(links, list) else []
    link = next((each for each in found if each.get("rel") == "next"), None)
    if link is None:
        return None
    if not isinstance(link.get("href"), str):
        raise SearchFailedError(f"{_host(request.url)} links to a next page without an address: no STAC API does.")
    try:
        url = urljoin(request.url, link["href"])
        same_host = urlsplit(url).netloc == urlsplit(request.url).netloc
    except ValueError:
        raise SearchFailedError(f"{_host(request.url)} links to a next page at no valid address.") from None
    method = str(link.get("method") or "GET").upper()
    if method != "POST":
        return PageRequest(url, "GET", {}, {})
    body, headers = link.get("body"), link.get("headers")
    own = body if isinstance(body, dict) else {}
    merged = {**request.body, **own} if link.get("merge") or not own else own
    texts = {str(key): str(value) for key, value in headers.items()} if isinstance(headers, dict) and same_host else {}
    return PageRequest(url, "POST", merged, texts)


def _parameters(query: Query, collections: Sequence[str], method: str) -> dict[str, Any]:
    """What is asked of the API, as JSON of a POST or as the parameters of a GET."""
    post = method == "POST"
    bbox = [float(number) for number in query.area.bbox]
    asked: dict[str, Any] = {"limit": PAGE, "bbox": bbox if post else ",".join(f"{number:.10g}" for number in bbox)}
    if query.dates is not None:
        first, last = query.dates.interval
        asked["datetime"] = f"{first:%Y-%m-%dT%H:%M:%SZ}/{last:%Y-%m-%dT%H:%M:%SZ}"
    if collections:
        asked["collections"] = list(collections) if post else ",".join(collections)
    return asked


def _identity(item: Any) -> str:
    """What tells an item from others, also where it is no item."""
    return json.dumps([item.get("collection"), item.get("id")] if isinstance(item, dict) else item, default=str)


def _own_address(item: Any, search_url: str) -> str:
    """The item's address in its API, which relative hrefs start from."""
    root = search_url.split("?", maxsplit=1)[0].rsplit("/search", 1)[0]
    if not isinstance(item, dict):
        return root
    return f"{root}/collections/{quote(str(item.get('collection')))}/items/{quote(str(item.get('id')))}"


def _host(url: str) -> str:
    return urlsplit(url).hostname or "The catalogue"
