"""The convolutions that decoders are made of."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class BatchOfOneNorm(nn.BatchNorm2d):
    """Batch normalisation that uses its running statistics where a batch holds one value per channel.

    A single chip pooled to one cell has no variance to normalise by; the plain layer refuses to train there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, y, x) -> the same shape."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch normalisation, ReLU; height and width stay."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
        self.norm: nn.Module = BatchOfOneNorm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels_in, y, x) -> (batch, channels_out, y, x)."""
        return F.relu(self.norm(self.conv(x)))

    def fold(self) -> None:
        """Put the normalisation into the convolution (evaluation only)."""
        if isinstance(self.norm, nn.BatchNorm2d) and not self.training:
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class PixelHead(nn.Sequential):
    """3x3 convolutions with ReLU, dropout, and one 1x1 convolution to the classes."""

    def __init__(self, channels: int, hidden: Sequence[int], classes: int, dropout: float) -> None:
        parts: list[nn.Module] = []
        for width in hidden:
            parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        super().__init__(*parts, nn.Dropout(dropout), nn.Conv2d(channels, classes, 1))


def resized(x: Tensor, like: Tensor, *, align_corners: bool) -> Tensor:
    """``x`` at the height and width of ``like``, bilinear."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=align_corners)


def fold_blocks(module: nn.Module) -> None:
    """Fold every :class:`ConvNormRelu` inside ``module``."""
    for part in module.modules():
        if isinstance(part, ConvNormRelu):
            part.fold()
