"""How files are reached: paths GDAL understands, signing at read time, credentials from the environment.

Settings of GDAL are captured where the Cube is made and restored wherever it is read. Secrets are not among them: a
dask worker takes its credentials from its own environment, and signs with its own tokens.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from geoseg.core.open_raster import NO_NETWORK
from geoseg.core.redact import scrubbed_text
from geoseg.errors import MissingCredentialsError, SceneUnreadableError
from geoseg.readers.read_spec import SceneReadSpec

S3_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

FIXED_SETTINGS = {**NO_NETWORK, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
"""What nobody overrides: no file is opened, near or far, but those that ``open_raster`` allows."""

GDAL_SETTINGS: dict[str, str] = {
    # GDAL itself tells passing errors (429, 5xx, a broken connection) from final ones (403, 404).
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    # Bytes of decoded blocks, and of fetched ranges: what bounds memory beside the tiles themselves.
    "GDAL_CACHEMAX": "134217728",
    "CPL_VSIL_CURL_CACHE_SIZE": "67108864",
    "VSI_CACHE": "FALSE",
}

FORWARDED_SETTINGS = frozenset(GDAL_SETTINGS) | {
    "AWS_DEFAULT_REGION",
    "AWS_HTTPS",
    "AWS_REGION",
    "AWS_REQUEST_PAYER",
    "AWS_VIRTUAL_HOSTING",
    "CPL_CURL_VERBOSE",
    "CPL_DEBUG",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS",
    "CPL_VSIL_CURL_CHUNK_SIZE",
    "CPL_VSIL_CURL_USE_HEAD",
    "GDAL_BAND_BLOCK_CACHE",
    "GDAL_HTTP_LOW_SPEED_LIMIT",
    "GDAL_HTTP_LOW_SPEED_TIME",
    "GDAL_HTTP_MAX_TOTAL_CONNECTIONS",
    "GDAL_HTTP_RETRY_CODES",
    "GDAL_HTTP_TCP_KEEPALIVE",
    "GDAL_HTTP_VERSION",
    "GDAL_INGESTED_BYTES_AT_OPEN",
    "GDAL_NUM_THREADS",
    "GTIFF_IGNORE_READ_ERRORS",
    "VSI_CACHE_SIZE",
}
"""Settings of the caller that may travel: how fast and how patiently to read. No name here can hold a secret."""


def redact(text: str) -> str:
    """``text`` on one line without the query strings, user names and tokens that addresses may carry."""
    return scrubbed_text(" ".join(text.split()))


class Scrubbing(logging.Filter):
    """Takes tokens out of what rasterio logs: GDAL's errors name the address that failed, signature and all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record, scrubbed."""
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True


for _name in ("rasterio", "rasterio._base", "rasterio._env", "rasterio._err", "rasterio._io", "rasterio.env"):
    logging.getLogger(_name).addFilter(Scrubbing())


def captured_settings() -> tuple[tuple[str, str], ...]:
    """GDAL settings to read with: ours, overridden by the harmless ones of the caller's ``rasterio.Env``."""
    import rasterio.env

    own: Mapping[str, object] = rasterio.env.getenv() if rasterio.env.hasenv() else {}
    kept = {key: str(value) for key, value in own.items() if key in FORWARDED_SETTINGS}
    return tuple(sorted({**GDAL_SETTINGS, **kept, **FIXED_SETTINGS}.items()))


def check_credentials(spec: SceneReadSpec) -> None:
    """Refuse before any pixel is opened what could not be opened anyway.

    Raises:
        MissingCredentialsError: The scene lies on an S3 service and the environment holds no keys for it.
    """
    missing = [name for name in S3_VARIABLES if not os.environ.get(name)]
    if spec.access == "s3" and missing:
        where = spec.s3_endpoint or "its S3 bucket"
        raise MissingCredentialsError(
            f"Scene {spec.id} lies on {where}, which wants credentials: set {' and '.join(missing)}."
        )


@contextmanager
def gdal_env(spec: SceneReadSpec, settings: tuple[tuple[str, str], ...]) -> Iterator[None]:
    """GDAL set up for the files of one scene, in this thread, for as long as the block runs."""
    import rasterio

    # rasterio hands the cache size to GDAL as a number, all else as text
    options: dict[str, str | int] = {key: int(text) if key == "GDAL_CACHEMAX" else text for key, text in settings}
    if spec.s3_endpoint:
        options |= {"AWS_S3_ENDPOINT": spec.s3_endpoint, "AWS_VIRTUAL_HOSTING": "FALSE"}
    if spec.access == "s3":
        options["CPL_AWS_AUTODETECT_EC2"] = "NO"  # keys come from the environment, never from a cloud's own address
    else:
        options["AWS_NO_SIGN_REQUEST"] = "YES"  # no key, and no look for one, where the record does not ask for it
    if spec.region:
        options["AWS_REGION"] = spec.region
    if spec.requester_pays:
        options["AWS_REQUEST_PAYER"] = "requester"
    with rasterio.Env(**options):
        yield


def url_signer(spec: SceneReadSpec) -> Callable[[str], str]:
    """What turns an asset's address into one GDAL can open now; called at read time, never earlier."""
    if spec.access == "planetary-computer":
        return _signed_path
    return gdal_path


def _signed_path(href: str) -> str:
    """Sign for the Planetary Computer: tokens are cached, and asked for again a minute before they expire."""
    if not href.startswith(("https://", "http://")):
        return gdal_path(href)  # a person's own copy of a scene, in the same layout
    import requests

    try:
        return gdal_path(str(signing().sign_url(href)))
    except (requests.RequestException, ValueError) as error:
        raise SceneUnreadableError(f"{redact(href)} could not be signed: {_signing_fault(error)}.") from None


def forget_tokens(spec: SceneReadSpec) -> None:
    """Let the next address be signed with a new token."""
    if spec.access == "planetary-computer":
        signing().TOKEN_CACHE.clear()


@cache
def signing() -> ModuleType:
    """``planetary_computer.sas``, which caches tokens for this process."""
    with warnings.catch_warnings():
        # it configures its pydantic models in a way that pydantic 2 announces to drop; nothing we could act on
        warnings.simplefilter("ignore", DeprecationWarning)
        import planetary_computer.sas as module
    return module  # type: ignore[no-any-return]


def _signing_fault(error: Exception) -> str:
    response = getattr(error, "response", None)
    return f"the token service answered {response.status_code}" if response is not None else type(error).__name__


def gdal_path(href: str) -> str:
    """An href as GDAL opens it: plain path, ``/vsicurl/`` or ``/vsis3/``.

    Raises:
        SceneUnreadableError: A scheme that no asset of ours has.
    """
    parts = urlsplit(href)
    if parts.scheme in ("http", "https"):
        return f"/vsicurl/{href}"
    if parts.scheme == "s3":
        return f"/vsis3/{parts.netloc}{parts.path}"
    if parts.scheme == "file":
        return unquote(parts.path)
    if parts.scheme and not Path(href).is_absolute():
        raise SceneUnreadableError(f"{redact(href)} is no address geoseg reads (http, https, s3, file or a path).")
    return href
