"""DeepLabV3+ (Chen et al. 2018, arXiv 1802.02611) of segmentation_models_pytorch, for any size of image."""

from __future__ import annotations

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from geoseg.models.cnn.blocks import allow_batch_of_one, cropped, encoder_name, padded

STRIDE = 16


class DeepLabV3Plus(nn.Module):
    """Atrous spatial pyramid over an encoder of stride 16.

    Args:
        bands: Channels of the input.
        classes: Channels of the output.
        encoder: Any encoder of segmentation_models_pytorch or timm that can be dilated, by name.

    Raises:
        UnknownNameError: No such encoder.
    """

    def __init__(self, bands: int, classes: int, *, encoder: str = "resnet50") -> None:
        super().__init__()
        whole = smp.DeepLabV3Plus(encoder_name(encoder), encoder_weights=None, in_channels=bands, classes=classes)
        self.encoder = allow_batch_of_one(whole.encoder)
        self.decoder = allow_batch_of_one(whole.decoder)
        self.segmentation_head = whole.segmentation_head

    def forward(self, x: Tensor) -> Tensor:
        """Normalised (batch, band, y, x) of any size -> logits (batch, class, y, x)."""
        return cropped(self.segmentation_head(self.decoder(self.encoder(padded(x, STRIDE)))), x)
