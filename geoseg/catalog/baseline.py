"""Processing baselines of Sentinel-2 products: read from an item's properties or from a product's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

PROPERTIES = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
"""Item properties that state the baseline, in the order they are believed."""

NAMES = ("s2:product_uri", "sentinel:product_id")
"""Item properties that hold the product's name."""

_STATED = re.compile(r"(\d{1,2})\.(\d{1,2})")
_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")


class ProcessingBaseline(NamedTuple):
    """A processing baseline; ordered as ESA numbers them, so 05.11 is newer than 05.09."""

    major: int
    minor: int

    def __str__(self) -> str:
        """As ESA writes it: ``05.11``."""
        return f"{self.major:02d}.{self.minor:02d}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse ``05.11``; None where ``text`` is not a baseline."""
        match = _STATED.fullmatch(text.strip())
        return cls(int(match[1]), int(match[2])) if match else None

    @classmethod
    def of_name(cls, *names: str) -> Self | None:
        """Read the baseline from the first product name that holds one (``S2B_MSIL2A_..._N0511_...``)."""
        found = (_IN_NAME.search(f"{name}_") for name in names)
        return next((cls(int(match[1]), int(match[2])) for match in found if match), None)

    @classmethod
    def of_item(cls, name: str, properties: Mapping[str, Any]) -> Self | None:
        """Read the baseline from a STAC item.

        Args:
            name: Id of the item.
            properties: Its properties; what they state counts before the product's name.

        Returns:
            None where the item does not tell.
        """
        stated: Iterable[Self | None] = (cls.parse(str(properties.get(key, ""))) for key in PROPERTIES)
        first = next((baseline for baseline in stated if baseline), None)
        return first or cls.of_name(name, *(str(properties.get(key, "")) for key in NAMES))
