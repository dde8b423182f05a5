"""The Planet SDK, opened with the key of the environment, its failures as ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from geoseg.errors import MissingCredentialsError, SearchFailedError

KEY = "PL_API_KEY"
READ_TIMEOUT_S = 60.0


@contextmanager
def planet_data_api(url: str) -> Iterator[Any]:
    """Planet's Data API (``planet.sync.data.DataAPI``) at ``url``.

    Raises:
        MissingCredentialsError: ``PL_API_KEY`` is not set, or Planet does not take it.
        SearchFailedError: The SDK is not installed, or Planet did not answer.
    """
    key = os.environ.get(KEY)
    if not key:
        raise MissingCredentialsError(
            f"Planet's Data API wants a key: set {KEY}. "
            "An order on disk needs none: `geoseg catalog add FOLDER --sensor planetscope`."
        )
    try:
        from planet import Auth, Session
        from planet.exceptions import InvalidAPIKey, NoPermission, PlanetError
        from planet.specs import FetchBundlesSpecError
        from planet.sync.data import DataAPI
    except ImportError:
        raise SearchFailedError("Searching Planet wants its SDK: pip install 'geoseg[planet]'.") from None
    import httpx

    # the text of the SDK's errors may hold signed addresses: only their kind is passed on
    try:
        session = Session(auth=Auth.from_key(key), read_timeout_secs=READ_TIMEOUT_S)
        try:
            yield DataAPI(session, base_url=url)
        finally:
            session._call_sync(session.aclose())  # the SDK's synchronous face has no close of its own
    except (InvalidAPIKey, NoPermission) as error:
        raise MissingCredentialsError(
            f"Planet does not take the key in {KEY} for this ({type(error).__name__})."
        ) from None
    except (PlanetError, FetchBundlesSpecError, httpx.HTTPError) as error:
        raise SearchFailedError(
            f"Planet's Data API did not answer as expected ({type(error).__name__}). Try again later."
        ) from None
