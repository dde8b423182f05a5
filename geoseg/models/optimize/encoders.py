"""Faster inference, with the promise kept: what is called exact was compared with the plain network.

Weights must not change any more. Nothing global is switched: no matmul precision, no thread count, no environment.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from geoseg.models.foundation.decoders.network import SegmentationNetwork
from geoseg.models.foundation.linears import Bf16Linear, Int8Linear, OneDnnLinear, onednn_works
from geoseg.models.foundation.padding import pad_to_cells
from geoseg.models.optimize.base import EXACT, WORTH_IT, Backend, OptimizationReport

logger = logging.getLogger(__name__)

ROUNDS = 3
SMALLEST_LINEAR = 64
"""Layers below it (the kernels' generator among others) cost nothing and keep their precision."""


def optimize_encoder_network(
    network: SegmentationNetwork,
    probe: Tensor,
    *,
    gsd_m: float | None = None,
    backend: Backend = "exact",
    benchmark: bool = True,
) -> OptimizationReport:
    """Make a network faster, in place.

    ``exact`` keeps generated kernels and positions, folds normalisation and Clay's head into convolutions, and
    multiplies on oneDNN where that is faster here. Each step is compared with the plain network on ``probe`` and taken
    back where it differs by more than 1e-5. ``bf16`` and ``int8`` replace the encoder's large linear layers instead;
    they are approximate, and by how much is in the result.

    Args:
        network: Its weights must not change afterwards, and its ``state_dict`` is no longer a checkpoint.
        probe: float32 (batch, band, y, x), normalised chips of the size and kind that will come.
        gsd_m: Their ground sampling in metres; None: the network's own.
        backend: See above.
        benchmark: Also take the steps whose worth is measured here and now.
    """
    network.eval()
    with torch.inference_mode():
        plain = network(probe, gsd_m=gsd_m)
    scale = float(plain.abs().max()) or 1.0

    def difference() -> float:
        with torch.inference_mode():
            return float((network(probe, gsd_m=gsd_m) - plain).abs().max()) / scale

    steps, refused = [], []
    for name, step in _exact_steps(network, probe, gsd_m, linears=backend == "exact", benchmark=benchmark):
        undo = step()
        if undo is None:
            continue
        if (off := difference()) < EXACT:
            steps.append(name)
        else:
            undo()
            refused.append(f"{name}: differed by {off:.1e}")
    if backend != "exact":
        replacement = Bf16Linear if backend == "bf16" else Int8Linear
        _replace_linears(network.encoder, replacement)
        steps.append(f"{backend} linear layers in the encoder")
    result = OptimizationReport(backend, tuple(steps), tuple(refused), difference())
    logger.info("prepared for inference (%s): %s", backend, "; ".join(steps))
    return result


Undo = Callable[[], None]


def _exact_steps(
    network: SegmentationNetwork, probe: Tensor, gsd_m: float | None, *, linears: bool, benchmark: bool
) -> list[tuple[str, Callable[[], Undo | None]]]:
    steps: list[tuple[str, Callable[[], Undo | None]]] = [
        ("generated kernels kept", lambda: _keep_kernels(network)),
        ("normalisation and head folded", lambda: _fold(network)),
    ]
    if benchmark:
        steps.append(("channels-last decoder", lambda: _channels_last(network, probe, gsd_m)))
    if benchmark and linears:
        steps.append(("oneDNN linear layers", lambda: _onednn(network, probe)))
    return steps


def _keep_kernels(network: SegmentationNetwork) -> Undo:
    def set_to(value: bool) -> None:
        network.encoder.reuse_kernels = value

    set_to(True)
    return lambda: set_to(False)


def _fold(network: SegmentationNetwork) -> Undo:
    plain = {name: part for name, part in network.decoder.named_modules() if name}
    network.decoder.fold()

    def undo() -> None:
        for name, part in plain.items():
            parent, _, leaf = name.rpartition(".")
            setattr(network.decoder.get_submodule(parent), leaf, part)

    return undo


def _channels_last(network: SegmentationNetwork, probe: Tensor, gsd_m: float | None) -> Undo | None:
    """Keep the layout only where it is faster: it halves the time of some decoders and doubles that of others."""

    def layout(memory_format: torch.memory_format) -> None:
        for parameter in [*network.decoder.parameters(), *network.decoder.buffers()]:
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=memory_format)

    def laid_out(memory_format: torch.memory_format) -> Callable[[], object]:
        def run() -> object:
            layout(memory_format)
            return network.decoder(features, image)

        return run

    with torch.inference_mode():
        image = pad_to_cells(probe, network.encoder.patch, network.decoder.min_grid)
        features = network.features(image, gsd_m=gsd_m)
    if _faster(laid_out(torch.channels_last), laid_out(torch.contiguous_format)):
        layout(torch.channels_last)
        return lambda: layout(torch.contiguous_format)
    layout(torch.contiguous_format)
    return None


def _onednn(network: SegmentationNetwork, probe: Tensor) -> Undo | None:
    """Replace each layer whose shape is multiplied faster by oneDNN."""
    if not onednn_works(probe.device):
        return None
    cells = (probe.shape[-2] // network.encoder.patch) * (probe.shape[-1] // network.encoder.patch)
    rows = probe.shape[0] * (cells + 1)
    worth: dict[tuple[int, int], bool] = {}

    def faster(linear: nn.Linear) -> bool:
        shape = (linear.in_features, linear.out_features)
        if shape not in worth:
            other, x = OneDnnLinear(linear, rows), torch.randn(rows, linear.in_features)
            worth[shape] = _faster(lambda: other(x), lambda: linear(x))
        return worth[shape]

    return _replace_linears(network.encoder, lambda linear: OneDnnLinear(linear, rows) if faster(linear) else linear)


def _replace_linears(encoder: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> Undo:
    """Replace the large linear layers of the blocks."""
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    generators = _generators(encoder)
    with torch.inference_mode(mode=False), torch.no_grad():
        for parent in encoder.modules():
            for name, child in list(parent.named_children()):
                if parent not in generators and _large(child):
                    setattr(parent, name, make(cast(nn.Linear, child)))
                    replaced.append((parent, name, child))

    def undo() -> None:
        for parent, name, child in replaced:
            setattr(parent, name, child)

    return undo


def _large(module: nn.Module) -> bool:
    """A plain linear layer (no subclass: those have ways of their own) worth replacing."""
    return type(module) is nn.Linear and min(module.weight.shape) >= SMALLEST_LINEAR


def _generators(encoder: nn.Module) -> set[nn.Module]:
    """Modules that write kernels: they run once and stay as they are."""
    roots = [getattr(encoder, name, None) for name in ("patch_embed", "patch_embedding")]
    return {part for root in roots if root is not None for part in root.modules()}


def _faster(variant: Callable[[], object], plain: Callable[[], object]) -> bool:
    """The variant takes clearly less: the fastest of a few runs each, taken in turn, the first of each left out."""
    with torch.inference_mode():
        rounds = [(_seconds(variant), _seconds(plain)) for _ in range(ROUNDS + 1)]
    first, second = zip(*rounds[1:], strict=True)
    return bool(min(first) < WORTH_IT * min(second))


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # a GPU answers before it is done
    return time.perf_counter() - start
