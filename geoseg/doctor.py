"""What this installation has: versions, drivers, devices, caches, and which credentials are set."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from typing import Any

from geoseg import __version__
from geoseg.core.atomic import cache_folder

PACKAGES = (
    *("torch", "torchvision", "torchgeo", "segmentation-models-pytorch", "timm", "lightning", "rasterio", "geopandas"),
    *("odc-geo", "pystac-client", "stac-geoparquet", "planetary-computer", "xarray", "dask", "distributed"),
    *("pydantic", "planet"),
)
OPTIONAL = {"planet"}
CREDENTIALS = {
    "PC_SDK_SUBSCRIPTION_KEY": "Planetary Computer, optional: higher limits",
    "AWS_ACCESS_KEY_ID": "CDSE and other S3 catalogues",
    "AWS_SECRET_ACCESS_KEY": "CDSE and other S3 catalogues",
    "PL_API_KEY": "Planet Data API",
}
DRIVERS = ("GTiff", "COG", "JP2OpenJPEG", "GPKG", "VRT", "PNG")


def examine() -> dict[str, Any]:
    """The state of the installation as plain JSON values; values of credentials are never in it."""
    return {
        "geoseg": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "gdal": _gdal(),
        "torch": _torch(),
        "cache": _cache(),
        "credentials": {name: bool(os.environ.get(name)) for name in CREDENTIALS},
    }


def problems(state: dict[str, Any]) -> list[str]:
    """What would stop a map, each with what to do about it."""
    found = [
        f"{name} is not installed: pip install {name}"
        for name in PACKAGES
        if not state["packages"][name] and name not in OPTIONAL
    ]
    found += [
        f"GDAL has no {name} driver: reinstall rasterio from a wheel"
        for name in DRIVERS
        if not state["gdal"]["drivers"][name]
    ]
    if state["torch"].get("error"):
        found.append(f"torch and torchvision do not fit together ({state['torch']['error']}): install them as a pair")
    if not state["cache"]["writable"]:
        found.append(f"the cache {state['cache']['folder']} cannot be written: set GEOSEG_CACHE")
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gdal() -> dict[str, Any]:
    import rasterio
    from rasterio.drivers import raster_driver_extensions

    with rasterio.Env() as env:
        have = set(env.drivers())
    return {
        "version": rasterio.__gdal_version__,
        "proj": rasterio.__proj_version__,
        "drivers": {name: name in have for name in DRIVERS},
        "raster_extensions": len(raster_driver_extensions()),
    }


def _torch() -> dict[str, Any]:
    try:
        import torch
        import torchvision  # noqa: F401  # the pair fails at import where it does not fit
    except (ImportError, RuntimeError) as error:
        return {"error": str(error).splitlines()[0]}
    cuda = torch.cuda.is_available()
    return {
        "device": "cuda" if cuda else "cpu",
        "gpu": torch.cuda.get_device_name(0) if cuda else None,
        "threads": torch.get_num_threads(),
    }


def _cache() -> dict[str, Any]:
    from geoseg.errors import OutputNotWritableError

    try:
        folder = cache_folder()
    except OutputNotWritableError:
        return {
            "folder": os.environ.get("GEOSEG_CACHE", "~/.cache/geoseg"),
            "writable": False,
            "used_mb": 0,
            "free_gb": 0,
        }
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "folder": str(folder),
        "writable": os.access(folder, os.W_OK),
        "used_mb": round(used / 1e6),
        "free_gb": round(shutil.disk_usage(folder).free / 1e9),
    }
