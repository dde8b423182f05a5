"""A window of a pair as torchgeo's transforms and trainers take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from affine import Affine

from geoseg.datasets.alignment import crs
from geoseg.datasets.pair import UNLABELLED, Pair


def to_torchgeo(
    pair: Pair, rows: slice = slice(None), columns: slice = slice(None), bands: Sequence[str] = ()
) -> dict[str, Any]:
    """One sample, with the keys of torchgeo 0.8.

    torchgeo knows no pixel that was not observed: such pixels are 0 in ``image`` and ``UNLABELLED`` in ``mask``, so a
    trainer wants ``ignore_index=UNLABELLED``.

    Args:
        pair: The pair.
        rows: Of the window; steps other than 1 have no bounds.
        columns: Likewise.
        bands: Names of the pair's bands, in order (those of its set).

    Returns:
        ``image`` float32 (band, y, x), ``mask`` int64 (y, x), ``bounds`` slices in x, in y (start, stop, pixel) and,
        where the time is known, in time, ``crs`` (None: unknown, and the bounds count pixels), ``bands``.
    """
    image, mask = pair.read(rows, columns)
    seen = np.isfinite(image)
    labels = np.where(seen.all(axis=0), mask, UNLABELLED).astype(np.int64)
    return {
        "image": torch.from_numpy(np.where(seen, image, np.float32(0))),
        "mask": torch.from_numpy(labels),
        "bounds": _bounds(pair, rows, columns),
        "crs": crs(pair.place.crs) if pair.place else None,
        "bands": tuple(bands),
    }


def _bounds(pair: Pair, rows: slice, columns: slice) -> tuple[slice, ...]:
    transform = pair.place.transform if pair.place else Affine.identity()
    (top, bottom, _), (left, right, _) = rows.indices(pair.shape[0]), columns.indices(pair.shape[1])
    corners = [transform @ corner for corner in ((left, top), (right, top), (left, bottom), (right, bottom))]
    spans = [(min(values), max(values)) for values in zip(*corners, strict=True)]
    pixels = (float(np.hypot(transform.a, transform.d)), float(np.hypot(transform.b, transform.e)))
    space = tuple(slice(low, high, pixel) for (low, high), pixel in zip(spans, pixels, strict=True))
    return space if pair.time is None else (*space, slice(pair.time, pair.time))
