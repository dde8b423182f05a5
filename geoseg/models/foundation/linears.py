"""Linear layers that compute the same product another way. None of them touches a setting of the process."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OneDnnLinear(nn.Module):
    """A float32 linear layer on oneDNN, its weight reordered once.

    torch multiplies float32 matrices with MKL, which is slow on processors that are not Intel's. The switch that would
    change it is global, and on processors with AMX it would lower the precision; calling oneDNN does neither.

    Args:
        linear: The layer to replace.
        rows: Tokens per call that the order of the weight is chosen for; any number is right.
    """

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("packed", _reordered(linear.weight, rows), persistent=False)
        self.register_buffer("bias", linear.bias)

    packed: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features), float32."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return out


class Bf16Linear(nn.Module):
    """A linear layer in bfloat16, its weight stored so; sums of products are kept in float32 by the hardware.

    Residuals and norms around it stay float32, which is where half precision hurts.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("weight", linear.weight.detach().bfloat16())
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().bfloat16())

    weight: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features), bfloat16."""
        return nn.functional.linear(x.bfloat16(), self.weight, self.bias)


class Int8Linear(nn.Module):
    """A linear layer on 8-bit integers: one scale per output channel, and one per token found at run time.

    A scale per token, not per batch: what a chip gives does not depend on the chips beside it.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        scale = linear.weight.detach().abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        numbers = (linear.weight.detach() / scale[:, None]).round().to(torch.int8)
        self.register_buffer("numbers", numbers.t().contiguous())
        self.register_buffer("scale", scale)
        self.register_buffer("bias", linear.bias)

    numbers: Tensor
    scale: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features), float32."""
        rows = x.reshape(-1, self.in_features)
        scale = rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        numbers = (rows / scale).round().to(torch.int8)
        out = torch._int_mm(numbers, self.numbers).float() * scale * self.scale
        if self.bias is not None:
            out = out + self.bias
        return out.reshape(*x.shape[:-1], self.out_features)


def onednn_works(device: torch.device) -> bool:
    """The processor's oneDNN can be called directly."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        probe = OneDnnLinear(nn.Linear(8, 8), rows=4)
        probe(torch.zeros(4, 8))
    except (AttributeError, RuntimeError):
        return False
    return True


def _reordered(weight: Tensor, rows: int) -> Tensor:
    out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
    return out
