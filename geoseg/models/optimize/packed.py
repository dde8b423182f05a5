"""Convolutions whose weights lie as oneDNN wants them, once and for all, and not laid out anew in every forward."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class PackedConv(nn.Module):
    """A convolution on a CPU with its weights packed; it cannot be trained, saved or moved.

    Args:
        convolution: Zero-padded, its padding in numbers.
        dtype: float32 or bfloat16, of the weights and of the answer.
        size: (batch, band, y, x) of what will come most; other sizes are answered too, more slowly.
    """

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype, size: list[int]) -> None:
        super().__init__()
        assert not isinstance(convolution.padding, str)
        padding, stride, dilation = convolution.padding, convolution.stride, convolution.dilation
        self._how = (list(padding), list(stride), list(dilation), convolution.groups)
        self._dtype = dtype
        weight = convolution.weight.detach().to(dtype).to_mkldnn()
        self._weight = torch._C._nn.mkldnn_reorder_conv2d_weight(weight, *self._how, size)  # type: ignore[call-arg]
        self._bias = None if convolution.bias is None else convolution.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution's, in the packed type."""
        # what torch.compile uses for frozen weights; there is no public name for it
        answer: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.to(self._dtype), self._weight, self._bias, *self._how, "none", [], ""
        )
        return answer


def packed(network: nn.Module, probe: Tensor, dtype: torch.dtype) -> nn.Module | None:
    """A copy of a network on the CPU with the weights of its convolutions packed; None: this torch cannot.

    Args:
        network: In evaluation.
        probe: float32 (batch, band, y, x), chips of the size that will come.
        dtype: float32, or bfloat16, in which case the rest of the network must be under autocast.
    """
    network = copy.deepcopy(network)
    sizes = _sizes(network, probe)
    try:
        for name, part in list(network.named_modules()):
            if isinstance(part, nn.Conv2d) and name in sizes:
                network.set_submodule(name, PackedConv(part, dtype, sizes[name]))
    except (AttributeError, RuntimeError):
        return None
    return network


def _sizes(network: nn.Module, probe: Tensor) -> dict[str, list[int]]:
    """What comes into each plain convolution, by name."""
    sizes: dict[str, list[int]] = {}
    plain = {
        name: part
        for name, part in network.named_modules()
        if type(part) is nn.Conv2d and part.padding_mode == "zeros" and not isinstance(part.padding, str)
    }

    def seen(name: str) -> object:
        return lambda _, given: sizes.__setitem__(name, list(given[0].shape))

    hooks = [part.register_forward_pre_hook(seen(name)) for name, part in plain.items()]  # type: ignore[arg-type]
    try:
        with torch.inference_mode():
            network(probe)
    finally:
        for hook in hooks:
            hook.remove()
    return sizes
