"""STAC APIs that behave, and servers that do not: bounded in time, size, number, and in where they send us."""

from __future__ import annotations

import contextlib
import json
import pickle
import socket
import threading
import time

import pytest

import geoseg.sources.search.web as web
from geoseg.catalog.collections import collections
from geoseg.core.area import Area
from geoseg.core.request import Dates
from geoseg.errors import AreaTooLargeError, NoScenesError, SearchFailedError
from geoseg.sources.search import find_scenes
from geoseg.sources.search.api import SearchEndpoint, find_search
from geoseg.sources.search.source_policy import SourcePolicy
from geoseg.sources.search.web import BoundedIO
from tests.support.stac_samples import item, with_href

AREA = Area.from_bbox((8.2, 11.2, 8.6, 11.6))
MAY = Dates.parse("2024-05-01/2024-05-08")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The same retries, without the waiting between them."""
    monkeypatch.setattr(web, "RETRIES", web.RETRIES.new(backoff_factor=0))


def page(*items, **link):
    return {"type": "FeatureCollection", "features": list(items), "links": [link] if link else []}


def test_pages_are_followed(server):
    server.landing()
    server.says("/search", page(item("a"), rel="next", href=f"{server.url}/more", method="GET"))
    server.says("/more", page(item("b", at="2024-05-04T10:00:00Z")))
    found = find_scenes(AREA, MAY, "s2", server.url)
    assert [scene.id for scene in found.scenes] == ["a", "b"]
    asked = json.loads(server.asked[1][2])
    assert asked["bbox"] == list(AREA.bbox)
    assert asked["datetime"] == "2024-05-01T00:00:00Z/2024-05-08T23:59:59Z"


def test_a_named_catalogue_is_asked_for_its_collections(server, data, monkeypatch):
    """Earth Search serves one granule in two collections: both are asked for, Collection 1 is used."""
    names = ("sentinel-2-l2a", "sentinel-2-c1-l2a")
    files = {name: data / "stac_items" / f"earth-search-aws-element84-com_v1__{name}.json" for name in names}
    items = {name: json.loads(path.read_text()) for name, path in files.items()}
    for name in names:
        record = collections()[f"earth-search/{name}"]
        source = record.source.model_copy(update={"url": server.url})
        monkeypatch.setitem(collections(), f"earth-search/{name}", record.model_copy(update={"source": source}))
    server.answers["/search"] = lambda path, body: (
        200,
        {},
        json.dumps(page(items[json.loads(body)["collections"][0]])).encode(),
    )
    area, day = Area.from_bbox((-59.5, -60.45, -59.3, -60.35)), Dates.parse("2025-07-31")
    found = find_scenes(area, day, "s2", "earth-search")
    assert [scene.collection for scene in found.scenes] == ["earth-search/sentinel-2-c1-l2a"]
    assert [each.id for each in found.rejected] == ["S2B_20EPT_20250731_0_L2A"]
    alone = find_scenes(area, day, "s2", "earth-search/sentinel-2-l2a")
    assert [scene.id for scene in alone.scenes] == ["S2B_20EPT_20250731_0_L2A"]
    items["sentinel-2-c1-l2a"]["assets"]["scl"]["href"] = "https://evil.example.org/scl.tif"
    with pytest.raises(NoScenesError, match=r"evil\.example\.org, which is no host of earth-search"):
        find_scenes(area, day, "s2", "earth-search/sentinel-2-c1-l2a")


def test_a_search_by_get(server):
    server.says("/", {"type": "Catalog", "id": "a", "links": [{"rel": "search", "href": "./search"}]})
    server.says("/search", page(item("a")))
    assert [scene.id for scene in find_scenes(AREA, MAY, "s2", server.url).scenes] == ["a"]
    assert server.asked[1][:2][0] == "GET"
    assert "bbox=8.2" in server.asked[1][1]


def test_a_static_catalogue_on_a_server(server):
    server.says("/catalog.json", {"type": "Catalog", "id": "c", "links": [{"rel": "item", "href": "items/a.json"}]})
    server.says("/items/a.json", with_href("../data/a.tif"))
    found = find_scenes(AREA, MAY, "s2", f"{server.url}/catalog.json")
    assert found.scenes[0].item["assets"]["data"]["href"] == f"{server.url}/data/a.tif"


def test_busy_servers_are_asked_again(server):
    server.landing()
    server.says("/search", {}, status=429, **{"retry-after": "3600"})
    server.says("/search", {}, status=503)
    server.says("/search", page(item("a")))
    assert [scene.id for scene in find_scenes(AREA, MAY, "s2", server.url).scenes] == ["a"]


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (500, {}, "HTTP 500"),
        (404, {}, "HTTP 404"),
        (401, {}, "wants credentials"),
        (200, [], "is no STAC|no STAC"),
        (200, {"features": "many"}, "no STAC|left"),
        (200, {"features": [1]}, "no STAC"),
        (200, page(item("a"), rel="next"), "no STAC"),
    ],
)
def test_answers_that_are_none(server, status, content, words):
    server.landing()
    server.says("/search", content, status=status)
    with pytest.raises((SearchFailedError, NoScenesError), match=words) as caught:
        find_scenes(AREA, MAY, "s2", server.url)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_web_page_is_no_catalogue(server):
    server.answers["/"] = [(200, {}, b"<html>hello</html>")]
    with pytest.raises(SearchFailedError, match="not JSON"):
        find_scenes(AREA, MAY, "s2", server.url)


def test_nobody_there_names_the_host_alone():
    with pytest.raises(SearchFailedError) as caught:
        find_scenes(AREA, MAY, "s2", "http://127.0.0.1:9/secret-path")
    assert "127.0.0.1 did not answer" in str(caught.value)
    assert "secret-path" not in str(caught.value)


def test_a_catalogue_without_end_is_left(server):
    def more(path, body):
        first = json.loads(body).get("from", 0)
        far = [item(f"x{n}", west=40.0) for n in range(first, first + 100)]
        link = {"rel": "next", "href": "search", "method": "POST", "merge": True, "body": {"from": first + 100}}
        return 200, {}, json.dumps(page(*far, **link)).encode()

    server.landing()
    server.answers["/search"] = more
    with pytest.raises(AreaTooLargeError, match="More than 1000"):
        find_scenes(AREA, MAY, "s2", server.url)
    assert len(server.asked) < 20


@pytest.mark.parametrize("advances", [False, True])
def test_a_next_link_without_end_ends(server, advances):
    """The same page for ever is the last one; other pages without a new item end in an error."""

    def again(path, body):
        number = json.loads(body).get("page", 0) + 1
        body = {"page": number} if advances else {}
        link = {"rel": "next", "href": f"{server.url}/search", "method": "POST", "body": body, "merge": True}
        return 200, {}, json.dumps(page(item("a"), **link)).encode()

    server.landing()
    server.answers["/search"] = again
    if advances:
        with pytest.raises(SearchFailedError, match="without a new item"):
            find_scenes(AREA, MAY, "s2", server.url)
    else:
        assert [scene.id for scene in find_scenes(AREA, MAY, "s2", server.url).scenes] == ["a"]
    assert len(server.asked) < 30


@pytest.mark.parametrize("href", ["/search", "search", "./search", "?token=1", "https://a.org/%zz", "http://[::1/x"])
def test_next_links_are_relative_to_the_page(server, href):
    def two(path, body):
        asked = json.loads(body) if body else {}
        if "token" in asked or "token" in path:
            return 200, {}, json.dumps(page(item("b"))).encode()
        link = {"rel": "next", "href": href, "method": "GET" if href.startswith("?") else "POST"}
        return 200, {}, json.dumps(page(item("a"), **link, merge=True, body={"token": 1})).encode()

    server.landing()
    server.answers["/search"] = two
    if href.startswith("http"):
        with pytest.raises(SearchFailedError):
            find_scenes(AREA, MAY, "s2", server.url)
    else:
        assert [scene.id for scene in find_scenes(AREA, MAY, "s2", server.url).scenes] == ["a", "b"]


@pytest.mark.parametrize(
    ("most", "status", "words"),
    [
        (100, 400, {"code": "BadRequest", "description": "limit must be at most 100"}),
        (10, 422, {"detail": [{"loc": ["body", "limit"], "msg": "limit: ensure this value is at most ten"}]}),
        (25, 400, {"message": "The limit parameter exceeds 25"}),
    ],
)
def test_the_limit_is_lowered_where_the_server_says_so(server, most, status, words):
    def answer(path, body):
        fits = json.loads(body)["limit"] <= most
        return (200, {}, json.dumps(page(item("a"))).encode()) if fits else (status, {}, json.dumps(words).encode())

    server.landing()
    server.answers["/search"] = answer
    assert [scene.id for scene in find_scenes(AREA, MAY, "s2", server.url).scenes] == ["a"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"code": "BadRequest", "description": "bbox is not allowed for this collection"}),
        (400, {"code": "BadRequest", "description": "bbox is not allowed for this collection"}),
        (404, {"detail": "bbox is not allowed for this collection"}),
        (422, {"detail": [{"loc": ["bbox"], "msg": "bbox is not allowed for this collection"}]}),
        (500, {"error": {"message": "bbox is not allowed for this collection"}}),
        (403, {"errors": ["bbox is not allowed for this collection\u001b[31m"]}),
    ],
)
def test_the_servers_own_words_are_shown(server, status, answer):
    server.landing()
    server.says("/search", answer, status=status)
    with pytest.raises(SearchFailedError, match="bbox is not allowed for this collection") as caught:
        find_scenes(AREA, MAY, "s2", server.url)
    assert str(caught.value).isprintable()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_features_that_are_null_are_none(server):
    server.landing()
    server.says("/search", {"type": "FeatureCollection", "features": None})
    with pytest.raises(NoScenesError):
        find_scenes(AREA, MAY, "s2", server.url)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"])
def test_a_server_that_drips_is_left_at_the_deadline(monkeypatch, head):
    monkeypatch.setattr(web, "ANSWER_DEADLINE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def drip():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(head)
                while not stop.wait(0.05):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(SearchFailedError, match="within 1 seconds"):
            find_scenes(AREA, MAY, "s2", f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert time.monotonic() - began < 10
        stop.set()
        thread.join()


@pytest.mark.parametrize("unit", [b"[[]],", b'{"a":1},', b"1,"])
def test_an_answer_of_too_many_values_is_not_read(server, monkeypatch, unit):
    monkeypatch.setattr(web, "MOST_VALUES", 1000)
    monkeypatch.setattr(web.parse_json, "__defaults__", (1000,))
    server.landing()
    server.answers["/search"] = [(200, {}, b'{"features": [' + unit * 2000 + b"null]}")]
    with pytest.raises(SearchFailedError, match="more than 1,000 values"):
        find_scenes(AREA, MAY, "s2", server.url)


@pytest.mark.parametrize("href", ["file:///etc/passwd", "data:text/json,{}", "NETCDF:x", "ftp://a.org/s", "", None, 7])
def test_search_links_of_other_schemes_are_passed_by(href):
    links = [{"rel": "search", "href": href, "method": "POST"}]
    assert find_search({"links": links}, "https://a.org/api") is None
    links.append({"rel": "search", "href": "https://a.org/s", "method": "POST"})
    assert find_search({"links": links}, "https://a.org/api") == SearchEndpoint("https://a.org/s", "POST")
    assert find_search({"links": href}, "https://a.org/api") is None


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    "damage",
    [
        lambda each: each["properties"].update({"proj:transform": [10, 0, 0, 0, -10, "HUGE"]}),
        lambda each: each["properties"].update({"eo:cloud_cover": "HUGE"}),
        lambda each: each["properties"].update({"proj:shape": ["HUGE", 1]}),
        lambda each: each.update({"bbox": [0, 0, "HUGE", 1], "geometry": None}),
        lambda each: each["geometry"]["coordinates"][0].__setitem__(0, ["HUGE", 1]),
        lambda each: each["properties"].update({"sat:relative_orbit": "HUGE"}),
    ],
)
@pytest.mark.parametrize("digits", [HUGE, "-" + HUGE, "1e999", "9" * 5000, "1" + "0" * 308])
def test_one_item_with_a_number_beyond_float_does_not_stop_the_map(server, damage, digits):
    bad = item("bad")
    damage(bad)
    text = json.dumps(page(bad, item("good"))).replace('"HUGE"', digits)
    server.landing()
    server.answers["/search"] = [(200, {}, text.encode())]
    found = find_scenes(AREA, MAY, "s2", server.url)
    assert "good" in [scene.id for scene in found.scenes]


def test_redirects_are_followed_a_few_times_and_never_away(server):
    server.answers["/"] = [(302, {"location": "/api"}, b"")]
    server.says("/api", {"type": "Catalog", "id": "a", "links": [{"rel": "search", "href": f"{server.url}/search"}]})
    server.says("/search", page(item("a")))
    assert find_scenes(AREA, MAY, "s2", server.url).scenes
    server.answers["/"] = [(302, {"location": "/"}, b"")]
    with pytest.raises(SearchFailedError, match="without end"):
        find_scenes(AREA, MAY, "s2", server.url)
    server.answers["/"] = [(302, {"location": "http://10.0.0.1/admin"}, b"")]
    with pytest.raises(SearchFailedError, match=r"on to 10\.0\.0\.1"):
        find_scenes(AREA, MAY, "s2", server.url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x",
        "http://169.254.169.254/x",
        "http://metadata/x",
        "file:///etc/passwd",
        "ftp://a.org/x",
        "https://me@stac.example.org/x",
    ],
)
def test_a_remote_catalogue_sends_us_nowhere_private(url):
    with pytest.raises(SearchFailedError, match="will not go"):
        BoundedIO(SourcePolicy(local=False, host="stac.example.org")).request(url)


def test_too_large_an_answer_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(web, "LARGEST_ANSWER", 1000)
    server.says("/", {"type": "Catalog", "padding": "x" * 5000})
    with pytest.raises(SearchFailedError, match="answered with more than"):
        find_scenes(AREA, MAY, "s2", server.url)


def test_too_many_requests_are_not_made(server, monkeypatch):
    monkeypatch.setattr(web, "MOST_REQUESTS", 5)
    links = [{"rel": "item", "href": f"items/{n}.json"} for n in range(20)]
    server.says("/catalog.json", {"type": "Catalog", "id": "c", "links": links})
    for n in range(20):
        server.says(f"/items/{n}.json", item(f"n{n}", west=40.0))
    with pytest.raises(SearchFailedError, match="more than 5 requests"):
        find_scenes(AREA, MAY, "s2", f"{server.url}/catalog.json")


def test_a_search_link_is_found_or_not():
    links = [
        {"rel": "search", "href": "s", "method": "GET"},
        {"rel": "search", "href": "https://b.org/s", "method": "POST"},
    ]
    assert find_search({"links": links}, "https://a.org/api") == SearchEndpoint("https://b.org/s", "POST")
    assert find_search({"links": links[:1]}, "https://a.org/api") == SearchEndpoint("https://a.org/api/s", "GET")
    assert find_search({"links": [None, {"rel": "search"}]}, "https://a.org") is None
