"""``flood.tif``: the mask, with its colours and class names for GDAL and QGIS beside it."""

from __future__ import annotations

from pathlib import Path

from geoseg.products.map_data import MapData
from geoseg.products.raster import write_cog


class FloodMask:
    """The mask: 0 dry, 1 flood or water, 2 permanent water, 255 not observed."""

    name, file = "flood", "flood.tif"

    def write(self, data: MapData, folder: Path) -> Path:
        """Write the COG, ``flood.tif.aux.xml`` (class names) and ``flood.qml`` (QGIS style)."""
        return write_cog(data.layers.mask, folder / self.file, data.grid, data.legend.band, data.tags)[0]
