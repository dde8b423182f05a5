"""Which held-out images a bundle has learned from: its scores there say nothing of new ones."""

from __future__ import annotations

import re
from collections.abc import Iterable

from geoseg.catalog.cards import ModelCard

_SQUARE = re.compile(r"_y\d+_x\d+$")
"""Ends the id of a square of an image; see :func:`geoseg.evaluation.folds.cropped`."""


def learned_from(card: ModelCard, identities: Iterable[str]) -> tuple[str, ...]:
    """Those of some images that a bundle was given to learn from, or that chose among its weights.

    Images are known by id alone. Data that are gathered into one put the name of their set before it, and ``--crop``
    the place of the square behind it: neither makes another image. So a square counts as learned from where any of its
    image was.

    Args:
        card: Of the bundle. Without a record of its training nothing is known, and nothing is said.
        identities: Of images.
    """
    run = card.training
    taught = {_whole(each) for each in (*run.trained_on, *run.validated_on)} if run else set()
    tails = {tail for each in taught for tail in _tails(each)}
    return tuple(each for each in identities if _whole(each) in tails or taught & set(_tails(_whole(each))))


def _whole(identity: str) -> str:
    return _SQUARE.sub("", identity)


def _tails(identity: str) -> list[str]:
    """The id, and it without the names before it."""
    parts = identity.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
