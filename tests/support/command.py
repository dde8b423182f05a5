"""The command line, run in this process."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, NamedTuple

from geoseg.cli.main import run


class CommandResult(NamedTuple):
    """Exit status, stdout and stderr of a command."""

    status: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        return dict(json.loads(self.out))

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that a person reads as the error."""
        return [line for line in self.err.splitlines() if line.startswith("Error: ")]


def geoseg(*words: object) -> CommandResult:
    """Run ``geoseg WORDS...``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([str(word) for word in words])
    return CommandResult(status, out.getvalue(), err.getvalue())


def answered(*words: object) -> dict[str, Any]:
    """Run ``geoseg WORDS... --json``, which must succeed; give what it answers."""
    result = geoseg(*words, "--json")
    assert result.status == 0, result.err
    return result.record


def refused(*words: object) -> str:
    """Run ``geoseg WORDS... -q``, which must fail with one line; give the line."""
    result = geoseg(*words, "-q")
    assert result.status in (1, 2), result.err
    assert len(result.errors) == 1, result.err
    return result.errors[0]
