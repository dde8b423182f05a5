"""The ``geoseg`` command: its verbs, and how an error becomes one line and an exit status."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from geoseg import __version__
from geoseg.cli import catalog, demo, doctor, evaluate, finetune, map_, models, scenes
from geoseg.cli.json_output import answer_error, expect_json
from geoseg.errors import GeosegError, UsageError

# typer carries its own click, or imports it: its exceptions are reached through the one that typer names
_CommandLineError: type[Exception] = typer.BadParameter.__bases__[0].__bases__[0]
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="geoseg",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with: geoseg demo. Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but a scene failed.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"geoseg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Flood maps from satellite imagery: a box and a date in, a mask that opens in QGIS out."""


app.command("map", no_args_is_help=True, epilog=map_.EPILOG)(map_.map_)
app.command("scenes", no_args_is_help=True)(scenes.scenes)
app.command("finetune", no_args_is_help=True, epilog=finetune.EPILOG)(finetune.finetune)
app.command("evaluate", no_args_is_help=True, epilog=evaluate.EPILOG)(evaluate.evaluate)
app.add_typer(catalog.app, name="catalog")
app.add_typer(models.app, name="models")
app.command("demo", epilog=demo.EPILOG)(demo.demo)
app.command("doctor")(doctor.doctor)


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit status; every expected failure is one line on stderr."""
    expect_json(arguments)
    try:
        status = app(arguments, prog_name="geoseg", standalone_mode=False)
    except GeosegError as error:
        return _failed(error)
    except _CommandLineError as error:
        error.show()  # type: ignore[attr-defined]  # click's own: usage, and what was wrong with it
        answer_error(error)
        return EXIT_USAGE
    except (KeyboardInterrupt, typer.Abort):
        status = EXIT_INTERRUPTED  # newer typers return it themselves
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing is left to say it to
        return EXIT_FAILED
    if status == EXIT_INTERRUPTED:
        said = "Stopped. The same command carries on where it was."
        if arguments[:1] == ["finetune"]:
            said = "Stopped. If it had begun to train, the same command with --resume carries on; if not, run it again."
        typer.echo(said, err=True)
    return status if isinstance(status, int) else 0


def _failed(error: GeosegError) -> int:
    line = " ".join(str(error).split())
    typer.echo(f"Error: {line}", err=True)
    answer_error(error)
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED


def main() -> NoReturn:
    """Entry point of the ``geoseg`` script."""
    sys.exit(run(sys.argv[1:]))
