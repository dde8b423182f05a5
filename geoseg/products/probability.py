"""``probability.tif``: how likely each pixel is class 1."""

from __future__ import annotations

from pathlib import Path

from geoseg.products.map_data import MapData
from geoseg.products.raster import write_cog
from geoseg.water.codes import PROBABILITY


class Probability:
    """Probability of class 1, whole per cent 0..100, 255 not observed."""

    name, file = "probability", "probability.tif"

    def write(self, data: MapData, folder: Path) -> Path:
        """Write the COG."""
        return write_cog(data.layers.probability, folder / self.file, data.grid, PROBABILITY, data.tags)[0]
