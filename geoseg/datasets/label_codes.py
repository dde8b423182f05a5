"""Stored numbers of a label, and the classes they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadLabelsError


def classes_of(
    numbers: NDArray[Any], there: NDArray[np.bool_], codes: Mapping[int, int | None], name: str
) -> NDArray[np.int16]:
    """The class of each pixel.

    Args:
        numbers: (y, x), as stored.
        there: (y, x), False where the file itself says that there is nothing (nodata, mask). A number that ``codes``
            names keeps its class there: the record knows more than the header.
        codes: Number -> index of its class, None: nobody said.
        name: Of the file, for the error.

    Returns:
        int16 (y, x), ``UNLABELLED`` where nobody said.

    Raises:
        BadLabelsError: A number that ``codes`` does not name.
    """
    classes = np.full(numbers.shape, UNLABELLED, np.int16)
    known = np.zeros(numbers.shape, bool)
    for number, index in codes.items():
        here = numbers == number
        known |= here
        if index is not None:
            classes[here] = index
    if numbers.dtype.kind == "c":
        raise BadLabelsError(f"{name} holds complex numbers, which are no labels. Write whole numbers.")
    strange = ~known & there
    if numbers.dtype.kind == "f":
        strange &= ~np.isnan(numbers)
    if strange.any():
        found = sorted(set(numbers[strange].ravel().tolist()))[:5]
        raise BadLabelsError(
            f"{name} holds the label {', '.join(f'{value:g}' for value in found)}, and only "
            f"{', '.join(map(str, sorted(codes)))} have a meaning. Say what it means under codes of the data set's "
            "record, or mend the file."
        )
    return classes
