"""Predict a whole labelled image through the loop of ``geoseg map``: the same windows, blend and threshold."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import ModelCard
from geoseg.core.progress import silent
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.datasets.pair import Pair
from geoseg.inference.blend import Blend
from geoseg.inference.image_source import ArrayImage
from geoseg.inference.job import BlockResult, InferenceJob, ModelInput
from geoseg.inference.local import LocalExecutor
from geoseg.inference.run import predict_rows
from geoseg.inference.threshold import fit_scene_threshold
from geoseg.inference.windows import WindowPlan
from geoseg.models.inference import Predictor
from geoseg.water.codes import mask_codes

BLOCK_PX = 1024
"""Side of a block in pixels; affects memory only, never the result."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Prediction of a model for an image.

    Attributes:
        percent: uint8 (y, x), probability of class 1 in whole per cent, 255 where not observed or without a result.
        mask: uint8 (y, x), 0 or 1 by the card's threshold, 255 exactly where ``percent`` is 255.
        no_answer: bool (y, x), True where every band is observed and the model gave no number (255 in the others).
        seconds: Seconds in the model and the blend, without reading the image.
        windows: Chips that went through the model.
        scene_threshold_info: Threshold that was fitted to the image, and its statistics; empty for a fixed threshold.
    """

    percent: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    no_answer: NDArray[np.bool_]
    seconds: float
    windows: int
    scene_threshold_info: dict[str, object]


def predict_pair(predictor: Predictor, pair: Pair, *, batch_size: int = 8, threads: int | None = None) -> Predicted:
    """Predict a whole labelled image.

    Args:
        predictor: A model whose bands are those of the image, in order.
        pair: The image; it is read whole, its label is not read.
        batch_size: Chips per pass on a GPU; on a CPU each chip is one pass on one core, as in a map.
        threads: Chips at the same time on a CPU. None: one per core. Changes speed only.

    Raises:
        ModelError: The image does not fit the model's input.
        SceneUnreadableError: The file cannot be read.
    """
    pixels = pair.image.compute(scheduler="synchronous")
    image = ArrayImage(pixels, predictor.card.bands)
    imagery = ModelInput(image.bands, image)
    executor = LocalExecutor(threads=threads) if threads else LocalExecutor()
    begun = perf_counter()
    known = predictor.with_acquisition(gsd_m=pair.gsd_m, time=pair.time, latlon=pair.latlon)
    fitted = fit_scene_threshold(executor, imagery, known, silent)
    job = InferenceJob(window_plan(fitted.card, image.shape), imagery, fitted, batch_size)
    chips = 0

    def count(result: BlockResult) -> None:
        nonlocal chips
        chips += result.chips

    percent = np.concatenate([row.percent for row in predict_rows(executor, job, Blend(job.plan), count)])
    mask = mask_codes(percent, None, fitted.card.threshold_pct)
    seconds = perf_counter() - begun
    no_answer = (percent == NOT_OBSERVED) & (image.tile(0, 0).source != NOT_OBSERVED)
    return Predicted(percent, mask, no_answer, seconds, chips, fitted.scene_threshold_info())


def window_plan(card: ModelCard, shape: tuple[int, int]) -> WindowPlan:
    """Place the windows of a model over an image of a shape (y, x)."""
    if card.chip_px is None:
        return WindowPlan.clipped(shape, BLOCK_PX)
    return WindowPlan.over(shape, card.chip_px, card.overlap_px, block_px=BLOCK_PX)
