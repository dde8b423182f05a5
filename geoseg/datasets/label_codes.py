"""Map the stored numbers of a label to classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadLabelsError, BadOptionError


def classes_of(
    numbers: NDArray[Any], there: NDArray[np.bool_], codes: Mapping[int, int | None], name: str
) -> NDArray[np.int16]:
    """Map each pixel to its class.

    Args:
        numbers: (y, x), stored numbers.
        there: (y, x), False where the file itself declares nodata. A number that ``codes`` names keeps its class there:
            the record has precedence over the header.
        codes: Number -> index of its class, None: unlabelled.
        name: The file, for the error.

    Returns:
        int16 (y, x), ``UNLABELLED`` where unlabelled.

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
        raise BadLabelsError(f"Label {name}: expected whole numbers, got complex numbers. Write whole numbers.")
    strange = ~known & there
    if numbers.dtype.kind == "f":
        strange &= ~np.isnan(numbers)
    if strange.any():
        found = sorted(set(numbers[strange].ravel().tolist()))[:5]
        raise BadLabelsError(
            f"Label {name}: expected the values {', '.join(map(str, sorted(codes)))}, got "
            f"{', '.join(f'{value:g}' for value in found)}. Give their classes with --codes VALUE:CLASS,... for a "
            "plain "
            "folder, or as codes in the data set's record; or correct the file."
        )
    return classes


def parse_codes(text: str) -> dict[int, int | None]:
    """Parse ``0:0,255:1``: stored number and class, -1 for unlabelled (None).

    Raises:
        BadOptionError: Another form, or a number twice.
    """
    codes: dict[int, int | None] = {}
    for part in text.split(","):
        number, _, index = part.partition(":")
        try:
            value, label = int(number), int(index)
        except ValueError:
            raise BadOptionError(
                f"--codes {text}: expected VALUE:CLASS,... in whole numbers, such as 0:0,255:1, got {part.strip()!r}."
            ) from None
        if value in codes:
            raise BadOptionError(f"--codes {text}: expected each value once, got {value} twice.")
        codes[value] = None if label == UNLABELLED else label
    return codes
