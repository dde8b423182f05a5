"""Fit the threshold of a scene-adaptive model: statistics of the whole scene before it is mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.core.progress import Progress, Report
from geoseg.inference.image_source import ImageSource
from geoseg.inference.job import BlockPixels, ModelInput
from geoseg.inference.windows import WindowPlan
from geoseg.models.protocol import SceneAdaptive, SceneStatistics

if TYPE_CHECKING:
    from geoseg.inference.dask_executor import DaskExecutor
    from geoseg.inference.local import LocalExecutor
    from geoseg.models.inference import Predictor

STATISTICS_PX = 1024
"""Side of the blocks that are read for the statistics, rounded up to whole statistics tiles of the model."""


@dataclass(frozen=True, slots=True)
class CollectStatistics:
    """Collect the statistics of one block, in this process or on a worker."""

    predictor: Predictor

    def __call__(self, pixels: BlockPixels) -> SceneStatistics:
        """Return the statistics of a block."""
        model = self.predictor.load()
        assert isinstance(model, SceneAdaptive)
        return model.scene_statistics(pixels.values)


def fit_scene_threshold(
    executor: LocalExecutor | DaskExecutor, imagery: ModelInput[ImageSource], predictor: Predictor, report: Report
) -> Predictor:
    """Return the predictor with its threshold fitted to the whole scene; unchanged for a model with a fixed one.

    The statistics merge in any order to the same result, so neither blocks nor workers change the threshold.
    """
    model = predictor.load()
    if not isinstance(model, SceneAdaptive):
        return predictor
    side = -(-STATISTICS_PX // model.statistics_tile_px) * model.statistics_tile_px
    plan = WindowPlan.clipped(imagery.image.shape, side)
    total = plan.shape[0] * plan.shape[1] / 1e6
    whole: SceneStatistics | None = None
    for number, part in enumerate(
        executor.scene_statistics(imagery, plan.blocks(), CollectStatistics(predictor)), start=1
    ):
        whole = part if whole is None else whole.merge(part)
        report(Progress("survey", min(total * number / plan.windows, total), total, "Mpx"))
    assert whole is not None  # a grid has at least one block
    return predictor.with_threshold(whole)
