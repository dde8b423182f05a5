"""Read a product's metadata XML, which came from elsewhere, without letting it harm."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from geoseg.errors import NotIngestibleError

LARGEST_BYTES = 16 * 1024 * 1024
"""Real ones hold less than 1 MB."""


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of a metadata file.

    A document type declaration is refused before it is acted upon: no product has one, and every entity bomb needs one.

    Raises:
        NotIngestibleError: Too large, not XML, or with a document type declaration.
    """
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise NotIngestibleError(f"{path} holds {size:,} bytes, more than any metadata does. Is it the right file?")
    content = path.read_bytes()

    def refuse(*_: object) -> NoReturn:
        raise NotIngestibleError(f"{path} declares a document type, which no product metadata does. It was not read.")

    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    try:
        guard.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise NotIngestibleError(f"{path} is no whole XML file ({error}). Fetch it again.") from None


def text_of(root: ElementTree.Element, name: str) -> str | None:
    """Text of the first element of that local name, in whatever namespace."""
    return next((text for text in texts_of(root, name)), None)


def texts_of(root: ElementTree.Element, name: str) -> list[str]:
    """Texts of every element of that local name, in document order, in whatever namespace."""
    return [element.text.strip() for element in elements_of(root, name) if element.text]


def elements_of(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Every element of that local name, in document order, in whatever namespace."""
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == name]
