"""Scenes and a grid become pixels: float32, in physical units, NaN where nothing was observed."""

from geoseg.readers.cube import Cube, Failure, Pixels, Thumbnail
from geoseg.readers.plan_scene import refusal

__all__ = ["Cube", "Failure", "Pixels", "Thumbnail", "refusal"]
