"""What a person sees while work goes on: bars on stderr, drawn from the library's progress events."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from geoseg.progress import Progress as Event
    from geoseg.progress import Report


LEVELS = {
    -1: (logging.ERROR, logging.ERROR),
    0: (logging.WARNING, logging.ERROR),
    1: (logging.DEBUG, logging.WARNING),
    2: (logging.DEBUG, logging.INFO),
}
"""What geoseg and what libraries say, by verbosity."""


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Report]:
    """A reporter that draws one bar a step, with rate and time left; silent where asked, plain lines off a terminal."""
    from geoseg.progress import silent

    if quiet:
        yield silent
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    with _bars(console) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(event: Event) -> None:
            if event.step not in tasks:
                tasks[event.step] = bars.add_task(event.step, total=None, unit=event.unit, note="", rate="")
            task = tasks[event.step]
            bars.update(task, completed=event.done, total=event.total or None, note=event.note)
            speed = next(each.speed for each in bars.tasks if each.id == task)
            bars.update(task, rate=f"{speed:,.1f} {event.unit}/s" if speed else "")

        yield draw


def _bars(console: Console) -> Bars:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("[bold]{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.completed:,.1f}/{task.total:,.1f} {task.fields[unit]}"),
        TextColumn("[cyan]{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console,
        transient=True,
    )


def _lines(console: Console) -> Report:
    """One line when a step begins and one when it is done: what a log file wants."""
    begun: set[str] = set()
    ended: set[str] = set()

    def write(event: Event) -> None:
        if event.step not in begun:
            begun.add(event.step)
            of = f" {event.total:,.1f} {event.unit}" if event.total else ""
            console.print(f"{event.step}{of} ...", highlight=False, markup=False)
        if event.total and event.done >= event.total and event.step not in ended:
            ended.add(event.step)
            console.print(f"{event.step} done {event.note}".rstrip(), highlight=False, markup=False)

    return write


def set_up_logging(verbosity: int) -> None:
    """Send log records to stderr: geoseg's warnings, or all it says with ``-v``, or everyone's with ``-vv``.

    Below zero only errors: libraries warn of every retry, which is no news to someone who asked for silence. Python's
    own warnings are records like any other.
    """
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=verbosity > 0)
    ours, theirs = LEVELS[max(-1, min(verbosity, 2))]
    # distributed sets its own levels when it is imported, here and in its workers, from this
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", logging.getLevelName(theirs).lower())
    logging.basicConfig(level=theirs, format="%(message)s", handlers=[handler])
    logging.getLogger("geoseg").setLevel(ours)
    logging.captureWarnings(True)
