"""From four maps of one resolution, as a vision transformer gives them, to a pyramid (Li et al. 2022, ViTDet)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class PyramidNeck(nn.Module):
    """Learned upsampling by 4 and by 2, the map itself, and pooling by 2; the shallowest map becomes the finest.

    Attributes:
        widths: Channels of each level, finest first.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.finest = nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, stride=2),
            nn.BatchNorm2d(width // 2),
            nn.GELU(),
            nn.ConvTranspose2d(width // 2, width // 4, 2, stride=2),
        )
        self.finer = nn.ConvTranspose2d(width, width // 2, 2, stride=2)
        self.coarser = nn.MaxPool2d(2)
        self.widths = (width // 4, width // 2, width, width)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Four maps (batch, width, y, x) -> (4y, 4x), (2y, 2x), (y, x) and (y/2, x/2)."""
        first, second, third, fourth = maps
        return [self.finest(first), self.finer(second), third, self.coarser(fourth)]
