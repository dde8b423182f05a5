"""A network that writes the patch embedding's kernel from the wavelengths of the bands (Xiong et al. 2024, DOFA)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

WAVE_WIDTH = 128
LATENT_TOKENS = 128


class WaveTransformer(nn.Module):
    """One post-norm transformer layer over the bands' codes, latent tokens before them and a bias token after.

    Args:
        kernel_numbers: Numbers of one band's kernel.
        width: Channels of a token of the encoder, the numbers of the bias.
        encoder_name: Attribute under which the official checkpoints keep the layer.
    """

    def __init__(self, kernel_numbers: int, width: int, *, encoder_name: str) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WAVE_WIDTH, nhead=4, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder_name = encoder_name
        self.add_module(encoder_name, nn.TransformerEncoder(layer, num_layers=1, enable_nested_tensor=False))
        self.fc_weight = nn.Linear(WAVE_WIDTH, kernel_numbers)
        self.fc_bias = nn.Linear(WAVE_WIDTH, width)
        self.weight_tokens = nn.Parameter(torch.empty(LATENT_TOKENS, WAVE_WIDTH))
        self.bias_token = nn.Parameter(torch.empty(1, WAVE_WIDTH))
        nn.init.normal_(self.weight_tokens, std=0.02)
        nn.init.normal_(self.bias_token, std=0.02)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels and bias.

        Args:
            codes: float32 (band, 128).

        Returns:
            (band, kernel_numbers) and (width,).
        """
        tokens = torch.cat([self.weight_tokens, codes, self.bias_token])
        out = self.get_submodule(self.encoder_name)(tokens)
        return self.fc_weight(out[LATENT_TOKENS:-1] + codes), self.fc_bias(out[-1])


class TwoLayerResidual(nn.Module):
    """``x + act(second(act(first(x))))``; the layers bear the names of the official checkpoints."""

    def __init__(self, first: str, second: str, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.names = (first, second)
        self.activation = activation
        for name in self.names:
            self.add_module(name, nn.Linear(WAVE_WIDTH, WAVE_WIDTH))

    def forward(self, codes: Tensor) -> Tensor:
        """float32 (band, 128) -> the same shape."""
        out = codes
        for name in self.names:
            out = self.activation(self.get_submodule(name)(out))
        return codes + out


def xavier(module: nn.Module, bias: float) -> None:
    """Xavier-uniform weights and a constant bias in every linear layer of ``module``."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.constant_(part.bias, bias)
