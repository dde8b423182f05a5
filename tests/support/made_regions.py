"""Folders of labelled radar chips in several regions, small enough to train on in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from geoseg.evaluation.records import ChipRecord
from tests.support.rasters import write_chip

PLAIN = ("--sensor", "s1", "--bands", "vv,vh", "--unit", "dB")
SMALL = ("--set", "options.base=2", "--set", "round_steps=2", "--set", "batch_size=2", "--device", "cpu")
REGIONS = {"Kano": 2, "Lagos": 1, "Niamey": 1, "Sahara": 1}
"""The last without water."""
TINY = (*SMALL, "--steps", "2")


def scene(seed: int, side: int = 40, *, wet: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """VV and VH in dB of a lake, with a corner that nobody observed, and its label, with a row that nobody labelled."""
    random = np.random.default_rng((11, seed))
    rows, columns = np.mgrid[:side, :side]
    row, column = random.uniform(0.35, 0.65, 2) * side
    mask = (np.hypot(rows - row, columns - column) < side / 3.5).astype(np.int16) * wet
    image = np.where(mask == 1, -21.0, -9.0) + random.normal(0, 1.5, (2, side, side))
    image[:, :6, :6] = np.nan
    mask[-1] = -1
    return image.astype(np.float32), mask


def write_regions(
    folder: Path, regions: Mapping[str, int], *, dry: Sequence[str] = (), split: str = "", side: int = 40
) -> Path:
    """``images/REGION/ID.tif`` and ``masks/REGION/ID.tif``, so many of each region, at 10 m in UTM 32 north."""
    below = folder / split
    for number, (region, count) in enumerate(regions.items()):
        for index in range(count):
            image, mask = scene(100 * number + index, side, wet=region not in dry)
            name = f"{region}_{index}.tif"
            write_chip(below / "images" / region / name, image, number, index)
            write_chip(below / "masks" / region / name, mask[None], number, index)
    return folder


def chip(identity: str, matrix: Sequence[Sequence[int]], region: str = "a", split: str = "") -> ChipRecord:
    """Counts of an image that nobody saw: every pixel is said with 0 or 100 per cent."""
    probability_histogram, positives = [0] * 101, [0] * 101
    (probability_histogram[0], positives[0]), (probability_histogram[100], positives[100]) = (
        (matrix[0][0] + matrix[1][0], matrix[1][0]),
        (matrix[0][1] + matrix[1][1], matrix[1][1]),
    )
    return ChipRecord(
        id=identity,
        region=region,
        split=split,
        matrix=tuple(tuple(row) for row in matrix),
        not_observed=0,
        boundary=(0, 0, 0, 0),
        probability_histogram=tuple(probability_histogram),
        positive_histogram=tuple(positives),
        mask="",
        probability="",
        seconds=0.1,
        windows=1,
    )
