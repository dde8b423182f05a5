"""Scenes and a grid become pixels: float32, in physical units, NaN where nothing was observed."""

from geoseg.readers.cube import Cube, Failure, Pixels, Thumbnail
from geoseg.readers.planning import refusal

__all__ = ["Cube", "Failure", "Pixels", "Thumbnail", "refusal"]
