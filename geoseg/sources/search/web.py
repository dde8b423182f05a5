"""Asking a server, with bounds on what it can do to us: time, size, redirects, answers, where it sends us."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from pystac_client.stac_api_io import StacApiIO
from urllib3.util.retry import Retry

from geoseg.errors import SearchFailedError
from geoseg.sources.search.source_policy import Trust, is_loopback, is_public, leads_home

TIMEOUT_S = (10.0, 60.0)
LARGEST_ANSWER = 64 * 2**20
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


class BoundedIO(StacApiIO):  # type: ignore[misc]  # pystac-client is untyped here
    """Reads for one catalogue.

    Attributes:
        trust: Where it may send us.
    """

    def __init__(self, trust: Trust) -> None:
        super().__init__(max_retries=RETRIES)
        self.trust = trust
        self._requests = 0

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text at an address.

        Raises:
            SearchFailedError: It could not be had within the bounds.
        """
        post = (method or "GET").upper() == "POST"
        url, query = href, None if post else parameters
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url)
            try:
                answer = self.session.request(
                    "POST" if post else "GET",
                    url,
                    headers=headers,
                    params=query,
                    json=parameters if post else None,
                    timeout=TIMEOUT_S,
                    stream=True,
                    allow_redirects=False,
                )
                with answer:
                    if not answer.is_redirect:
                        return self._text(answer)
                    url, query = urljoin(url, answer.headers["location"]), None
            except (requests.RequestException, ValueError) as error:
                raise SearchFailedError(
                    f"{self._host(url)} did not answer ({_why(error)}). Try again later, or another --catalog."
                ) from None
        raise SearchFailedError(f"{self._host(href)} sends from one address to the next without end.")

    def _check(self, url: str) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise SearchFailedError(
                f"{self._host(url)} wants more than {MOST_REQUESTS} requests for one search. Narrow the search."
            )
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        known = host == self.trust.host or (self.trust.local and is_loopback(host))
        plain = parts.scheme in ("http", "https") and parts.username is None
        if not plain or not (known or (is_public(host) and not leads_home(host))):
            raise SearchFailedError(
                f"{self.trust.host} sends the search on to {host or 'no host'}, where it will not go."
            )

    def _text(self, answer: requests.Response) -> str:
        host = self._host(str(answer.url))
        if answer.status_code in (401, 403):
            raise SearchFailedError(
                f"{host} refused the search (HTTP {answer.status_code}): it wants credentials geoseg does not send."
            )
        if answer.status_code >= 400:
            raise SearchFailedError(
                f"{host} answered HTTP {answer.status_code}. Try again later, or check the address."
            )
        body = bytearray()
        for piece in answer.iter_content(2**16):
            body += piece
            if len(body) > LARGEST_ANSWER:
                raise SearchFailedError(
                    f"{host} answered with more than {LARGEST_ANSWER // 2**20} MB. Narrow the search."
                )
        return body.decode("utf-8")

    @staticmethod
    def _host(url: str) -> str:
        return urlsplit(url).hostname or "The catalogue"


def _why(error: Exception) -> str:
    """The kind of failure; the text of such errors holds addresses with their queries."""
    return type(error).__name__
