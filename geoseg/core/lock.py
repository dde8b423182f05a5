"""Lock a folder against other processes: one folder, one writer."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from geoseg.core.atomic import raise_output_errors
from geoseg.core.redact import scrubbed_text, secrets_of
from geoseg.errors import OutputExistsError

LOCK = ".geoseg.lock"
"""Name of the lock inside the folder; removed when the run ends."""
MOST_COMMAND = 160
"""Characters of the other command that a message repeats."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        pid: Process id.
        host: Name of its machine.
        command: Its command line, without secrets.
        started: When it took the lock, seconds since 1970.
    """

    pid: int
    host: str
    command: str
    started: float

    @classmethod
    def this_process(cls) -> Self:
        """Describe the running process."""
        words = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        command = scrubbed_text(words, secrets_of(os.environ))[:MOST_COMMAND]
        return cls(
            os.getpid(),
            socket.gethostname(),
            command,
            time.time(),
        )

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read who holds a lock; None where the file does not say."""
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(said["pid"]), str(said["host"]), str(said["command"]), float(said["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """State it in a lock file that is held."""
        said = {"pid": self.pid, "host": self.host, "command": self.command, "started": self.started}
        path.write_text(json.dumps(said), encoding="utf-8")

    @property
    def is_gone(self) -> bool:
        """The process ran on this machine and does not any more."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False  # another user's
        return False

    def __str__(self) -> str:
        """As a message names it."""
        return (
            f"process {self.pid} on {self.host}, since {_duration(time.time() - self.started)} ({self.command or '?'})"
        )


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for the one process that writes into it; made if missing, removed again if nothing was written.

    The operating system lets go of a lock when its process dies. Where something else keeps it (a child that was
    left behind, a file system without locks), it is taken over once its process is known to be gone.

    Args:
        folder: The output folder.

    Raises:
        OutputExistsError: Another process holds it; the message names its id, command and age.
        OutputNotWritableError: It cannot be written.
    """
    path, existed = folder / LOCK, folder.exists()
    with raise_output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            holder = Holder.read(path)
            if holder is None or not holder.is_gone:
                raise OutputExistsError(_in_use(folder, holder)) from None
            path.unlink(missing_ok=True)
            try:
                lock.acquire()
            except Timeout:  # a third process was faster
                raise OutputExistsError(_in_use(folder, Holder.read(path))) from None
        Holder.this_process().write(path)
    try:
        yield
    finally:
        # removed while it is held: whoever opened the file meanwhile finds it unlinked, and starts over
        with suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()
        if not existed:
            with suppress(OSError):
                folder.rmdir()  # where nothing was written


def _in_use(folder: Path, holder: Holder | None) -> str:
    named = str(holder) if holder else "a process that does not name itself"
    return f"Another run is writing to {folder}: {named}. Wait until it ends, stop it, or choose another --out."


def _duration(seconds: float) -> str:
    """Spell a time span in its largest whole unit."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{max(int(seconds), 0)} seconds"
