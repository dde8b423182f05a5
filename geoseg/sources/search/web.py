"""Ask a server, with bounds on what it can do to us: time, size, number of requests, and where it sends us."""

from __future__ import annotations

import json
import re
import threading
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from geoseg.errors import SearchFailedError
from geoseg.sources.search.source_policy import SourcePolicy, is_loopback, is_public, leads_home

TIMEOUT_S = (10.0, 60.0)
"""For the connection, and between two pieces of an answer."""

ANSWER_DEADLINE_S = 150.0
"""For a whole answer with its retries: a server that sends a byte a second never lets ``TIMEOUT_S`` pass."""

LARGEST_ANSWER = 32 * 2**20
MOST_VALUES = 3_000_000
"""Brackets and commas of an answer: each becomes an object of about 60 bytes. A page of 200 items has 500,000."""

MOST_REDIRECTS = 5
MOST_REQUESTS = 2000
RETRIES = Retry(
    total=4,
    backoff_factor=0.5,
    backoff_max=15,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,  # a STAC search is a POST and changes nothing
    raise_on_status=False,
    respect_retry_after_header=False,  # or a server could hold us for hours
)
LONGEST_INTEGER = 300
"""Digits; 1e308 is the largest float. A longer integer is read as infinity, as a float of that size is."""


