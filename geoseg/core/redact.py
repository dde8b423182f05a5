"""Secrets taken out of whatever is written down or shown: records, messages, logs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
MIN_SECRET = 6
"""Shorter values are not secrets, and hiding them would tear holes into ordinary words."""

_USER = re.compile(r"(?<=://)[^/\s@]*@")
_ADDRESS = re.compile(r"(?i)([a-z][a-z0-9+.-]*(?:://|%3a%2f%2f)[^\s\"'<>?#]*?)(?:[?#]|%3f|%23)[^\s\"'<>]*")
_QUERY = re.compile(r"(?i)(?:\?|%3f)(?=[^\s\"'<>]*(?:=|%3d))[^\s\"'<>]*")
_AUTHORIZATION = re.compile(
    r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|api-key|token)\s+)?)[^\s,;'\"]+"
)
_SCHEME = re.compile(r"(?i)\b(bearer|api-key|(?-i:Basic))\s+[\w.~+/=-]{8,}")
_NAMED = re.compile(
    r"(?i)((?:\b|_|-)(?:sig|signature|token|secret|api[-_]?key|access[-_]?key(?:[-_]id)?|key[-_]id|passwd|password|userpwd|"
    r"credential|cookie|bearer|x-amz-[a-z-]+)['\"]?)(?:(=|%3d)[^&\s'\"<>]+|(:\s*['\"]?)(?=\S*\d)[^&\s'\"<>]{6,})"
)
"""A pair is hidden whatever its value; after a colon, which prose has too, the value must look like no word."""
_VARIABLE = re.compile(
    r"(?i)(secret|token|passw|api_?key|access_key|subscription_key|credential|signature|_pat$|_sas$)"
)
_MEMBER = re.compile(r"(?i)^(authorization|cookie|api[-_]?key|token|password|secret|signature|sig)$")


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of environment variables whose names say that they are secret, longest first."""
    values = {value.strip() for name, value in environment.items() if _VARIABLE.search(name)}
    return tuple(
        sorted((value for value in values if len(value) >= MIN_SECRET), key=lambda value: (-len(value), value))
    )


def redact(value: Any, secrets: tuple[str, ...] = ()) -> Any:
    """Plain JSON values without query strings, user names in addresses, or any of ``secrets``, however deep.

    Every address loses what follows its ``?`` or ``#``: a signature has many names, and no file of a catalogue that
    geoseg reads is told apart by its query. Paths of ``/vsicurl/`` and its kin are addresses with a prefix.
    """
    if isinstance(value, str):
        return scrubbed_text(value, secrets)
    if isinstance(value, Mapping):
        return {scrubbed_text(str(key), secrets): _member(str(key), each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each, secrets) for each in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def scrubbed_text(text: str, secrets: tuple[str, ...] = ()) -> str:
    """``text`` without what addresses, headers and settings in it may carry."""
    bare = _QUERY.sub("", _ADDRESS.sub(r"\1", _USER.sub("", text)))
    bare = _SCHEME.sub(rf"\1 {HIDDEN}", _AUTHORIZATION.sub(rf"\1{HIDDEN}", bare))
    bare = _NAMED.sub(lambda pair: f"{pair[1]}{pair[2] or pair[3]}{HIDDEN}", bare)
    for form in _forms(secrets):
        bare = bare.replace(form, HIDDEN)
    return bare


def _member(key: str, value: Any, secrets: tuple[str, ...]) -> Any:
    return HIDDEN if _MEMBER.match(key) and isinstance(value, str) and value else redact(value, secrets)


def _forms(secrets: tuple[str, ...]) -> Iterator[str]:
    """Each secret as it is, and as an address or JSON would carry it."""
    for secret in secrets:
        yield from sorted({secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}, key=len, reverse=True)
