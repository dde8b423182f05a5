"""Labels that are less sure near their edge."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadOptionError, InputRangeError


def soft_labels(
    mask: NDArray[np.integer], *, classes: int, width: float, pixel_size: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Class probabilities that fall off towards the edge of a label.

    A labelled pixel keeps its class with probability ``q = 1 / (1 + exp(-d / width))``, and the rest, 1 - q, goes to
    the class across the nearest edge. d is the distance from the pixel's centre to that edge: the distance to the
    centre of the nearest labelled pixel of another class, less half a pixel. With two classes the probability of
    class 1 is thus the logistic function of the signed distance to the edge, positive inside. The likeliest class of a
    pixel never changes. The logistic form is geoseg's own choice; no paper's numbers are claimed for it.

    Neither unlabelled pixels nor the image's frame are an edge: beyond them nobody said anything. A crop may therefore
    be surer near its frame than the whole image was; soften before cutting where that matters.

    Args:
        mask: (y, x), class indices or ``UNLABELLED``.
        classes: How many there are, 2 or more; the background is one.
        width: Of the logistic function, in the unit of ``pixel_size``; at twice the width from its edge a label holds
            to 88 per cent. 0: hard labels.
        pixel_size: Side of a square pixel, so that ``width`` may be in metres.

    Returns:
        float32 (class, y, x), summing to 1 over the classes, NaN where unlabelled; bool (y, x), True where labelled.

    Raises:
        BadOptionError: A width or size that cannot be.
        InputRangeError: A label that is no class.
    """
    labelled, sure, across = _certainty(mask, classes, width, pixel_size)
    soft = np.full((classes, *mask.shape), np.nan, np.float32)
    soft[:, labelled] = 0
    rows, columns = np.nonzero(labelled)
    # the neighbour first: where there is none, "across" is the pixel's own class and is overwritten
    soft[across[labelled], rows, columns] = 1 - sure[labelled]
    soft[mask[labelled], rows, columns] = sure[labelled]
    return soft, labelled


def edge_confidence(
    mask: NDArray[np.integer], *, classes: int, width: float, pixel_size: float = 1.0
) -> NDArray[np.float32]:
    """How much each hard label is to count: ``2q - 1 = tanh(d / (2 width))``, with q and d of :func:`soft_labels`.

    The pixel weight for losses that take no soft labels.

    Args:
        mask: As for :func:`soft_labels`.
        classes: As for :func:`soft_labels`.
        width: As for :func:`soft_labels`.
        pixel_size: As for :func:`soft_labels`.

    Returns:
        float32 (y, x), above 0 to 1 where labelled, 0 where unlabelled.

    Raises:
        BadOptionError: As :func:`soft_labels`.
        InputRangeError: As :func:`soft_labels`.
    """
    labelled, sure, _ = _certainty(mask, classes, width, pixel_size)
    return np.where(labelled, 2 * sure - 1, 0).astype(np.float32)


def _certainty(
    mask: NDArray[np.integer], classes: int, width: float, pixel_size: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.intp]]:
    """Where it is labelled; with which probability the label holds; and the class across the nearest edge."""
    if not (math.isfinite(width) and width >= 0 and math.isfinite(pixel_size) and pixel_size > 0):
        raise BadOptionError(f"width is {width} and pixel_size {pixel_size}: give 0 or more, and more than 0.")
    labelled = mask != UNLABELLED
    low, high = int(mask.min(where=labelled, initial=0)), int(mask.max(where=labelled, initial=0))
    if low < 0 or high >= classes:
        raise InputRangeError(f"The labels hold {low} to {high} where classes 0 to {classes - 1} exist.")
    sure = np.ones(mask.shape)
    across = np.where(labelled, mask, 0).astype(np.intp)
    for index in np.unique(mask[labelled]) if width else ():
        own, other = mask == index, labelled & (mask != index)
        if other.any():  # without a zero in it the transform would measure to nowhere
            distance, nearest = ndimage.distance_transform_edt(~other, return_indices=True)
            sure[own] = 1 / (1 + np.exp(-(distance[own] - 0.5) * pixel_size / width))
            across[own] = mask[tuple(nearest)][own]
    return labelled, sure, across
