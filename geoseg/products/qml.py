"""The style that QGIS loads by itself, because it lies beside the raster under the raster's name."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET


def paletted_style(colours: Mapping[int, tuple[int, int, int]], labels: Mapping[int, str], nodata: int) -> bytes:
    """A QGIS style of a raster of codes, with a legend of the codes that exist.

    A TIFF's colour table always has 256 entries, and QGIS lists every one of them as a class. What is not observed has
    no class: it is drawn transparent, so that whatever lies below shows through and nobody takes it for dry.

    Args:
        colours: Red, green, blue of each code, 0..255.
        labels: Name of each code.
        nodata: The code that is not drawn.
    """
    qgis = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    kind = {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = ET.SubElement(ET.SubElement(qgis, "pipe"), "rasterrenderer", kind)
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for code, (red, green, blue) in sorted(colours.items()):
        if code != nodata:
            colour = f"#{red:02x}{green:02x}{blue:02x}"
            entry = {"value": str(code), "label": labels.get(code, str(code)), "color": colour, "alpha": "255"}
            ET.SubElement(palette, "paletteEntry", entry)
    ET.indent(qgis)
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return (head + ET.tostring(qgis, encoding="unicode") + "\n").encode()
