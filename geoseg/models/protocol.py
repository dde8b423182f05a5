"""What every model is, be it a threshold or a foundation encoder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from geoseg.catalog.cards import ModelCard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Chips:
    """A batch of chips, and what is known about them.

    Attributes:
        pixels: float32 (batch, band, y, x), physical units, NaN where not observed.
        bands: Name of each band of ``pixels``, in order.
        gsd_m: Ground sampling in metres, where known.
        time: Acquisition, UTC, where known.
        latlon: Latitude and longitude of the scene's middle in degrees, where known.
    """

    pixels: Tensor
    bands: tuple[str, ...]
    gsd_m: float | None = None
    time: datetime | None = None
    latlon: tuple[float, float] | None = None


@runtime_checkable
class ArrayModel(Protocol):
    """A model that computes with numpy. Bringing torch takes longer than mapping a small scene by a threshold does."""

    card: ModelCard

    def array_logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of class 1 before the sigmoid.

        Args:
            pixels: float32 (batch, band, y, x) in the card's bands and unit, NaN where not observed. Not changed.

        Returns:
            float32 (batch, y, x), a new array; finite wherever every band is observed.
        """


@runtime_checkable
class SegmentationModel(Protocol):
    """Anything that turns chips into logits."""

    card: ModelCard

    def logits(self, chips: Chips) -> Tensor:
        """Class scores before the sigmoid or softmax.

        Args:
            chips: Its bands must be ``card.bands``, in that order.

        Returns:
            float32 (batch, class, y, x) at the input's size; finite wherever every band is observed.

        Raises:
            BandMismatchError: Other bands than the card's.
            InputRangeError: Pixels that are not in the card's unit.
        """


class SceneStatistics(Protocol):
    """Statistics of part of a scene; parts merge into the whole in any order with the same result."""

    def merge(self, other: Self) -> Self:
        """The statistics of both parts together."""


@runtime_checkable
class SceneAdaptive(Protocol):
    """A model whose threshold comes from the scene itself, seen once before it is mapped."""

    statistics_tile_px: int
    """Side of the tile its statistics are taken over; blocks are whole multiples of it, anchored to the grid."""

    def scene_statistics(self, pixels: NDArray[np.float32]) -> SceneStatistics:
        """Statistics of one block, float32 (band, y, x) in physical units, NaN where not observed."""

    def with_threshold(self, scene_statistics: SceneStatistics) -> SegmentationModel:
        """The model with its threshold chosen from the statistics of the whole scene."""

    def scene_threshold_info(self) -> dict[str, Any]:
        """What was chosen and from how much, as plain JSON values for the run record."""
