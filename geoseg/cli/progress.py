"""What a person sees while work goes on: bars on stderr, drawn from the library's progress events."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from geoseg.core.progress import Progress as Event
    from geoseg.core.progress import Report


LEVELS = {
    -1: (logging.ERROR, logging.ERROR),
    0: (logging.WARNING, logging.ERROR),
    1: (logging.DEBUG, logging.WARNING),
    2: (logging.DEBUG, logging.INFO),
}
"""What geoseg and what libraries say, by verbosity."""

SPEAK_EVERY_S = 60.0
"""Off a terminal, work that takes long is heard of this often."""


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Report]:
    """A reporter that draws one bar a step, with rate and time left; silent where asked, plain lines off a terminal."""
    from geoseg.core.progress import silent

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
                tasks[event.step] = bars.add_task(event.step, total=None, reached="", note="", rate="")
            task = tasks[event.step]
            total = event.total or None
            bars.update(task, completed=event.done, total=total, note=event.note, reached=_reached(event))
            speed = next(each.speed for each in bars.tasks if each.id == task)
            bars.update(task, rate=f"{speed:,.1f} {event.unit}/s" if speed else "")

        yield draw


def _bars(console: Console) -> Bars:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("[bold]{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.fields[reached]}"),
        TextColumn("[cyan]{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console,
        transient=True,
    )


def _reached(event: Event) -> str:
    """How far a step is, as people count: whole images, tenths of a megapixel."""
    if not event.total:
        return ""
    digits = 0 if float(event.total).is_integer() else 1
    return f"{event.done:,.{digits}f}/{event.total:,.{digits}f} {event.unit}"


def _lines(console: Console) -> Report:
    """A line when a step begins, when it is done, and now and then between: what a log file wants.

    A step that goes back to its start begins again: the next fold's training, say.
    """
    reached: dict[str, float] = {}
    spoke = time.monotonic()

    def say(text: str) -> None:
        nonlocal spoke
        spoke = time.monotonic()
        console.print(text.rstrip(), highlight=False, markup=False)

    def write(event: Event) -> None:
        before, reached[event.step] = reached.get(event.step), event.done
        done = bool(event.total) and event.done >= event.total
        if before is None or event.done < before:
            say(f"{event.step} {_reached(event)} {event.note}".rstrip() + (" done" if done else " ..."))
        elif done and before < event.total:
            say(f"{event.step} done {event.note}")
        elif time.monotonic() - spoke > SPEAK_EVERY_S:
            say(f"{event.step} {_reached(event)} {event.note}")

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
