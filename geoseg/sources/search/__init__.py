"""Where imagery is: STAC APIs, static catalogues, stac-geoparquet and Planet's Data API, all answered as Scenes.

No pixel is opened here. ``find_scenes`` answers what a map would use and why the rest is left out; ``find_items``
does the same for what stands beside imagery (reference water, elevation). Importing this room loads no heavy library.
"""

from geoseg.sources.planet.download import download_scene
from geoseg.sources.search.find import find_items, find_scenes
from geoseg.sources.search.footprint import coverage_pct

__all__ = ["coverage_pct", "download_scene", "find_items", "find_scenes"]
