"""Keep the warnings of libraries off stderr while a file is opened."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_filters = threading.Lock()
"""Filters of warnings belong to the process, so only one thread at a time may change them."""


@contextmanager
def quiet_gdal(*categories: type[Warning]) -> Iterator[None]:
    """Ignore what GDAL's bindings warn of; what matters of it is said by the caller, as an error or a note.

    Args:
        categories: Classes of warnings; none: every RuntimeWarning and UserWarning.
    """
    with _filters, warnings.catch_warnings():
        for category in categories or (RuntimeWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield
