"""Chips varied on the device they are learned on. What is not observed stays so, and is never labelled by accident."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from geoseg.datasets.pair import UNLABELLED
from geoseg.training.recipe import Augmentation

SMALLEST_SHARE, LARGEST_SHARE = 0.1, 0.5
"""Side of a hidden rectangle, of the chip's side."""


def augment_batch(pixels: Tensor, mask: Tensor, how: Augmentation, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch, varied; inputs are not changed.

    Args:
        pixels: float32 (batch, band, y, x), physical units, square, NaN where not observed.
        mask: int64 (batch, y, x), -1 where not labelled.
        how: What is varied, and how much.
        random: Where chance comes from, on the CPU.

    Returns:
        Both at the same size. What a zoom brings in from beyond the chip is not observed and not labelled.
    """
    if how.turns:
        pixels, mask = _turned(pixels, mask, random)
    if how.zoom:
        pixels, mask = _zoomed(pixels, mask, how.zoom, random)
    pixels = _shifted(pixels, how, random)
    if how.hide:
        pixels = _hidden(pixels, how.hide, random)
    return pixels, mask


def _turned(pixels: Tensor, mask: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each chip in one of the eight symmetries of a square."""
    turns = torch.randint(8, (len(pixels),), generator=random).tolist()
    images = [_turn(image, turn) for image, turn in zip(pixels, turns, strict=True)]
    labels = [_turn(label[None], turn)[0] for label, turn in zip(mask, turns, strict=True)]
    return torch.stack(images), torch.stack(labels)


def _turn(image: Tensor, turn: int) -> Tensor:
    flipped: Tensor = TF.horizontal_flip(image) if turn >= 4 else image
    return torch.rot90(flipped, turn % 4, (-2, -1))


def _zoomed(pixels: Tensor, mask: Tensor, zoom: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """The whole batch by one factor, log-uniform; the middle of what is larger, a frame of nothing around what is not.

    A pixel that any unobserved one takes part in is not observed.
    """
    side = pixels.shape[-1]
    exponent = 2 * torch.rand((), generator=random).item() - 1
    size = max(8, round(side * (1 + zoom) ** exponent))
    if size == side:
        return pixels, mask
    pixels = TF.resize(pixels, [size, size], interpolation=InterpolationMode.BILINEAR, antialias=True)
    mask = TF.resize(mask, [size, size], interpolation=InterpolationMode.NEAREST_EXACT)
    if size > side:
        first = (size - side) // 2
        inner = slice(first, first + side)
        return pixels[..., inner, inner], mask[..., inner, inner]
    before = (side - size) // 2
    frame = (before, side - size - before) * 2
    pad = torch.nn.functional.pad
    return pad(pixels, frame, value=torch.nan), pad(mask, frame, value=UNLABELLED)


def _shifted(pixels: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Gain and offset of the whole chip and of each band, and noise: other sensors, atmospheres, and speckle."""
    batch, bands = pixels.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random).to(pixels.device)

    if how.gain:
        gain = (1 + how.gain * normal(batch, 1, 1, 1)) * (1 + how.gain / 2 * normal(batch, bands, 1, 1))
        pixels = pixels * gain.clamp_min(0.1)
    if how.offset:
        pixels = pixels + how.offset * normal(batch, 1, 1, 1) + how.offset / 2 * normal(batch, bands, 1, 1)
    if how.noise:
        pixels = pixels + how.noise * normal(*pixels.shape)
    return pixels


def _hidden(pixels: Tensor, share: float, random: torch.Generator) -> Tensor:
    """A rectangle of some chips, not observed: what is left must do."""
    pixels, side = pixels.clone(), pixels.shape[-1]
    for chip in pixels:
        chance, height, width, top, left = torch.rand(5, generator=random).tolist()
        if chance >= share:
            continue
        tall, wide = (
            max(1, round(side * (SMALLEST_SHARE + (LARGEST_SHARE - SMALLEST_SHARE) * each))) for each in (height, width)
        )
        row, column = round(top * (side - tall)), round(left * (side - wide))
        chip[:, row : row + tall, column : column + wide] = torch.nan
    return pixels
