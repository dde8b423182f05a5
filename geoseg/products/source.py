"""``source.tif``: which scene each pixel comes from."""

from __future__ import annotations

from pathlib import Path

from geoseg.core.raster_band import RasterBand
from geoseg.products.map_data import MapData
from geoseg.products.raster import write_cog


def scene_band(scene_ids: tuple[str, ...]) -> RasterBand:
    """Describe a raster of scene numbers: each code is a place in ``scene_ids``, 255 none."""
    return RasterBand("source scene", categories=dict(enumerate(scene_ids)))


class SourceScenes:
    """Number of the scene of each pixel, 255 not observed."""

    name, file = "source", "source.tif"

    def write(self, data: MapData, folder: Path) -> Path:
        """Write the COG, and ``source.tif.aux.xml`` with the scenes' ids."""
        return write_cog(data.layers.source, folder / self.file, data.grid, scene_band(data.scene_ids), data.tags)[0]
