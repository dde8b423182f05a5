"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) in an encoder's linear layers, by peft; merged at the end."""

from __future__ import annotations

from torch import nn

from geoseg.errors import BadOptionError
from geoseg.models.foundation.protocol import PatchEncoder


def add_adapters(module: nn.Module, rank: int) -> int:
    """Freeze an encoder and give its blocks' linear layers adapters that learn.

    Args:
        module: A network over a transformer encoder.
        rank: Of the adapters.

    Returns:
        Numbers in the adapters.

    Raises:
        BadOptionError: The network has no transformer encoder, or peft is not installed.
    """
    encoder = getattr(module, "encoder", None)
    if not isinstance(encoder, PatchEncoder):
        raise BadOptionError(
            f"--lora adapts transformer encoders, and {type(module).__name__} has none. Use --freeze, or another model."
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise BadOptionError('--lora needs peft, which is not installed: pip install "geoseg[lora]".') from None
    linear = [
        name
        for name, part in encoder.named_modules()
        if isinstance(part, nn.Linear) and encoder.lora_targets.search(name)
    ]
    encoder.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=linear)
    inject_adapter_in_model(config, encoder)
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_("lora_" in name)
    module.frozen = False  # type: ignore[assignment]  # gradients must reach the adapters
    return sum(each.numel() for name, each in encoder.named_parameters() if "lora_" in name)


def merge_adapters(module: nn.Module) -> None:
    """Add what the adapters learned to the layers that they stand in, and take them out; without any, do nothing."""
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError:
        return  # none can have been added
    for name, part in list(module.named_modules()):
        if isinstance(part, LoraLayer):
            part.merge()
            parent, _, own = name.rpartition(".")
            setattr(module.get_submodule(parent), own, part.get_base_layer())
