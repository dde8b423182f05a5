"""The products of a map: a product is a class in a file of its own, and one line here."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from geoseg.products.flood import FloodMask
from geoseg.products.map_data import MapData
from geoseg.products.preview import PreviewPng
from geoseg.products.probability import Probability
from geoseg.products.run_record import RunRecordJson
from geoseg.products.source import SourceScenes


class Product(Protocol):
    """One output file of a map, with what lies beside it (style, names).

    Attributes:
        name: What the run record calls it.
        file: Name of the file in the output folder.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def file(self) -> str: ...  # noqa: D102

    def write(self, data: MapData, folder: Path) -> Path:
        """Write the file and what lies beside it into a folder, and return the file.

        Raises:
            OutputNotWritableError: The disk is full, or the folder cannot be written.
        """


RECORD = RunRecordJson()
PRODUCTS: tuple[Product, ...] = (FloodMask(), Probability(), SourceScenes(), PreviewPng(), RECORD)
"""In the order that the run record lists them; the record itself is written last."""
