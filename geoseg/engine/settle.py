"""Models whose threshold comes from the scene: one look over all of it before it is mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.chips.plan import Plan
from geoseg.engine.work import BlockPixels, Imagery
from geoseg.models.protocol import SceneAdaptive, Survey
from geoseg.progress import Progress, Report

if TYPE_CHECKING:
    from geoseg.engine.cluster import Cluster
    from geoseg.engine.here import Here
    from geoseg.models.inference import Predictor

SURVEY_PX = 1024
"""Side of the blocks a survey reads, rounded up to whole tiles of the model's."""


@dataclass(frozen=True, slots=True)
class Look:
    """Takes one block's statistics, here or on a worker."""

    predictor: Predictor

    def __call__(self, pixels: BlockPixels) -> Survey:
        """The statistics of a block."""
        model = self.predictor.load()
        assert isinstance(model, SceneAdaptive)
        return model.survey(pixels.values)


def settle(executor: Here | Cluster, imagery: Imagery, predictor: Predictor, report: Report) -> Predictor:
    """The predictor with its threshold chosen from the whole scene; unchanged where the model chooses none.

    The statistics merge in any order to the same result, so neither blocks nor workers change the threshold.
    """
    model = predictor.load()
    if not isinstance(model, SceneAdaptive):
        return predictor
    side = -(-SURVEY_PX // model.survey_px) * model.survey_px
    plan = Plan.over(tuple(imagery.now.geobox.shape), side, block_px=side, sticks_out=False)
    total = plan.shape[0] * plan.shape[1] / 1e6
    whole: Survey | None = None
    for number, part in enumerate(executor.survey(imagery, plan.blocks(), Look(predictor)), start=1):
        whole = part if whole is None else whole.merge(part)
        report(Progress("survey", min(total * number / plan.windows, total), total, "Mpx"))
    assert whole is not None  # a grid has at least one block
    return predictor.settled(whole)
