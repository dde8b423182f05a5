"""Faster inference for any network, with the promise kept: what is called exact was compared with the plain network."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from geoseg.errors import BadOptionError
from geoseg.models.foundation.decoders.network import SegmentationNetwork
from geoseg.models.optimize.base import AutocastBf16, Backend, OptimizationReport, relative_difference
from geoseg.models.optimize.encoders import optimize_encoder_network


def prepare_for_inference(
    network: nn.Module, probe: Tensor, *, backend: Backend = "exact"
) -> tuple[nn.Module, OptimizationReport]:
    """Make a faster copy of a network, for weights that no longer change.

    ``exact`` differs from the plain network by less than 1e-5 of its largest logit on ``probe``, and falls back where
    it does not. ``bf16`` and ``int8`` (foundation encoders only) are approximate, by as much as the report says.
    Nothing global is switched: no matmul precision, no thread count.

    What is faster is measured here and now, so two machines may choose differently, and then differ by rounding.

    Args:
        network: Any that :func:`geoseg.models.create.create_model` gives; it stays as it is.
        probe: float32 (batch, band, y, x), normalised chips of the size and kind that will come, on the network's
            device.
        backend: See above.

    Raises:
        BadOptionError: ``int8`` for a convolutional network, or on a GPU.
    """
    if probe.is_cuda and backend == "int8":
        raise BadOptionError("--backend int8 is for CPUs: expected exact or bf16 on a GPU.")
    if isinstance(network, SegmentationNetwork):
        return _optimize_foundation(network, probe, backend)
    from geoseg.models.optimize.cnn import optimize_cnn

    return optimize_cnn(network, probe, backend)


def _optimize_foundation(
    network: SegmentationNetwork, probe: Tensor, backend: Backend
) -> tuple[nn.Module, OptimizationReport]:
    faster = copy.deepcopy(network)
    if not (probe.is_cuda and backend == "bf16"):
        return faster, optimize_encoder_network(faster, probe, backend=backend)
    report = optimize_encoder_network(faster, probe)
    half = AutocastBf16(faster)  # on a GPU attention and the decoder gain from it too, not only the linear layers
    with torch.inference_mode():
        plain = network.eval()(probe)
    off = relative_difference(half, probe, plain)
    return half, replace(report, backend="bf16", steps=(*report.steps, "bfloat16"), difference=off)


def optimize_deterministic(network: nn.Module, probe: Tensor) -> nn.Module:
    """Make a network faster by the steps that are always worth it, without asking the clock; also in place.

    What the clock decides may differ from worker to worker, and then the last bits of a map follow. These steps do not:
    normalisation folded and channels last for a convolutional network, generated kernels kept and the head folded for
    a foundation encoder. They too are compared with the plain network, and taken back where they differ by 1e-5.

    Args:
        network: As in :func:`prepare_for_inference`; may be changed.
        probe: Likewise; it may be smaller than what will come.
    """
    if isinstance(network, SegmentationNetwork):
        optimize_encoder_network(network, probe, benchmark=False)
        return network
    from geoseg.models.optimize.cnn import optimize_cnn_deterministic

    return optimize_cnn_deterministic(network, probe)
