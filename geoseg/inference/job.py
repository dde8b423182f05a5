"""What has to be done for one block: read its pixels, predict its chips, weigh them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import BEFORE
from geoseg.inference.blend import NOT_OBSERVED, BlockSums
from geoseg.inference.chip_predictor import ChipPredictor
from geoseg.inference.tiles import TileReader
from geoseg.inference.windows import Block, WindowPlan, cut_chips
from geoseg.readers import Cube, Failure

if TYPE_CHECKING:
    from geoseg.models.inference import Predictor


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What a model is shown: the imagery of the date, and of before where it compares the two. Picklable.

    Attributes:
        bands: The model's bands in its order; ``before.`` marks those of ``before``.
        now: Imagery of the date.
        before: Imagery of before, on the same grid; None where no band wants it.
    """

    bands: tuple[str, ...]
    now: Cube
    before: Cube | None = None

    @property
    def cubes(self) -> tuple[Cube, ...]:
        """The cubes, the date's first."""
        return (self.now,) if self.before is None else (self.now, self.before)


@dataclass(frozen=True, slots=True)
class BlockPixels:
    """A block, read.

    Attributes:
        values: float32 (band, y, x) over ``input_y``, ``input_x``, bands in the model's order, NaN where not observed.
        source: uint8 (y, x) likewise: scene of ``ModelInput.now``, 255 where any band is not observed.
        failures: Scenes that could not be read here.
    """

    values: NDArray[np.float32]
    source: NDArray[np.uint8]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class BlockResult:
    """A block, done: its share of the answer, and the scenes that failed while reading it."""

    partial: BlockSums
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class InferenceJob:
    """Everything a block needs besides its number. Small and picklable: it travels to every worker once.

    Attributes:
        plan: The windows of the grid.
        imagery: What the model is shown.
        predictor: How to get the model, and what was settled for this scene.
        batch_size: Chips that go through a GPU at once.
    """

    plan: WindowPlan
    imagery: ModelInput
    predictor: Predictor
    batch_size: int = 8

    def chip_predictor(self, threads: int) -> ChipPredictor:
        """What predicts the chips, ``threads`` at a time on a CPU."""
        return ChipPredictor(
            self.predictor, threads=threads, batch_size=self.batch_size if self.plan.y.reflect_padding else 1
        )

    def predict(self, block: Block, pixels: BlockPixels, chip_predictor: ChipPredictor) -> BlockResult:
        """Predict and weigh the chips of a block that has been read."""
        return self.submit(block, pixels, chip_predictor)()

    def submit(self, block: Block, pixels: BlockPixels, chip_predictor: ChipPredictor) -> Callable[[], BlockResult]:
        """Hand in the chips of a block that has been read; what comes back waits for them and weighs them.

        Begun before the block ahead is done, a block leaves no core idle while the other predicts the last chip.
        """
        inside = (
            slice(block.y[0] - block.input_y[0], block.y[1] - block.input_y[0]),
            slice(block.x[0] - block.input_x[0], block.x[1] - block.input_x[0]),
        )
        partial = BlockSums.empty(self.plan, block, pixels.source[inside])
        # a chip without anything observed needs no answer: its pixels are 255 whatever the model says
        seen = (each for each in cut_chips(self.plan, block, pixels.values) if not np.isnan(each[1][0]).all())
        answers, failures = chip_predictor.probabilities(seen), pixels.failures

        def finish() -> BlockResult:
            for window, probability in answers:
                partial.add(self.plan, window, probability)
            return BlockResult(partial, failures)

        return finish


def read_block(imagery: ModelInput, readers: tuple[TileReader, ...], block: Block) -> BlockPixels:
    """Read a block's pixels through one tile reader for each cube of ``imagery``."""
    parts = [reader.read(block.input_y, block.input_x) for reader in readers]
    if len(parts) == 1:
        values, source = parts[0].values, parts[0].source
    else:
        values = _in_order(imagery, parts[0].values, parts[1].values)
        source = np.where(parts[1].source == NOT_OBSERVED, np.uint8(NOT_OBSERVED), parts[0].source)
    return BlockPixels(values, source, tuple(failure for part in parts for failure in part.failures))


def _in_order(imagery: ModelInput, now: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    assert imagery.before is not None
    planes = [
        before[imagery.before.bands.index(band.removeprefix(BEFORE))]
        if band.startswith(BEFORE)
        else now[imagery.now.bands.index(band)]
        for band in imagery.bands
    ]
    return np.stack(planes)
