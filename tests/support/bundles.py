"""A small bundle, and how other programs open an exported file."""

from __future__ import annotations

import torch

from geoseg.catalog.cards import Architecture, BandStatistics, ModelCard, Normalisation

BANDS = ("green", "nir", "swir16")


def small_card(**changes: object) -> ModelCard:
    fields = {
        "name": "small",
        "title": "A small U-Net for tests",
        "family": "cnn",
        "architecture": Architecture(name="unet", options={"base": 4}),
        "sensors": ("s2",),
        "bands": BANDS,
        "unit": "reflectance",
        "normalisation": Normalisation(
            scale=10000,
            bands={band: BandStatistics(mean=1000 + 500 * i, std=400 + 100 * i) for i, band in enumerate(BANDS)},
        ),
        "chip_px": 64,
        "overlap_px": 16,
    }
    return ModelCard.model_validate(fields | changes)


def opened(format_: str, path, chips: torch.Tensor) -> torch.Tensor:
    """As another program would: without geoseg."""
    if format_ == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: chips.numpy()})[0])
    with torch.inference_mode():
        if format_ == "torchscript":
            return torch.jit.load(path)(chips)
        return torch.export.load(path).module()(chips)
