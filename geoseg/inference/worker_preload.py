"""What a local worker does first: leave Ctrl-C to the command, which ends its workers itself and says one line.

A terminal sends the signal to every process of the command; each worker would print how it was interrupted.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Worker


def dask_setup(worker: Worker) -> None:
    """Called by dask in the worker's process (``preload``)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
