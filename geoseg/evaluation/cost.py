"""Computing cost of a model: size, multiply-adds, peak memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from geoseg.evaluation.uscore import SIDE_PX
from geoseg.models.network import NetworkModel, ReadsAcquisition
from geoseg.models.protocol import SegmentationModel

EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a network.

    Attributes:
        parameters: Number of parameters; 0 for a baseline.
        multiply_adds: For a chip of 256 x 256 pixels, at batch size 1: each multiplication with its addition counts
            once (papers that call this FLOPs halve or double it as they please). Of convolutions, matrix products and
            attention only, as torch counts them; norms, activations and resampling are left out. A network with a chip
            size of its own is counted at that size, and scaled by area. 0 for a baseline, whose arithmetic is not
            counted.
        chip_px: Side in pixels of the chip that was counted.
    """

    parameters: int
    multiply_adds: int
    chip_px: int = SIDE_PX


def size_of(model: SegmentationModel) -> Size:
    """Count the parameters and multiply-adds of a model.

    Args:
        model: Any model; it is run on one chip of zeros.
    """
    if not isinstance(model, NetworkModel):
        return Size(0, 0)
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    side = model.card.chip_px or SIDE_PX
    chip = torch.zeros(1, len(model.card.bands), side, side, device=model.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        if isinstance(model.module, ReadsAcquisition):
            model.module(chip, gsd_m=None, time=None, latlon=None)
        else:
            model.module(chip)
    flops = counter.get_total_flops()  # torch counts a multiplication and an addition as two
    scaled = round(flops / 2 * (SIDE_PX / side) ** 2)
    return Size(sum(each.numel() for each in model.module.parameters()), scaled, side)


@dataclass(slots=True)
class Peak:
    """Peak memory in bytes; set when the block ends."""

    bytes: int = 0


@contextmanager
def peak_memory(on_gpu: bool) -> Iterator[Peak]:
    """Measure the peak memory of a block.

    On a CPU: the highest resident memory of the whole process - Python, libraries and the images in it too -, looked
    at every 20 ms, so that a shorter peak may be missed. On a GPU: what torch allocated there, at its highest.
    """
    peak = Peak()
    if on_gpu:
        import torch

        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = int(torch.cuda.max_memory_allocated())
        return
    process, done = psutil.Process(), threading.Event()

    def watch() -> None:
        while True:
            peak.bytes = max(peak.bytes, int(process.memory_info().rss))
            if done.wait(EVERY_S):
                return

    thread = threading.Thread(target=watch, name="peak-memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
