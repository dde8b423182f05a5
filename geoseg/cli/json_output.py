"""Whether whoever called reads JSON: asked for by a flag or in a file, and honoured also by an error."""

from __future__ import annotations

import json
from contextvars import ContextVar

import typer

_wanted: ContextVar[bool] = ContextVar("json", default=False)


def expect_json(arguments: list[str]) -> None:
    """Begin a command: JSON where the command line says so, as far as anyone knows yet."""
    _wanted.set("--json" in arguments and "--no-json" not in arguments)


def note_json(value: bool) -> bool:
    """Callback of ``--json``: what the command line and the configuration file say together."""
    _wanted.set(value)
    return value


def answer_error(error: Exception) -> None:
    """Say an error as JSON on stdout, to whoever reads JSON there."""
    if _wanted.get():
        message = " ".join(str(error).split())
        typer.echo(json.dumps({"error": {"kind": type(error).__name__, "message": message}}))
