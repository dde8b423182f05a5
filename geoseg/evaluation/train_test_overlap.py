"""Find test images that a bundle had learned from: its scores on them do not hold for new images."""

from __future__ import annotations

import re
from collections.abc import Iterable

from geoseg.catalog.cards import ModelCard

_SQUARE = re.compile(r"_y\d+_x\d+$")
"""End of the id of a square of an image; see :func:`geoseg.evaluation.folds.cropped`."""


def learned_from(card: ModelCard, identities: Iterable[str]) -> tuple[str, ...]:
    """Return the images that a bundle was trained or validated on.

    Images are compared by id. Combined sets prefix the id with the name of the set, and ``--crop`` appends the position
    of the square: both are still the same image, so a square counts where any part of its image was learned from.

    Args:
        card: Card of the bundle; without a training record, no image is returned.
        identities: Ids of images.
    """
    run = card.training
    taught = {_whole(each) for each in (*run.trained_on, *run.validated_on)} if run else set()
    tails = {tail for each in taught for tail in _tails(each)}
    return tuple(each for each in identities if _whole(each) in tails or taught & set(_tails(_whole(each))))


def _whole(identity: str) -> str:
    return _SQUARE.sub("", identity)


def _tails(identity: str) -> list[str]:
    """Return the id, and the id without one or more of the names before it."""
    parts = identity.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
