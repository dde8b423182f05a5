"""A file that was refused may be another sensor's: where the file itself says so, the message does too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geoseg.catalog.sensors import sensor as sensor_record
from geoseg.catalog.sensors import sensors
from geoseg.errors import NotIngestibleError
from geoseg.sources.local.naming import canonical
from geoseg.sources.local.raster import RasterFile, look_at, sample

DECIBEL = (-60.0, -1.0)
"""Medians of backscatter in dB lie within; those of reflectance and of counts never do."""


def another_sensor(path: Path, said: str) -> str:
    """A sentence that names the sensor a refused file looks like, or "" where nothing is known.

    Band names decide: all of them are another sensor's, and none this one's. Else numbers do: floats that are mostly
    negative are backscatter in dB.

    Args:
        path: What was refused.
        said: The sensor that it was added as.
    """
    if not path.is_file():
        return ""
    try:
        raster = look_at(path)
        names = [text for text in raster.descriptions if text]
        if names and not any(canonical(name, said) for name in names):
            for other in sensors():
                if other != said and all(canonical(name, other) for name in names):
                    return f"Its bands are called {', '.join(names[:4])}: is it --sensor {other}?"
        return _negative(raster, said)
    except NotIngestibleError:
        return ""


def _negative(raster: RasterFile, said: str) -> str:
    if sensor_record(said).polarised or raster.integer or raster.count > 2:
        return ""
    values = sample(raster)
    values = values[np.isfinite(values)]
    middle = float(np.median(values)) if values.size else 0.0
    if not DECIBEL[0] < middle < DECIBEL[1]:
        return ""
    radars = " or ".join(f"--sensor {name}" for name, record in sensors().items() if record.polarised)
    return f"Half of its numbers are below {middle:.3g}, as backscatter in dB is: is it {radars} --units db?"
