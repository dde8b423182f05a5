"""Read instants as RFC 3339 and ISO 8601 write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_LEAP_SECOND = re.compile(r"(\d\d:\d\d):60(?:[.,]\d+)?")
_FRACTION = re.compile(r"[.,](\d+)")


def parse_instant(text: object) -> datetime:
    """Read an instant: any RFC 3339 form, also in lower case, with a leap second, or without a zone (then UTC).

    Returns:
        Aware, UTC, to the microsecond.

    Raises:
        ValueError: It is none, or beyond the calendar.
    """
    plain = _FRACTION.sub(lambda match: f".{match[1][:6]}", text.strip().upper() if isinstance(text, str) else "")
    leap = _LEAP_SECOND.search(plain)
    if leap:
        plain = f"{plain[: leap.start()]}{leap[1]}:59{plain[leap.end() :]}"
    try:
        time = datetime.fromisoformat(plain)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        return time + timedelta(seconds=1) if leap else time
    except OverflowError as error:
        raise ValueError(str(error)) from None
