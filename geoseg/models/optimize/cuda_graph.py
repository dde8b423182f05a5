"""A network recorded once as a CUDA graph, and replayed: what Python does between two kernels is done no more."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.models.optimize.wrapper import Wrapped

logger = logging.getLogger(__name__)

Replay = Callable[[Tensor], Tensor]

WARM_UP = 3
"""Calls before recording, so that cuDNN has chosen and every cache of ours is filled."""

CLOSE = 1e-5
"""Largest difference of a replay from a plain call, relative to its largest logit. Both run the same kernels."""


class Graphed(Wrapped):
    """A network that is replayed for chips of a size it has met; elsewhere than on a GPU, the network itself.

    A network that cannot be recorded (it reads a number back from the GPU, say), or whose replay differs from a plain
    call, runs as it is, and the log says so. Weights must not change. One thread at a time.

    Args:
        network: As in :class:`geoseg.models.optimize.wrapper.Wrapped`.
    """

    KEPT = 2
    """Recordings held at once: each holds every activation of its size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self._recorded: OrderedDict[object, Replay] = OrderedDict()
        self._plain_only = False

    def forward(self, x: Tensor, **acquisition: Any) -> Tensor:
        """As the network's, under inference only. What comes back is the caller's."""
        if self._plain_only or not x.is_cuda or torch.is_grad_enabled():
            return super().forward(x, **acquisition)
        key = (x.shape, x.dtype, repr(sorted(acquisition.items())))
        if key not in self._recorded:
            replay = self._record(x, acquisition)
            if replay is None:
                self._plain_only = True
                return super().forward(x, **acquisition)
            self._recorded[key] = replay
        self._recorded.move_to_end(key)
        while len(self._recorded) > self.KEPT:
            self._recorded.popitem(last=False)
        return self._recorded[key](x).clone()

    def _record(self, x: Tensor, acquisition: dict[str, Any]) -> Replay | None:
        try:
            replay, plain = record(lambda chips: self.network(chips, **acquisition), x)
            replayed = replay(x)
        except RuntimeError as error:
            logger.warning("runs without a CUDA graph: %s", str(error).splitlines()[0])
            return None
        off = float((replayed - plain).abs().max()) / (float(plain.abs().max()) or 1.0)
        if not off < CLOSE:
            logger.warning("runs without a CUDA graph: a replay differed by %.1e", off)
            return None
        return replay


def record(run: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Replay, Tensor]:
    """Record one call; returns its replay, whose answer the next replay overwrites, and the answer of a plain call.

    Raises:
        RuntimeError: Something in it cannot be recorded.
    """
    given = x.clone()
    side = torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(x.device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            plain = run(given)
    torch.cuda.current_stream(x.device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = run(given)

    def replay(chips: Tensor) -> Tensor:
        given.copy_(chips)
        graph.replay()
        return answer

    return replay, plain
