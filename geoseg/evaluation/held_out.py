"""Write predicted masks and probabilities of test images as GeoTIFFs on the grid of the image."""

from __future__ import annotations

import hashlib
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from geoseg.catalog.target import TargetClass
from geoseg.core.atomic import atomic_file, raise_output_errors
from geoseg.core.raster_band import RasterBand
from geoseg.datasets.pair import Pair
from geoseg.evaluation.predicting import Predicted
from geoseg.inference.layers import ByteLayer
from geoseg.products.raster import write_cogs
from geoseg.water.codes import PROBABILITY, Legend

MASKS, PROBABILITIES = "masks", "probabilities"


DIGITS = 10
"""Hash digits that keep names apart which are equal once characters are replaced."""


def file_stem(identity: str) -> str:
    """Turn an id into a file name, the same in every run.

    Characters that a path may not hold become ``-``. A changed name ends with a hash of the whole id, or ``a b`` and
    ``a-b`` would be one file.
    """
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", identity).strip("-.")
    if plain == identity and plain:
        return identity
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()  # a file's name may be no UTF-8
    return f"{plain or 'image'}-{digest[:DIGITS]}"


def write_held_out(
    folder: Path, pair: Pair, predicted: Predicted, meaning: TargetClass, tags: dict[str, str]
) -> tuple[Path, Path]:
    """Write ``masks/ID.tif`` and ``probabilities/ID.tif``, the files that ``geoseg map`` would write for this image.

    A georeferenced image gives COGs; another gives plain GeoTIFFs without a coordinate system.

    Args:
        folder: Folder of the fold.
        pair: The image.
        predicted: Its prediction.
        meaning: Target class of class 1.
        tags: Metadata of both files.

    Returns:
        The mask's path and the probability's.

    Raises:
        OutputNotWritableError: The folder cannot be written, or the disk is full.
    """
    stem = f"{file_stem(pair.id)}.tif"
    mask, probability = folder / MASKS / stem, folder / PROBABILITIES / stem
    files = {
        mask: (predicted.mask, Legend.of(meaning, has_reference=False).band),
        probability: (predicted.percent, PROBABILITY),
    }
    for path in files:
        with raise_output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    if pair.place is None:
        for path, (codes, band) in files.items():
            _write_plain(path, codes, band, tags)
        return mask, probability
    geobox = GeoBox(pair.shape, pair.place.transform, pair.place.crs)
    with raise_output_errors(folder), tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as work:
        layers = {path: (_layer(Path(work), path, codes), band) for path, (codes, band) in files.items()}
        write_cogs(layers, geobox, tags)
    return mask, probability


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read a predicted mask or probability, uint8 (y, x)."""
    with _without_georeference_warning(), rasterio.open(path) as file:
        codes: NDArray[np.uint8] = file.read(1)
    return codes


def _layer(work: Path, path: Path, codes: NDArray[np.uint8]) -> ByteLayer:
    layer = ByteLayer.create(work / f"{path.parent.name}.raw", (codes.shape[0], codes.shape[1]))
    layer.write(0, codes)
    return layer


def _write_plain(path: Path, codes: NDArray[np.uint8], band: RasterBand, tags: dict[str, str]) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": band.nodata, "compress": "deflate"}
    rows, columns = codes.shape
    with (
        atomic_file(path) as part,
        _without_georeference_warning(),
        rasterio.open(part, "w", width=columns, height=rows, **profile) as file,
    ):
        file.write(codes, 1)
        file.set_band_description(1, band.description)
        if band.colours:
            file.write_colormap(1, {code: (*colour, 255) for code, colour in band.colours.items()})
        file.update_tags(**tags)


@contextmanager
def _without_georeference_warning() -> Iterator[None]:
    """Suppress rasterio's warning that a file is not georeferenced: the image is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
