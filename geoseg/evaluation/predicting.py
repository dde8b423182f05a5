"""A whole labelled image through a model, exactly as ``geoseg map`` does it: the same windows, blend and threshold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import reduce
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import ModelCard
from geoseg.datasets.pair import Pair
from geoseg.inference.blend import NOT_OBSERVED, Blend, BlockSums
from geoseg.inference.chip_predictor import ChipPredictor
from geoseg.inference.threshold import SURVEY_PX
from geoseg.inference.windows import WindowPlan, cut_chips
from geoseg.models.inference import Predictor
from geoseg.models.protocol import SceneAdaptive
from geoseg.water.codes import mask_codes

BLOCK_PX = 1024
"""Side of a block; changes memory only, never the answer."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of an image.

    Attributes:
        percent: uint8 (y, x), probability of class 1 in whole per cent, 255 where not observed or not answered.
        mask: uint8 (y, x), 0 or 1 by the card's threshold, 255 exactly where ``percent`` is.
        no_answer: bool (y, x), where the image shows every band and the model gave no number; 255 in both others.
        seconds: In the model and the blend; reading the image is not in it.
        windows: Chips that were computed.
        findings: What a model that looks at the whole image first chose for it.
    """

    percent: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    no_answer: NDArray[np.bool_]
    seconds: float
    windows: int
    scene_threshold_info: dict[str, object]


def predict_pair(predictor: Predictor, pair: Pair, *, batch_size: int = 8, threads: int | None = None) -> Predicted:
    """Predict an image.

    Args:
        predictor: Of any model whose card's bands are the pair's, in order.
        pair: Read whole, its label unread.
        batch_size: Chips at once on a GPU; on a CPU each is one pass on one core, as in a map.
        threads: Chips at the same time on a CPU. None: as many as there are cores. Changes speed only.

    Raises:
        ModelError: The image is not what the model reads.
        SceneUnreadableError: Its file cannot be read.
    """
    pixels = pair.image.compute(scheduler="synchronous")
    begun = perf_counter()
    known = predictor.with_acquisition(gsd_m=pair.gsd_m, time=pair.time, latlon=pair.latlon)
    with_threshold = _settled(known, pixels)
    percent, windows = _probability(with_threshold, pixels, batch_size, threads or os.cpu_count() or 1)
    mask = mask_codes(percent, None, with_threshold.card.threshold_pct)
    seconds = perf_counter() - begun
    no_answer = (percent == NOT_OBSERVED) & ~np.isnan(pixels).any(axis=0)
    return Predicted(percent, mask, no_answer, seconds, windows, with_threshold.scene_threshold_info())


def plan_of(card: ModelCard, shape: tuple[int, int]) -> WindowPlan:
    """Where the windows lie over an image of a shape (y, x)."""
    if card.chip_px is None:
        return WindowPlan.over(shape, BLOCK_PX, block_px=BLOCK_PX, reflect_padding=False)
    return WindowPlan.over(shape, card.chip_px, card.overlap_px, block_px=BLOCK_PX)


def _settled(predictor: Predictor, pixels: NDArray[np.float32]) -> Predictor:
    """The threshold chosen from the whole image, where the model chooses one; as in ``geoseg.inference.threshold``."""
    model = predictor.load()
    if not isinstance(model, SceneAdaptive):
        return predictor
    side = -(-SURVEY_PX // model.statistics_tile_px) * model.statistics_tile_px
    plan = WindowPlan.over((pixels.shape[1], pixels.shape[2]), side, block_px=side, reflect_padding=False)
    parts = [model.scene_statistics(pixels[:, slice(*block.y), slice(*block.x)]) for block in plan.blocks()]
    return predictor.with_threshold(reduce(lambda whole, part: whole.merge(part), parts))


def _probability(
    predictor: Predictor, pixels: NDArray[np.float32], batch_size: int, threads: int
) -> tuple[NDArray[np.uint8], int]:
    plan = plan_of(predictor.card, (pixels.shape[1], pixels.shape[2]))
    source = np.where(np.isnan(pixels).any(axis=0), np.uint8(NOT_OBSERVED), np.uint8(0))
    blend, rows, windows = Blend(plan), list[NDArray[np.uint8]](), 0
    one_at_a_time = not plan.y.reflect_padding
    with ChipPredictor(predictor, threads=threads, batch_size=1 if one_at_a_time else batch_size) as chip_predictor:
        done = 0
        for block in plan.blocks():
            if block.row != done:
                rows.append(blend.flush(done)[1])
                done = block.row
            partial = BlockSums.empty(plan, block, source[slice(*block.y), slice(*block.x)])
            shown = pixels[:, slice(*block.input_y), slice(*block.input_x)]
            # as in a map, a chip without anything observed needs no answer
            for window, chip in chip_predictor.probabilities(
                each for each in cut_chips(plan, block, shown) if not np.isnan(each[1][0]).all()
            ):
                partial.add(plan, window, chip)
                windows += 1
            blend.merge(partial)
        rows.append(blend.flush(done)[1])
    return np.concatenate(rows), windows
