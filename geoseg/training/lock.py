"""One run at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from geoseg.core.atomic import writing
from geoseg.errors import OutputExistsError

LOCK = "lock"


def is_first_process() -> bool:
    """This is the process that a person started, and not one that it started for another device."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if missing, against other runs; a process that dies lets go of it.

    Raises:
        OutputExistsError: Another run holds it.
        OutputNotWritableError: It cannot be written.
    """
    if not is_first_process():
        yield
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
    try:
        with writing(folder):
            lock.acquire()
    except Timeout:
        raise OutputExistsError(f"Another run is at work in {folder.parent}. Choose another --out, or wait.") from None
    try:
        yield
    finally:
        lock.release()
