"""Made labelled sets whose water can be told from its backscatter, small enough to learn from in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from geoseg.catalog.cards import WEIGHTS
from geoseg.catalog.target import WATER
from geoseg.core.progress import Report, silent
from geoseg.datasets.pair import LabelledSet, Pair
from geoseg.training import finetune as training
from geoseg.training.plan import TrainingPlan
from geoseg.training.recipe import Recipe
from tests.support.rasters import write_chip

WATER_DB, LAND_DB = -20.0, -9.0


def scene(seed: int, side: int = 32) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """VV and VH in dB of a round lake somewhere, and where it is."""
    random = np.random.default_rng((7, seed))
    row, column = random.uniform(0.3, 0.7, 2) * side
    rows, columns = np.mgrid[:side, :side]
    mask = (np.hypot(rows - row, columns - column) < side / 3.5).astype(np.int16)
    image = np.where(mask == 1, WATER_DB, LAND_DB) + random.normal(0, 2, (2, side, side))
    return image.astype(np.float32), mask


def pair(
    image: NDArray[np.float32], mask: NDArray[np.int16], name: str = "a", region: str = "r", split: str = ""
) -> Pair:
    """A pair of arrays in memory."""
    return Pair(name, region, split, da.from_array(image, name=False), da.from_array(mask, name=False), gsd_m=10.0)


def little_set(count: int = 4, side: int = 32, regions: int = 2, splits: str = "") -> LabelledSet:
    """Lakes; ``splits`` holds a letter for each pair: t(rain), v(al), x (test)."""
    named = {"": "", "t": "train", "v": "val", "x": "test"}
    pairs = [
        pair(*scene(index, side), f"p{index}", f"r{index % regions}", named[splits[index : index + 1]])
        for index in range(count)
    ]
    return set_of(*pairs)


def set_of(*pairs: Pair, classes: tuple[str, ...] = ("dry", "water")) -> LabelledSet:
    """A set of Sentinel-1 pairs in dB."""
    sources = ("little: made for a test, CC0",)
    return LabelledSet("little", pairs, ("vv", "vh"), "dB", "s1", classes, WATER, sources)


def recipe(**values: object) -> Recipe:
    """A U-Net of a few thousand numbers, two rounds of two steps."""
    small = {"model": "unet", "options": {"base": 2}, "steps": 4, "round_steps": 2, "batch_size": 2, "lr": 1e-2}
    return Recipe.model_validate(small | values)


def same_weights(one: Path, other: Path) -> bool:
    """Whether two bundles hold the same numbers but for the last bits, which depend on the machine and on its load."""
    mine, theirs = (load_file(folder / WEIGHTS) for folder in (one, other))
    return mine.keys() == theirs.keys() and all(
        torch.allclose(mine[key].double(), theirs[key].double(), rtol=1e-3, atol=1e-5) for key in mine
    )


def same_history(one: Sequence[Mapping[str, object]], other: Sequence[Mapping[str, object]]) -> bool:
    """Whether two runs told the same in each round: losses but for the last bits, IoU but for a pixel or two."""
    return [dict(line) for line in one] == [pytest.approx(dict(line), rel=1e-3, abs=5e-3) for line in other]


def write_folder(folder: Path, count: int = 4, side: int = 32, splits: tuple[str, ...] = ("",)) -> Path:
    """A folder of images and masks, as a person would have; ``splits`` are taken in turn."""
    for index in range(count):
        image, mask = scene(index, side)
        below = folder / splits[index % len(splits)]
        write_chip(below / "images" / f"p{index}.tif", image)
        write_chip(below / "masks" / f"p{index}.tif", mask[None])
    return folder


def finetune(
    data: LabelledSet, recipe: Recipe, out: Path, *, report: Report = silent, **settings: Any
) -> training.FinetuneResult:
    """``geoseg.training.finetune.finetune`` with its settings as keywords."""
    return training.finetune(data, recipe, out, training.RunSettings(**settings), report)


def run_plan(
    plan: TrainingPlan, over: dict[str, Any], out: Path, *, report: Report = silent, **settings: Any
) -> training.FinetuneResult:
    """``geoseg.training.finetune.run_plan`` with its settings as keywords."""
    return training.run_plan(plan, over, out, training.RunSettings(**settings), report)
