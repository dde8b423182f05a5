"""Models whose threshold comes from the scene: one look over all of it before it is mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.core.progress import Progress, Report
from geoseg.inference.job import BlockPixels, ModelInput
from geoseg.inference.windows import WindowPlan
from geoseg.models.protocol import SceneAdaptive, SceneStatistics

if TYPE_CHECKING:
    from geoseg.inference.dask_executor import DaskExecutor
    from geoseg.inference.local import LocalExecutor
    from geoseg.models.inference import Predictor

SURVEY_PX = 1024
"""Side of the blocks a survey reads, rounded up to whole tiles of the model's."""


@dataclass(frozen=True, slots=True)
class Look:
    """Takes one block's statistics, here or on a worker."""

    predictor: Predictor

    def __call__(self, pixels: BlockPixels) -> SceneStatistics:
        """The statistics of a block."""
        model = self.predictor.load()
        assert isinstance(model, SceneAdaptive)
        return model.scene_statistics(pixels.values)


def fit_scene_threshold(
    executor: LocalExecutor | DaskExecutor, imagery: ModelInput, predictor: Predictor, report: Report
) -> Predictor:
    """The predictor with its threshold chosen from the whole scene; unchanged where the model chooses none.

    The statistics merge in any order to the same result, so neither blocks nor workers change the threshold.
    """
    model = predictor.load()
    if not isinstance(model, SceneAdaptive):
        return predictor
    side = -(-SURVEY_PX // model.statistics_tile_px) * model.statistics_tile_px
    plan = WindowPlan.over(tuple(imagery.now.geobox.shape), side, block_px=side, reflect_padding=False)
    total = plan.shape[0] * plan.shape[1] / 1e6
    whole: SceneStatistics | None = None
    for number, part in enumerate(executor.scene_statistics(imagery, plan.blocks(), Look(predictor)), start=1):
        whole = part if whole is None else whole.merge(part)
        report(Progress("survey", min(total * number / plan.windows, total), total, "Mpx"))
    assert whole is not None  # a grid has at least one block
    return predictor.with_threshold(whole)
