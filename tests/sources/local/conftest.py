"""Made-up files of every kind that a person may bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

MakeRaster = Callable[..., Path]
UTM = from_origin(500_000, 5_400_000, 10, 10)


@pytest.fixture
def made(tmp_path: Path) -> MakeRaster:
    """Write a raster: ``made("a.tif", pixels, descriptions=..., colours=..., nodata=..., crs=...)``."""

    def write(
        name: str,
        pixels: np.ndarray,
        *,
        crs: str | None = "EPSG:32632",
        transform=UTM,
        nodata: float | None = None,
        descriptions: Sequence[str] = (),
        colours: Sequence[ColorInterp] = (),
        tags: dict[str, str] | None = None,
        **profile,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands = pixels if pixels.ndim == 3 else pixels[None]
        profile = {"driver": "GTiff", "nodata": nodata, **profile}
        shape = {"count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2]}
        with rasterio.open(path, "w", crs=crs, transform=transform, dtype=bands.dtype, **shape, **profile) as target:
            if colours:
                target.colorinterp = colours
            target.write(bands)
            for index, text in enumerate(descriptions, start=1):
                target.set_band_description(index, text)
            target.update_tags(**(tags or {}))
        return path

    return write


def numbers(count: int, low: float, high: float, dtype: str, size: int = 32) -> np.ndarray:
    """(band, y, x) of evenly spread values: no randomness, every value in range."""
    return np.linspace(low, high, count * size * size).reshape(count, size, size).astype(dtype)


@pytest.fixture
def backscatter() -> np.ndarray:
    """Two bands of plausible dB."""
    return numbers(2, -25, -3, "float32")


@pytest.fixture
def surface() -> Callable[[int], np.ndarray]:
    """Bands of plausible reflectance times 10000."""
    return lambda count: numbers(count, 200, 4000, "uint16")
