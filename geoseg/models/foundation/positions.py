"""Positions as sines and cosines: the formulas of the papers, each in the precision that its weights were trained with.

Sources: Vaswani et al. 2017 (sin-cos of a scalar), He et al. 2022 (two dimensions, half the width each), Szwarcman et
al. 2024 (Prithvi: three dimensions), Clay v1.5 (frequencies scaled by the ground sampling).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Policy = Literal["recompute", "interpolate"]
"""Off the grid of pretraining: compute the positions of the new grid, or stretch the table of the old one."""

BASE = 10_000


def sincos(values: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of ``values`` times ``10000 ** (-i / (width/2))``.

    Args:
        values: (m,) in the precision that is wanted. Years and days of the year reach thousands, where float32 and
            float64 disagree by 1e-4: give the precision that the weights were trained with.
        width: Even.

    Returns:
        (m, width), dtype of ``values``.
    """
    ladder = torch.arange(width // 2, dtype=values.dtype, device=values.device) / (width / 2.0)
    angles = torch.outer(values, 1.0 / BASE**ladder)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def table_2d(rows: int, columns: int, width: int) -> Tensor:
    """float32 (1 + y*x, width): x in the first half, y in the second, zeros for the class token (He et al. 2022)."""
    half = width // 2
    x = sincos(torch.arange(columns, dtype=torch.float64), half)
    y = sincos(torch.arange(rows, dtype=torch.float64), half)
    cells = torch.cat([x.repeat(rows, 1), y.repeat_interleave(columns, 0)], dim=1)
    return torch.cat([cells.new_zeros(1, width), cells]).float()


def table_3d(frames: int, rows: int, columns: int, width: int) -> Tensor:
    """float32 (1 + frame*y*x, width): 6/16 of the width for x, 6/16 for y, 4/16 for the frame (Prithvi)."""
    plane, line = width // 16 * 6, width // 16 * 4
    x = sincos(torch.arange(columns, dtype=torch.float64), plane).repeat(frames * rows, 1)
    y = sincos(torch.arange(rows, dtype=torch.float64), plane).repeat_interleave(columns, 0).repeat(frames, 1)
    t = sincos(torch.arange(frames, dtype=torch.float64), line).repeat_interleave(rows * columns, 0)
    cells = torch.cat([x, y, t], dim=1)
    return torch.cat([cells.new_zeros(1, width), cells]).float()


def table_gsd(rows: int, columns: int, width: int, gsd_m: float) -> Tensor:
    """float32 (y*x, width): sin x, cos x, sin y, cos y, every frequency times the ground sampling in metres (Clay)."""
    quarter = width // 4
    ladder = torch.arange(quarter) / (quarter - 1)
    frequencies = 1.0 / (BASE ** (2 * ladder / width)) * gsd_m
    x = torch.outer(torch.arange(columns, dtype=torch.float32), frequencies).repeat(rows, 1)
    y = torch.outer(torch.arange(rows, dtype=torch.float32), frequencies).repeat_interleave(columns, 0)
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1)


def stretched(
    table: Tensor, old: tuple[int, int], new: tuple[int, int], *, align_corners: bool, antialias: bool
) -> Tensor:
    """A table of positions for another grid, bicubic.

    Args:
        table: (1 + frame*y*x, width), the class token's row first.
        old: Its rows and columns.
        new: Those wanted.
        align_corners: The corner cells keep their positions.
        antialias: Smooth where the new grid is coarser.
    """
    if old == new:
        return table
    width = table.shape[-1]
    cells = table[1:].reshape(-1, *old, width).permute(0, 3, 1, 2)
    resized = F.interpolate(cells, size=new, mode="bicubic", align_corners=align_corners, antialias=antialias)
    return torch.cat([table[:1], resized.permute(0, 2, 3, 1).reshape(-1, width)])