class RefusedRequestError(SearchFailedError):
    """A server answered with a status of 400 or above; its own words are in the message."""

    def __init__(self, message: str, status: int = 0, words: str = "") -> None:
        super().__init__(message)
        self.status, self.words = status, words

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling with all attributes."""
        return type(self), (str(self), self.status, self.words)


class BoundedIO:
    """Requests for one catalogue.

    Attributes:
        trust: Where it may send us.
    """

    def __init__(self, trust: SourcePolicy) -> None:
        self.trust = trust
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
        self._requests = 0

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> bytes:
        """Get what lies at an address, or is answered to ``parameters``.

        Raises:
            SearchFailedError: It could not be had within the bounds.
            RefusedRequestError: The server answered with an error.
        """
        post = (method or "GET").upper() == "POST"
        url, query = href, None if post else parameters
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url)
            options: dict[str, Any] = {"headers": headers, "params": query, "json": parameters if post else None}
            status, location, body = self._within_deadline("POST" if post else "GET", url, options)
            if location is None:
                return self._accepted(url, status, body)
            url, query = urljoin(url, location), None
        raise SearchFailedError(f"{self._host(href)} sends from one address to the next without end.")

    def json(self, href: str, method: str | None = None, **request: Any) -> Any:
        """Like :meth:`request`, the answer read as JSON.

        Raises:
            SearchFailedError: It could not be had within the bounds, or is not JSON.
        """
        body = self.request(href, method, **request)
        try:
            return parse_json(body)
        except ValueError as error:
            raise SearchFailedError(
                f"{self._host(href)} answered with something that is not JSON ({error}). Is this the address of a STAC "
                "catalogue?"
            ) from None

    def _within_deadline(self, method: str, url: str, options: dict[str, Any]) -> tuple[int, str | None, bytes]:
        """Ask in a thread that is left behind at the deadline: no timeout of a socket bounds a whole answer."""
        answers: list[tuple[int, str | None, bytes] | Exception] = []

        def ask() -> None:
            try:
                answers.append(self._ask(method, url, options))
            except Exception as error:  # noqa: BLE001  # raised again below, where someone listens
                answers.append(error)

        thread = threading.Thread(target=ask, name="search", daemon=True)
        thread.start()
        thread.join(ANSWER_DEADLINE_S)
        if not answers:
            self.session.close()
            raise SearchFailedError(
                f"{self._host(url)} did not finish its answer within {ANSWER_DEADLINE_S:g} seconds. Try again later, "
                "or another --catalog."
            )
        answer = answers[0]
        if isinstance(answer, requests.RequestException | ValueError):
            raise SearchFailedError(
                f"{self._host(url)} did not answer ({_why(answer)}). Try again later, or another --catalog."
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ask(self, method: str, url: str, options: dict[str, Any]) -> tuple[int, str | None, bytes]:
        """Status, address of a redirect, and body of one answer."""
        answer = self.session.request(method, url, timeout=TIMEOUT_S, stream=True, allow_redirects=False, **options)
        with answer:
            if answer.is_redirect:
                return answer.status_code, answer.headers["location"], b""
            body = bytearray()
            for piece in answer.iter_content(2**16):
                body += piece
                if len(body) > LARGEST_ANSWER:
                    raise SearchFailedError(
                        f"{self._host(url)} answered with more than {LARGEST_ANSWER // 2**20} MB. Narrow the search."
                    )
            return answer.status_code, None, bytes(body)

    def _check(self, url: str) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise SearchFailedError(
                f"{self._host(url)} wants more than {MOST_REQUESTS} requests for one search. Narrow the search."
            )
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
        except ValueError:
            raise SearchFailedError(f"{self.trust.host} sends the search on to an address that is not valid.") from None
        known = host == self.trust.host or (self.trust.local and is_loopback(host))
        plain = parts.scheme in ("http", "https") and parts.username is None
        if not plain or not (known or (is_public(host) and not leads_home(host))):
            scheme = "" if parts.scheme in ("http", "https") else f" ({parts.scheme or 'no scheme'})"
            raise SearchFailedError(
                f"{self.trust.host} sends the search on to {host or 'no host'}{scheme}, where it will not go."
            )

    def _accepted(self, url: str, status: int, body: bytes) -> bytes:
        if status < 400:
            return body
        host, words = self._host(url), server_words(body)
        said = f": {words}" if words else ""
        if status in (401, 403):
            raise RefusedRequestError(
                f"{host} refused the search (HTTP {status}{said}): it wants credentials geoseg does not send.",
                status,
                words,
            )
        advice = "Try again later." if status >= 500 or status == 429 else "Check the address, or change the search."
        raise RefusedRequestError(f"{host} answered HTTP {status}{said}. {advice}", status, words)

    @staticmethod
    def _host(url: str) -> str:
        try:
            return urlsplit(url).hostname or "The catalogue"
        except ValueError:
            return "The catalogue"


def parse_json(body: bytes, most_values: int = MOST_VALUES) -> Any:
    """Read JSON whose objects fit into memory; an integer beyond float becomes infinity.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or holds too many values; the message says which.
    """
    values = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if values > most_values:
        raise ValueError(f"it holds more than {most_values:,} values")
    try:
        return json.loads(body.decode("utf-8-sig"), parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(type(error).__name__) from None


def server_words(body: bytes | dict[str, Any], longest: int = 200) -> str:
    """Find the reason that a server gives in an error's body; "" where it gives none that a person can read."""
    document: Any = body
    if isinstance(body, bytes):
        if len(body) > 2**16:
            return ""
        try:
            document = parse_json(body)
        except ValueError:
            return ""
    words = _reason_in(document)
    printable = "".join(each if each.isprintable() else " " for each in words)
    short = " ".join(re.sub(r"(?i)https?://\S+", "(address)", printable).split()).rstrip(".")
    return short if len(short) <= longest else f"{short[: longest - 3]}..."


def _reason_in(document: Any, depth: int = 0) -> str:
    if isinstance(document, str):
        return document
    if isinstance(document, list) and document and depth < 4:
        return _reason_in(document[0], depth + 1)
    if not isinstance(document, dict) or depth >= 4:
        return ""
    for key in ("description", "detail", "message", "msg", "title", "error", "errors", "code"):
        if words := _reason_in(document.get(key), depth + 1):
            return words
    return ""


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= LONGEST_INTEGER else float("-inf" if text.startswith("-") else "inf")


def _why(error: Exception) -> str:
    """The kind of failure; the text of such errors holds addresses with their queries."""
    return type(error).__name__
