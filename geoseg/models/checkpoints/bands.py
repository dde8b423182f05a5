"""Pretrained kernels for bands that were not pretrained: the nearest wavelength's, and always said aloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.catalog.cards import BEFORE


@dataclass(frozen=True, slots=True)
class BandKernel:
    """A band by name and wavelength in micrometres; None: radar."""

    name: str
    wavelength_um: float | None


def adapted(kernel: Tensor, known: Sequence[BandKernel], wanted: Sequence[BandKernel]) -> tuple[Tensor, list[str]]:
    """A patch embedding's kernel for other bands than it was trained on.

    A band of the same name keeps its kernel. Another takes that of the nearest wavelength. Radar, which has none, takes
    the mean of all: no kernel of it means more than another.

    Args:
        kernel: (width, band, ...), its bands in the order of ``known``.
        known: Bands with pretrained kernels.
        wanted: Bands that the network reads.

    Returns:
        (width, wanted band, ...) and one sentence per band whose kernel is not its own.
    """
    names = [band.name for band in known]
    parts, notes = [], []
    for band in wanted:
        plain = band.name.removeprefix(BEFORE)
        if plain in names:
            parts.append(kernel[:, names.index(plain)])
        elif band.wavelength_um is None:
            parts.append(kernel.mean(1))
            notes.append(f"{band.name} is radar and takes the mean of all kernels.")
        else:
            nearest = min(known, key=lambda other: abs((other.wavelength_um or 0) - (band.wavelength_um or 0)))
            parts.append(kernel[:, names.index(nearest.name)])
            notes.append(
                f"{band.name} ({band.wavelength_um:g} um) has no pretrained kernel and takes that of "
                f"{nearest.name} ({nearest.wavelength_um:g} um)."
            )
    return torch.stack(parts, dim=1), notes
