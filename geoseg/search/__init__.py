"""Where imagery is: STAC APIs, static catalogues, stac-geoparquet and Planet's Data API, all answered as Scenes.

No pixel is opened here. ``find_scenes`` answers what a map would use and why the rest is left out; ``find_items``
does the same for what stands beside imagery (reference water, elevation). Importing this room loads no heavy library.
"""

from geoseg.search.find import find_items, find_scenes
from geoseg.search.footprint import coverage_pct
from geoseg.search.planet_download import download_scene

__all__ = ["coverage_pct", "download_scene", "find_items", "find_scenes"]
