"""Where geoseg keeps things, and how a file appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import OutputNotWritableError


def cache_folder(*parts: str) -> Path:
    """The user's cache (``GEOSEG_CACHE``, else ``XDG_CACHE_HOME``/geoseg, else ``~/.cache/geoseg``), made if missing.

    Raises:
        OutputNotWritableError: It cannot be made.
    """
    own = os.environ.get("GEOSEG_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "geoseg"
    folder = base.joinpath(*parts)
    with raise_output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def raise_output_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's refusals (read-only, full, not a folder) into one error that names ``target``.

    Raises:
        OutputNotWritableError: The system refused.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputNotWritableError) or error.errno is None:
            raise
        reason = "the disk is full" if error.errno == errno.ENOSPC else os.strerror(error.errno).lower()
        raise OutputNotWritableError(f"Cannot write {target}: {reason}. Choose another place.") from error


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target`` that becomes it when the block ends well, and vanishes when it does not.

    Raises:
        OutputNotWritableError: Its folder cannot be written.
    """
    with raise_output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        with raise_output_errors(target):
            yield part
            apply_umask(part)
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside ``target`` that becomes it when the block ends well; an older one is replaced.

    Raises:
        OutputNotWritableError: Its parent cannot be written.
    """
    with raise_output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        with raise_output_errors(target):
            yield part
            part.chmod(0o777 & ~_umask())
            if target.exists():
                shutil.rmtree(target)
            part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def apply_umask(path: Path) -> None:
    """Give a file the permissions that an ordinary ``open`` gives: temporary files begin as their owner's alone."""
    path.chmod(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
