"""Words for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 scene``, ``5 scenes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
