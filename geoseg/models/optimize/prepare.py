"""Faster inference for any network, with the promise kept: what is called exact was compared with the plain network."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from geoseg.errors import BadOptionError
from geoseg.models.foundation.decoders.network import SegmentationNetwork
from geoseg.models.optimize.cuda_graph import Graphed
from geoseg.models.optimize.encoders import Backend, Prepared
from geoseg.models.optimize.encoders import prepare_for_inference as prepare_foundation
from geoseg.models.optimize.wrapper import InBfloat16


def prepare_for_inference(
    network: nn.Module, probe: Tensor, *, backend: Backend = "exact"
) -> tuple[nn.Module, Prepared]:
    """A faster copy of a network, for weights that no longer change.

    ``exact`` differs from the plain network by less than 1e-5 of its largest logit on ``probe``, and falls back where
    it does not. ``bf16`` and ``int8`` (foundation encoders only) are approximate, by as much as the record says.
    Nothing global is switched: no matmul precision, no thread count. On a GPU the result is replayed as a CUDA graph,
    under inference, for chips of a size it has met (:class:`geoseg.models.optimize.cuda_graph.Graphed`).

    What is faster is measured here and now, so two machines may choose differently, and then differ by rounding.

    Args:
        network: Any that :func:`geoseg.models.registry.build` gives; it stays as it is.
        probe: float32 (batch, band, y, x), normalised chips of the size and kind that will come, on the network's
            device.
        backend: See above.

    Raises:
        BadOptionError: ``int8`` for a convolutional network, or on a GPU.
    """
    if probe.is_cuda and backend == "int8":
        raise BadOptionError("int8 is for CPUs. Choose exact or bf16 on a GPU.")
    if isinstance(network, SegmentationNetwork):
        faster, prepared = _foundation(network, probe, backend)
    else:
        from geoseg.models.optimize.cnn import prepare_cnn

        faster, prepared = prepare_cnn(network, probe, backend)
    if not probe.is_cuda:
        return faster, prepared
    return Graphed(faster), replace(prepared, steps=(*prepared.steps, "CUDA graph"))


def _foundation(network: SegmentationNetwork, probe: Tensor, backend: Backend) -> tuple[nn.Module, Prepared]:
    faster = copy.deepcopy(network)
    if not (probe.is_cuda and backend == "bf16"):
        return faster, prepare_foundation(faster, probe, backend=backend)
    prepared = prepare_foundation(faster, probe)
    half = InBfloat16(faster)  # on a GPU attention and the decoder gain from it too, not only the linear layers
    with torch.inference_mode():
        plain = network.eval()(probe)
        off = float((half(probe) - plain).abs().max()) / (float(plain.abs().max()) or 1.0)
    return half, replace(prepared, backend="bf16", steps=(*prepared.steps, "bfloat16"), difference=off)


def prepare_alike(network: nn.Module, probe: Tensor) -> nn.Module:
    """The network made faster by the steps that are always worth it, without asking the clock; also in place.

    What the clock decides may differ from worker to worker, and then the last bits of a map follow. These steps do not:
    normalisation folded and channels last for a convolutional network, generated kernels kept and the head folded for
    a foundation encoder. They too are compared with the plain network, and taken back where they differ by 1e-5.

    Args:
        network: As in :func:`prepare_for_inference`; may be changed.
        probe: Likewise; it may be smaller than what will come.
    """
    if isinstance(network, SegmentationNetwork):
        prepare_foundation(network, probe, clocked=False)
        return network
    from geoseg.models.optimize.cnn import prepare_cnn_alike

    return prepare_cnn_alike(network, probe)
