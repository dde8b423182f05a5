"""Give many faulty inputs to geoseg and list what is no refusal: a traceback, a leak, a stray file, too much time.

One worker process reads the inputs. An audit hook holds its files and connections; its memory and time are watched
from outside, and a worker that exceeds them is replaced.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import multiprocessing.connection
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.inputs import KINDS, Good

MOST_SECONDS = 20.0
MOST_BYTES = 2**30
START_SECONDS = 240.0


@dataclass(frozen=True)
class Fault:
    """An input that was not refused as it should be: its kind and seed make it again."""

    kind: str
    seed: int
    reason: str


def fuzz(
    count: int, seed: int, *, kinds: tuple[str, ...] = tuple(KINDS), seconds: float | None = None
) -> tuple[int, list[Fault]]:
    """Try up to ``count`` inputs, of all kinds in turn.

    Args:
        count: Number of inputs.
        seed: Of the first input; the next have the next numbers.
        kinds: Names of ``KINDS``.
        seconds: Stop after this long; None: never.

    Returns:
        The number of inputs tried, and the faults.
    """
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    faults, tried, start = list[Fault](), 0, 0.0
    worker = _Worker(folder)
    start = time.monotonic()
    try:
        for number in range(count):
            if seconds is not None and time.monotonic() - start > seconds:
                break
            kind = kinds[number % len(kinds)]
            reason = worker.ask((kind, seed + number))
            tried += 1
            if reason:
                faults.append(Fault(kind, seed + number, reason))
            if not worker.alive:
                worker = _Worker(folder)
    finally:
        worker.close()
        shutil.rmtree(folder, ignore_errors=True)
    return tried, faults


class _Worker:
    """A process that reads one input after the other."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, tempfile.mkdtemp(dir=folder)), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(START_SECONDS) or self._pipe.recv() != "ready":
            raise RuntimeError("the worker of the fuzzer did not start")

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, job: tuple[str, int]) -> str:
        """Try one input; say what was wrong, or nothing."""
        self._pipe.send(job)
        try:
            if self._pipe.poll(MOST_SECONDS):
                return str(self._pipe.recv())
        except EOFError:
            self._process.join(5)
            return f"the process ended with status {self._process.exitcode}"
        self.close()
        return f"took more than {MOST_SECONDS:g} s"

    def close(self) -> None:
        self._process.kill()
        self._process.join()


def _work(pipe: multiprocessing.connection.Connection, folder_text: str) -> None:
    folder = Path(folder_text)
    os.environ["GEOSEG_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    good = Good(folder / "good")
    for kind in KINDS:  # imports, and their memory, are not of any input
        with contextlib.suppress(Exception):
            _quietly(kind, 0, good, folder / f"warm-{kind}")
    guard = _Guard(folder)
    sys.addaudithook(guard)
    pipe.send("ready")
    while True:
        try:
            kind, seed = pipe.recv()
        except EOFError:
            return
        pipe.send(_tried(kind, seed, good, folder / f"{kind}-{seed}", guard))


def _tried(kind: str, seed: int, good: Good, folder: Path, guard: _Guard) -> str:
    from geoseg.errors import GeosegError

    guard.found, before = "", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        _quietly(kind, seed, good, folder)
    except GeosegError as error:
        if "\n" in str(error):
            return f"a message of several lines: {error!r}"
    except BaseException:  # noqa: BLE001  # finding them is the purpose
        return traceback.format_exc(limit=-4)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    shutil.rmtree(folder, ignore_errors=True)
    return f"took {grown:,} bytes of memory" if grown > MOST_BYTES else guard.found


def _quietly(kind: str, seed: int, good: Good, folder: Path) -> None:
    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        KINDS[kind](good, random.Random(f"{kind} {seed}"), folder)


class _Guard:
    """Audit hook: no file is written outside the folder, no connection leaves this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.found = str(folder), ""

    def __call__(self, event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(details[0], str) and isinstance(details[2], int):
            path = os.path.realpath(details[0])
            writes = details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not path.startswith((self._folder, "/dev/", "/proc/")) and not path.endswith(".pyc"):
                self.found = f"wrote {path}"
        elif event == "socket.connect" and details[1][0] not in ("127.0.0.1", "::1"):
            self.found = f"connected to {details[1]}"
            raise OSError("no connection leaves this machine")
        elif event == "socket.getaddrinfo" and details[0] not in ("127.0.0.1", "::1", "localhost", None):
            self.found = f"looked up {details[0]}"
            raise OSError("no name is looked up")


def main() -> None:
    """Command line of the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=tuple(KINDS), action="append")
    options = parser.parse_args()
    tried, faults = fuzz(options.count, options.seed, kinds=tuple(options.kind or KINDS))
    for fault in faults:
        print(f"--- {fault.kind} {fault.seed}\n{fault.reason}")
    print(f"{tried} inputs, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
