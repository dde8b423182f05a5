"""Words for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 scene``, ``5 scenes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float) -> str:
    """Write a share in per cent, whole; never 100 or 0 where it is not."""
    if 99.5 <= share < 100:
        return "More than 99 %"
    return "Less than 1 %" if share < 1 else f"{share:.0f} %"
