"""One block of the work: read its pixels, predict its chips, sum them with their blend weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.catalog.cards import BEFORE
from geoseg.core.raster_band import NOT_OBSERVED
from geoseg.inference.blend import BlockSums
from geoseg.inference.chip_predictor import ChipPredictor
from geoseg.inference.image_source import ImageSource
from geoseg.inference.tiles import TileReader
from geoseg.inference.windows import Block, WindowPlan, cut_chips
from geoseg.readers import Failure

if TYPE_CHECKING:
    from geoseg.models.inference import Predictor

Image_co = TypeVar("Image_co", bound=ImageSource, covariant=True)


@dataclass(frozen=True)
class ModelInput(Generic[Image_co]):
    """The images that a model reads: of the event, and of the time before where it compares the two. Picklable.

    Attributes:
        bands: The model's bands in its order; ``before.`` marks those of ``pre_event``.
        image: Image to predict, of the event as a rule.
        pre_event: Image of the time before the event, on the same grid; None where no band is read from it.
    """

    bands: tuple[str, ...]
    image: Image_co
    pre_event: Image_co | None = None

    @property
    def images(self) -> tuple[Image_co, ...]:
        """The images, the pre-event image last."""
        return (self.image,) if self.pre_event is None else (self.image, self.pre_event)


@dataclass(frozen=True, slots=True)
class BlockPixels:
    """The pixels of a block.

    Attributes:
        values: float32 (band, y, x) over ``input_y``, ``input_x``, bands in the model's order, NaN where not observed.
        source: uint8 (y, x) likewise: scene of ``ModelInput.image``, 255 where any band is not observed.
        failures: Scenes that could not be read here.
    """

    values: NDArray[np.float32]
    source: NDArray[np.uint8]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The result of a block.

    Attributes:
        sums: Its share of the weighted sums.
        failures: Scenes that could not be read in it.
        chips: Chips that went through the model.
    """

    sums: BlockSums
    failures: tuple[Failure, ...]
    chips: int = 0


@dataclass(frozen=True, slots=True)
class InferenceJob:
    """Everything that predicting a block needs besides its number. Small and picklable: each worker receives it once.

    Attributes:
        plan: The windows of the grid.
        imagery: The images that the model reads.
        predictor: The model, with the threshold that was fitted to this scene.
        batch_size: Chips that go through a GPU at once.
    """

    plan: WindowPlan
    imagery: ModelInput[ImageSource]
    predictor: Predictor
    batch_size: int = 8

    def chip_predictor(self, threads: int) -> ChipPredictor:
        """Make the predictor of chips, ``threads`` at a time on a CPU."""
        return ChipPredictor(
            self.predictor, threads=threads, batch_size=self.batch_size if self.plan.y.reflect_padding else 1
        )

    def predict(self, block: Block, pixels: BlockPixels, chip_predictor: ChipPredictor) -> BlockResult:
        """Predict the chips of a block that has been read, and sum them."""
        return self.submit(block, pixels, chip_predictor)()

    def submit(self, block: Block, pixels: BlockPixels, chip_predictor: ChipPredictor) -> Callable[[], BlockResult]:
        """Submit the chips of a block that has been read; the function returned waits for them and sums them.

        Submit the next block before the previous one finishes, so that all cores stay busy.
        """
        inside = (
            slice(block.y[0] - block.input_y[0], block.y[1] - block.input_y[0]),
            slice(block.x[0] - block.input_x[0], block.x[1] - block.input_x[0]),
        )
        sums = BlockSums.empty(self.plan, block, pixels.source[inside])
        # a chip without an observed pixel is not predicted: its pixels are 255 whatever the model gives
        observed = (each for each in cut_chips(self.plan, block, pixels.values) if not np.isnan(each[1][0]).all())
        answers, failures = chip_predictor.probabilities(observed), pixels.failures

        def finish() -> BlockResult:
            chips = 0
            for window, probability in answers:
                sums.add(self.plan, window, probability)
                chips += 1
            return BlockResult(sums, failures, chips)

        return finish


def read_block(imagery: ModelInput[ImageSource], readers: tuple[TileReader, ...], block: Block) -> BlockPixels:
    """Read the pixels of a block, with one tile reader for each image of ``imagery``."""
    parts = [reader.read(block.input_y, block.input_x) for reader in readers]
    if len(parts) == 1:
        values, source = parts[0].values, parts[0].source
    else:
        values = _in_order(imagery, parts[0].values, parts[1].values)
        source = np.where(parts[1].source == NOT_OBSERVED, np.uint8(NOT_OBSERVED), parts[0].source)
    return BlockPixels(values, source, tuple(failure for part in parts for failure in part.failures))


def _in_order(
    imagery: ModelInput[ImageSource], event: NDArray[np.float32], pre_event: NDArray[np.float32]
) -> NDArray[np.float32]:
    assert imagery.pre_event is not None
    planes = [
        pre_event[imagery.pre_event.bands.index(band.removeprefix(BEFORE))]
        if band.startswith(BEFORE)
        else event[imagery.image.bands.index(band)]
        for band in imagery.bands
    ]
    return np.stack(planes)
