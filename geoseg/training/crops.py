"""Where chips are cut from labelled images: anywhere that somebody labelled, the same chips for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from geoseg.core.progress import Progress, Report, silent
from geoseg.datasets.pair import UNLABELLED, LabelledSet, Pair
from geoseg.errors import NotTrainableError

CELL_PX = 16
"""Labels are counted in cells of this side; a chip is cut around a cell."""

Chip: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True)
class LabelMap:
    """Where a set is labelled, and as what.

    Attributes:
        cells: For each pair int64 (y, x, class): labelled and observed pixels of each class in each cell.
    """

    cells: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, data: LabelledSet, report: Report = silent) -> LabelMap:
        """Read every label once.

        Raises:
            NotTrainableError: No pixel is labelled, or all of them as one class.
        """
        counted = []
        for index, pair in enumerate(data.pairs):
            report(Progress("labels", index, len(data.pairs), data.piece))
            image, mask = pair.read()
            known = np.where(np.isfinite(image).all(axis=0), mask, UNLABELLED)
            counted.append(_cells(known, len(data.classes)))
        report(Progress("labels", len(data.pairs), len(data.pairs), data.piece))
        found = cls(tuple(counted))
        found.check(data)
        return found

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """Labelled pixels of each class, (class)."""
        total: NDArray[np.int64] = np.sum([cells.sum(axis=(0, 1)) for cells in self.cells], axis=0)
        return total

    def check(self, data: LabelledSet) -> None:
        """Refuse labels that nothing can be learned from.

        Raises:
            NotTrainableError: No pixel is labelled, or all of them as one class.
        """
        if not data.pairs or not np.any(self.pixels):
            raise NotTrainableError(
                f"{data.name} holds {data.counted(len(data.pairs))} and not one pixel that is both labelled and "
                "observed."
            )
        present = [name for name, count in zip(data.classes, self.pixels, strict=True) if count]
        if len(present) < 2:
            raise NotTrainableError(
                f"Every label of {data.name} says {present[0]!r}: a model must also see what is not. "
                f"Label some of {', '.join(name for name in data.classes if name not in present)}."
            )


@dataclass(frozen=True)
class Crops(Dataset[Chip]):
    """A run of chips, numbered through the whole training, so that a resumed run sees the rest of them.

    Attributes:
        data: What is cut.
        labels: Where it is labelled.
        chip_px: Side of a chip.
        seed: Chip ``n`` depends on ``seed`` and ``n`` alone.
        wet_share: Share that is cut around class 1 or above, where there is some.
        first: Number of the first chip.
        count: Chips.
        stride: Every so-many-th is ours: one of several devices.
    """

    data: LabelledSet
    labels: LabelMap
    chip_px: int
    seed: int
    wet_share: float
    first: int
    count: int
    stride: int = 1

    def __len__(self) -> int:
        """Chips in this run."""
        return self.count

    def __getitem__(self, index: int) -> Chip:
        """``image`` float32 (band, y, x), NaN where not observed; ``mask`` int64 (y, x), -1 where not labelled."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        random = np.random.default_rng((self.seed, self.first + index * self.stride))
        pair, middle = self._around(random)
        image, mask = cut(self.data.pairs[pair], middle, self.chip_px)
        return {"image": torch.from_numpy(image), "mask": torch.from_numpy(mask.astype(np.int64))}

    def _around(self, random: np.random.Generator) -> tuple[int, tuple[int, int]]:
        wet, dry = self._weights
        weights = wet if wet[-1] > 0 and (random.random() < self.wet_share or dry[-1] == 0) else dry
        place = int(np.searchsorted(weights, random.random() * weights[-1], side="right"))
        pair = int(np.searchsorted(self._starts, place, side="right")) - 1
        across = self.labels.cells[pair].shape[1]
        row, column = divmod(place - int(self._starts[pair]), across)
        room = max(0, self.chip_px // 2 - CELL_PX // 2)  # all of the cell stays in the chip, so its labels do
        jitter = random.integers(-room, room + 1, 2)
        return pair, (row * CELL_PX + CELL_PX // 2 + int(jitter[0]), column * CELL_PX + CELL_PX // 2 + int(jitter[1]))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Number of each pair's first cell."""
        sizes = [cells.shape[0] * cells.shape[1] for cells in self.labels.cells]
        return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)

    @cached_property
    def _weights(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Running sums over all cells: of those with class 1 or above, of all labelled ones; by the images' weight."""
        wet, any_ = [], []
        for pair, cells in zip(self.data.pairs, self.labels.cells, strict=True):
            positive, labelled = cells[..., 1:].sum(axis=-1).ravel(), cells.sum(axis=-1).ravel()
            wet.append((positive > 0) * pair.weight / max(1, np.count_nonzero(positive)))
            any_.append((labelled > 0) * pair.weight / max(1, np.count_nonzero(labelled)))
        return np.cumsum(np.concatenate(wet)), np.cumsum(np.concatenate(any_))

    def __hash__(self) -> int:
        """By identity: a set of arrays has no other."""
        return id(self)


@dataclass(frozen=True)
class Tiles(Dataset[Chip]):
    """Every pixel of a set once, in squares: what validation looks at.

    Attributes:
        data: What is cut.
        chip_px: Side of a square; what sticks out beyond an image is not observed and not labelled.
    """

    data: LabelledSet
    chip_px: int

    def __len__(self) -> int:
        """Squares of all images."""
        return len(self.places)

    def __getitem__(self, index: int) -> Chip:
        """As :meth:`Crops.__getitem__`."""
        pair, row, column = self.places[index]
        side = self.chip_px
        image, mask = self.data.pairs[pair].read(slice(row, row + side), slice(column, column + side))
        room = ((0, side - mask.shape[0]), (0, side - mask.shape[1]))
        wide = np.pad(image, ((0, 0), *room), constant_values=np.nan)
        labels = np.pad(mask.astype(np.int64), room, constant_values=UNLABELLED)
        return {"image": torch.from_numpy(wide), "mask": torch.from_numpy(labels)}

    @cached_property
    def places(self) -> list[tuple[int, int, int]]:
        """Of each square its image, and its first row and column."""
        return [
            (index, row, column)
            for index, pair in enumerate(self.data.pairs)
            for row in range(0, pair.shape[0], self.chip_px)
            for column in range(0, pair.shape[1], self.chip_px)
        ]


def cut(pair: Pair, middle: tuple[int, int], side: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """A square around a pixel, moved inside the image; where the image is smaller, NaN and unlabelled around it."""
    (rows, columns), shape = (
        (_span(at, side, length) for at, length in zip(middle, pair.shape, strict=True)),
        pair.shape,
    )
    image, mask = pair.read(rows, columns)
    if image.shape[-2:] == (side, side):
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)
    wide = np.full((image.shape[0], side, side), np.nan, np.float32)
    labels = np.full((side, side), UNLABELLED, np.int16)
    height, width = min(side, shape[0]), min(side, shape[1])
    wide[:, :height, :width], labels[:height, :width] = image, mask
    return wide, labels


def _span(middle: int, side: int, length: int) -> slice:
    start = min(max(middle - side // 2, 0), max(length - side, 0))
    return slice(start, min(start + side, length))


def _cells(mask: NDArray[np.int16], classes: int) -> NDArray[np.int64]:
    """Pixels of each class in each cell, (y, x, class)."""
    rows, columns = (-(-length // CELL_PX) for length in mask.shape)
    padded = np.full((rows * CELL_PX, columns * CELL_PX), UNLABELLED, np.int16)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    cells = padded.reshape(rows, CELL_PX, columns, CELL_PX)
    return np.stack([(cells == each).sum(axis=(1, 3)) for each in range(classes)], axis=-1).astype(np.int64)
