"""Progress as events: the library reports, the command line draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step forward.

    Attributes:
        step: What is being done (``search``, ``map``, ``write``...).
        done: Units done so far.
        total: Units in all; 0 where unknown.
        unit: What is counted (``Mpx``, ``scenes``, ``MB``).
        note: What a person would want to know right now, or "".
    """

    step: str
    done: float
    total: float = 0.0
    unit: str = ""
    note: str = ""


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report to nobody."""
