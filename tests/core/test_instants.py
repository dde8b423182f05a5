"""Every RFC 3339 time is read, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.core.instants import parse_instant

TEN = datetime(2018, 9, 21, 10, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2018-09-21T10:05:09Z", TEN),
        ("2018-09-21t10:05:09z", TEN),
        ("2018-09-21 10:05:09Z", TEN),
        ("2018-09-21T12:05:09+02:00", TEN),
        ("2018-09-21T10:05:09-00:00", TEN),
        ("2018-09-21T10:05:09", TEN),
        ("2018-09-21T10:05:09.1Z", TEN + timedelta(milliseconds=100)),
        ("2018-09-21T10:05:09.123456789Z", TEN + timedelta(microseconds=123456)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_forms_of_rfc_3339(text, time):
    assert parse_instant(text) == time


@pytest.mark.parametrize(
    "text", ["", "yesterday", None, 7, "2018-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9" * 99]
)
def test_what_is_no_instant(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_instant(text)


@given(
    st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from("Tt "),
)
def test_what_python_writes_is_read_back(time, minutes, separator):
    aware = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_instant(aware.isoformat(sep=separator)) == aware
