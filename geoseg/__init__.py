"""Flood maps from satellite imagery: a box and a date in, a mask that opens in QGIS out.

::

    import geoseg

    request = geoseg.Request.of(
        bbox="17.05,51.15,17.07,51.16", date="2024-09-18", sensor="s2", catalog="demo", model="mndwi"
    )
    result = geoseg.map_flood(request, "town")
    print(result.flood, result.shares_pct)

``catalog="demo"`` is the imagery that ``geoseg demo`` has made; without it the sensor's online catalogue is searched.

Importing this module loads neither torch, xarray, dask nor rasterio: the names below load what they need when
they are first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.core.request import Request as Request
    from geoseg.errors import GeosegError as GeosegError
    from geoseg.pipeline import map_flood as map_flood
    from geoseg.result import MapResult as MapResult

__version__ = "0.1.0"

_HOME = {
    "GeosegError": "geoseg.errors",
    "MapResult": "geoseg.result",
    "Request": "geoseg.core.request",
    "map_flood": "geoseg.pipeline",
}
__all__ = ["GeosegError", "MapResult", "Request", "map_flood"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'geoseg' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted([*globals(), *_HOME])
