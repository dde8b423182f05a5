"""Convolution, pixel shuffle, convolution: three linear steps, so one convolution on the cells does the same.

A pixel of the output sees 3x3 pixels, hence at most 3x3 cells, hence 5x5 cells of the input: the fused kernel is 5x5
and has one output per class and pixel of a cell. Only on the frame does it differ: beyond the image the second
convolution sees zeros, whereas the fused kernel would see what the first convolution has to say about cells that do not
exist. So the outermost pixel rows, columns and corners have kernels of their own, with those taps left out.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Span(NamedTuple):
    """Which pixels of a cell a kernel writes along one axis, and which taps of the second convolution it may use."""

    pixels: tuple[int, ...]
    taps: tuple[int, ...]


def spans(patch: int) -> dict[str, Span]:
    """The first pixel of the image, all pixels of an inner cell, and the last pixel of the image."""
    return {
        "first": Span((0,), (0, 1)),
        "inner": Span(tuple(range(patch)), (-1, 0, 1)),
        "last": Span((patch - 1,), (-1, 0)),
    }


class FusedShuffle(nn.Module):
    """Nine kernels: first, inner and last along y times the same along x."""

    def __init__(self, patch: int, classes: int, kernels: dict[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.patch = patch
        self.classes = classes
        for name, (weight, bias) in kernels.items():
            self.register_buffer(f"{name}_weight", weight)
            self.register_buffer(f"{name}_bias", bias)

    @classmethod
    def of(cls, spread: nn.Conv2d, out: nn.Conv2d, patch: int) -> Self:
        """Fuse ``out(pixel_shuffle(spread(x), patch))``, both convolutions 3x3 with a padding of 1."""
        known = spans(patch)
        with torch.no_grad():
            kernels = {f"{y}_{x}": compose(spread, out, patch, known[y], known[x]) for y, x in product(known, known)}
        return cls(patch, out.out_channels, kernels)

    def forward(self, cells: Tensor) -> Tensor:
        """(batch, channel, y, x) -> (batch, class, patch*y, patch*x)."""
        logits = F.pixel_shuffle(self._conv("inner_inner", cells), self.patch)
        ends = {"first": slice(None, 3), "last": slice(-3, None)}
        pixel = {"first": 0, "last": -1}
        for end, near in ends.items():
            logits[..., pixel[end], :] = self._line(f"{end}_inner", cells[..., near, :], end)
            logits[..., :, pixel[end]] = self._line(f"inner_{end}", cells[..., :, near], end)
        for (y, near_y), (x, near_x) in product(ends.items(), ends.items()):
            corner = self._conv(f"{y}_{x}", cells[..., near_y, near_x])
            logits[..., pixel[y], pixel[x]] = corner[..., pixel[y], pixel[x]]
        return logits

    def _conv(self, name: str, cells: Tensor) -> Tensor:
        return F.conv2d(cells, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"), padding=2)

    def _line(self, name: str, near: Tensor, end: str) -> Tensor:
        """One row or column of pixels, (batch, class, length): the outermost line of cells, its pixels in order."""
        out = self._conv(name, near)
        line = (
            out[..., 0 if end == "first" else -1, :] if name.startswith(end) else out[..., 0 if end == "first" else -1]
        )
        per_pixel = line.reshape(near.shape[0], self.classes, self.patch, -1)
        return per_pixel.transpose(2, 3).flatten(2)


def compose(spread: nn.Conv2d, out: nn.Conv2d, patch: int, y: Span, x: Span) -> tuple[Tensor, Tensor]:
    """One convolution for the given pixels of a cell.

    Returns:
        Kernel (class*pixel, channel, 5, 5), pixels of a cell in row-major order, and bias (class*pixel,).
    """
    fine, hidden = out.in_channels, spread.in_channels
    first = spread.weight.reshape(fine, patch, patch, hidden, 3, 3)
    first_bias = _bias(spread).reshape(fine, patch, patch)
    kernel = first.new_zeros(out.out_channels, len(y.pixels), len(x.pixels), hidden, 5, 5)
    bias = _bias(out)[:, None, None].repeat(1, len(y.pixels), len(x.pixels))
    for (i, row), (j, column) in product(enumerate(y.pixels), enumerate(x.pixels)):
        for dy, dx in product(y.taps, x.taps):
            cell_y, pixel_y = divmod(row + dy, patch)
            cell_x, pixel_x = divmod(column + dx, patch)
            tap = out.weight[:, :, dy + 1, dx + 1]
            part = torch.tensordot(tap, first[:, pixel_y, pixel_x], dims=1)
            kernel[:, i, j, :, cell_y + 1 : cell_y + 4, cell_x + 1 : cell_x + 4] += part
            bias[:, i, j] += tap @ first_bias[:, pixel_y, pixel_x]
    return kernel.flatten(0, 2), bias.flatten()


def _bias(convolution: nn.Conv2d) -> Tensor:
    if convolution.bias is None:
        return convolution.weight.new_zeros(convolution.out_channels)
    return convolution.bias
