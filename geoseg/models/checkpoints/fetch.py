"""Official weights from the hub into the cache: resumed where they stopped, checked, and never while offline."""

from __future__ import annotations

import errno
import fcntl
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.catalog.encoders import OfficialFile, encoder_facts
from geoseg.core.atomic import cache_folder, raise_output_errors
from geoseg.core.hashing import file_sha256
from geoseg.core.progress import Progress, Report, silent
from geoseg.errors import CheckpointMismatchError, WeightsMissingError

HUB = "https://huggingface.co"
TRIES = 5
TIMEOUT_S = 60
BLOCK = 1 << 20
MEGABYTE = 1e6
OWN_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
PASSING = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file in the cache.

    Attributes:
        path: Where it is.
        sha256: Its hash.
        verified: The catalogue knows the hash and it is this one. False: the catalogue knows none.
    """

    path: Path
    sha256: str
    verified: bool


def cached_weights(name: str) -> Path | None:
    """The official file of an encoder in the cache, if it is there whole.

    Raises:
        UnknownNameError: No such encoder.
    """
    _, variant = encoder_facts(name)
    if variant.file is None:
        return None
    path = _place(variant.file)
    return path if path.is_file() else None


def weights_of(name: str) -> Path:
    """The official file of an encoder in the cache.

    Raises:
        UnknownNameError: No such encoder.
        WeightsMissingError: It is not there; says where it comes from and which command brings it.
    """
    if path := cached_weights(name):
        return path
    file = _official(name)
    raise WeightsMissingError(
        f"The weights of {name} are not here; they are {file.file} of {file.repository} on the hub. "
        f"Bring them with `geoseg models fetch {name}`, or give the path of the file."
    )


def fetch(name: str, *, report: Report = silent) -> Fetched:
    """Bring the official weights of an encoder into the cache.

    ``GEOSEG_CACHE`` moves the cache, ``GEOSEG_HUB`` the hub (a mirror); ``GEOSEG_OFFLINE=1`` forbids any attempt.

    Args:
        name: The encoder.
        report: Told about megabytes as they arrive.

    Raises:
        UnknownNameError: No such encoder.
        WeightsMissingError: No weights were ever released, we are offline, or the hub did not give them.
        CheckpointMismatchError: What arrived has another hash than the catalogue's.
    """
    file = _official(name)
    target = _place(file)
    if not target.is_file():
        if os.environ.get("GEOSEG_OFFLINE", "0") not in {"", "0"}:
            raise WeightsMissingError(
                f"The weights of {name} are not at {target}, and GEOSEG_OFFLINE is set. "
                f"Copy {file.file} of {file.repository} there, or unset it."
            )
        with _alone(target):
            _bring(file, target, report)
    digest = file_sha256(target)
    if file.sha256 and not digest.startswith(file.sha256):
        target.unlink()
        raise CheckpointMismatchError(
            f"{file.file} arrived with sha256 {digest[:16]}..., not the published {file.sha256[:16]}...; "
            "it was removed. Fetch it again, or ask whoever runs the mirror."
        )
    return Fetched(target, digest, verified=file.sha256 is not None)


def _official(name: str) -> OfficialFile:
    _, variant = encoder_facts(name)
    if variant.file is None:
        raise WeightsMissingError(f"No weights of {name} were ever released: train it from scratch.")
    return variant.file


def _place(file: OfficialFile) -> Path:
    owner, _, repository = file.repository.partition("/")
    return cache_folder("weights", owner, repository, file.revision) / Path(file.file).name


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One process at a time brings one file; the others wait and then find it."""
    with raise_output_errors(target), target.with_name(f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _bring(file: OfficialFile, target: Path, report: Report) -> None:
    if target.is_file():
        return  # another process was faster
    hub = os.environ.get("GEOSEG_HUB", HUB).rstrip("/")
    url = f"{hub}/{file.repository}/resolve/{file.revision}/{urllib.parse.quote(file.file)}"
    part = target.with_name(f".{target.name}.part")
    for attempt in range(TRIES):
        try:
            if _receive(url, part, report):
                break
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in PASSING:
                raise WeightsMissingError(
                    f"The hub answered {error.code} for {file.file} of {file.repository}. "
                    "Download it by hand and give its path."
                ) from None
        except (OSError, http.client.HTTPException) as error:
            _refuse_own_fault(error)
        time.sleep(min(2**attempt, 8) if attempt + 1 < TRIES else 0)
    else:
        got = part.stat().st_size / MEGABYTE if part.exists() else 0
        raise WeightsMissingError(
            f"{file.file} of {file.repository} could not be fetched in {TRIES} tries; {got:.0f} MB are kept. "
            "Ask again to go on from there."
        )
    part.replace(target)
    _tag(part).unlink(missing_ok=True)


def _refuse_own_fault(error: Exception) -> None:
    """A full or read-only disk goes up to ``raise_output_errors``, which names it; network faults are tried again."""
    if isinstance(error, OSError) and error.errno in OWN_FAULTS:
        raise error


def _receive(url: str, part: Path, report: Report) -> bool:
    """Go on with ``part`` from where it stopped; True once it is whole."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        if _tag(part).exists():
            request.add_header("If-Range", _tag(part).read_text())
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return error.headers.get("Content-Range", "").endswith(f"/{have}") or _start_over(part)
        raise
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        start = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length or 0)
        if tag := answer.headers.get("ETag"):
            _tag(part).write_text(tag)
        with part.open("ab" if resumed else "wb") as stream:
            while block := answer.read(BLOCK):
                stream.write(block)
                start += len(block)
                report(Progress("fetch", start / MEGABYTE, total / MEGABYTE, "MB"))
    return length is None or start >= total


def _start_over(part: Path) -> bool:
    part.unlink()
    return False


def _tag(part: Path) -> Path:
    return part.with_suffix(".etag")
