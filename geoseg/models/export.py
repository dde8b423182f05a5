"""A trained network for other programs: one file that takes physical units and gives probabilities.

Normalisation, the filling of what was not observed, and the sigmoid or softmax are inside the file, so that whoever
runs it cannot forget them. The number of chips is free, their size is the card's.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from geoseg import __version__
from geoseg.catalog.cards import BandStatistics, ModelCard
from geoseg.catalog.sensors import sensor
from geoseg.core.atomic import atomic_file
from geoseg.errors import BadOptionError, ModelError
from geoseg.models.create import load_model
from geoseg.models.network import NetworkModel
from geoseg.models.normalize import normalize

Format = Literal["onnx", "torchscript", "pt2"]
CLOSE = 1e-4
"""Largest difference of a probability from torch's own."""

INPUT, OUTPUT = "pixels", "probability"
OPSET = 18
IR_VERSION = 8
"""Of ONNX files: that of operator set 18. QGIS plugins carry onnxruntime 1.17, which reads IR 9 and operator set 20 at
most; the exporter writes newer ones, whose additions (metadata of nodes) these graphs do not need."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and checked.

    Attributes:
        path: Where it is.
        format: What it is.
        difference: Largest difference from torch on the chips it was checked with.
        metadata: What it carries, by key.
    """

    path: Path
    format: Format
    difference: float
    metadata: dict[str, str]


class InPhysicalUnits(nn.Module):
    """A network from physical units to probabilities.

    Args:
        model: The network and its card.
    """

    def __init__(self, model: NetworkModel) -> None:
        super().__init__()
        self.network = model.module
        shift, factor = model.affine
        self.register_buffer("shift", shift)
        self.register_buffer("factor", factor)
        self.shift: Tensor
        self.factor: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Probabilities.

        Args:
            pixels: float32 (batch, band, y, x), physical units, NaN where not observed.

        Returns:
            float32 (batch, class, y, x), 0..1; of a single class its own probability. NaN where a band of the pixel
            is NaN or infinite.
        """
        normalised, valid = normalize(pixels, (self.shift, self.factor))
        logits: Tensor = self.network(normalised).float()
        probability = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
        return probability.masked_fill(~valid[:, None], torch.nan)


def export_model(
    name_or_folder: str | Path, target: Path | str, format: Format = "onnx", *, chips: Tensor | None = None
) -> Exported:
    """Write a trained network to one file, and compare that file's answer with torch's.

    ONNX files carry what the QGIS plugin Deepness reads: model type, class names, resolution, tile size and overlap,
    threshold, and the standardisation that undoes its own division by 255.

    Args:
        name_or_folder: A bundle's folder.
        target: The file; replaced if it is there.
        format: ``onnx`` (needs ``geoseg[export]``), ``torchscript`` or ``pt2`` (of ``torch.export``).
        chips: float32 (batch, band, chip, chip), physical units, to check it with. None: made up from the card's
            statistics.

    Raises:
        WeightsMissingError: A network without weights.
        BadOptionError: A baseline, an unknown format, or a package that is missing.
        ModelError: The file's answer differs from torch's by more than 1e-4; nothing is written.
        OutputNotWritableError: The target cannot be written.
    """
    if format not in get_args(Format):
        raise BadOptionError(f"--format is {', '.join(get_args(Format))}, not {format!r}.")
    model = load_model(name_or_folder)
    if not isinstance(model, NetworkModel):
        raise BadOptionError(f"{name_or_folder} is a formula, not a network: there is nothing to export.")
    module, target = InPhysicalUnits(model).eval(), Path(target)
    probe = _probe(model.card) if chips is None else chips
    metadata = deepness_metadata(model.card)
    with atomic_file(target) as unfinished:
        run = _WRITERS[format](module, probe, unfinished, metadata)
        difference = max(_difference(module, run, part) for part in (probe, probe[:1]))
        if difference > CLOSE:
            raise ModelError(
                f"The exported {format} differs from the network by {difference:.1e}, more than {CLOSE:g}: "
                "it was not written. Another --format may do."
            )
    return Exported(target, format, difference, metadata)


def deepness_metadata(card: ModelCard) -> dict[str, str]:
    """Describe a model in the keys that Deepness reads, every value as JSON.

    Deepness divides pixels by 255 and then standardises them; mean 0 and deviation 1/255 give the pixels back.
    Its resolution is the sensor's pixel in centimetres, or the nearest to it that the model is meant for.
    """
    single = len(card.classes) == 1
    names = (f"not {card.classes[0]}", card.classes[0]) if single else card.classes
    gsd_m = sensor(card.sensors[0]).gsd_m
    if card.gsd_m:
        gsd_m = min(max(gsd_m, card.gsd_m[0]), card.gsd_m[1])
    facts = {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(names)},
        "description": _description(card),
        "resolution": gsd_m * 100,
        "tile_size": card.chip_px,
        "tiles_size": card.chip_px,
        "tiles_overlap": round(100 * card.overlap_px / (card.chip_px or 1)),
        "seg_thresh": card.threshold_pct / 100,
        "band_count": len(card.bands),
        "standardization_mean": [0.0] * len(card.bands),
        "standardization_std": [1 / 255] * len(card.bands),
        "geoseg_version": __version__,
        "geoseg_card": card.model_dump(mode="json", exclude_defaults=True),
    }
    return {key: json.dumps(value) for key, value in facts.items()}


def _description(card: ModelCard) -> str:
    """State bands and unit of the input, and how Deepness is told of digital numbers."""
    first = f"{card.title}. Input: bands {', '.join(card.bands)} in this order, {card.unit}, NaN where not observed."
    if card.unit != "reflectance":
        return f"{first} Other numbers (digital numbers, linear power) must be converted first."
    return (
        f"{first} Reflectance is 0..1. For digital numbers that are reflectance times 10000, set the standardization "
        f"in Deepness to mean 0 and std {10000 / 255:.4f}; for Sentinel-2 of processing baseline 04.00 or later, whose "
        f"numbers are 1000 larger, to mean {1000 / 255:.4f} and std {10000 / 255:.4f}."
    )


Run = Callable[[Tensor], Tensor]


def _write_onnx(module: nn.Module, probe: Tensor, path: Path, metadata: dict[str, str]) -> Run:
    missing = [each for each in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(each) is None]
    if missing:
        raise BadOptionError(f"Export to ONNX needs {', '.join(missing)}: pip install 'geoseg[export]'.")
    import onnx
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own use of what torch and onnxscript deprecate
        torch.onnx.export(
            module,
            (probe,),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    proto = onnx.load(path)
    proto.ir_version = IR_VERSION
    for node in proto.graph.node:
        node.ClearField("metadata_props")
    onnx.checker.check_model(proto)
    onnx.helper.set_model_props(proto, metadata)
    onnx.save(proto, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda chips: torch.from_numpy(session.run([OUTPUT], {INPUT: chips.numpy()})[0])


def _write_torchscript(module: nn.Module, probe: Tensor, path: Path, metadata: dict[str, str]) -> Run:
    with warnings.catch_warnings(), torch.inference_mode():
        # torch deprecates TorchScript, and the trace warns of sizes that become constants: the card's, on purpose
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, probe, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, path, _extra_files={f"{key}.json": value for key, value in metadata.items()})
        loaded = torch.jit.load(path)  # type: ignore[no-untyped-call]
    return loaded  # type: ignore[no-any-return]


def _write_pt2(module: nn.Module, probe: Tensor, path: Path, metadata: dict[str, str]) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own use of what torch deprecates
        program = torch.export.export(module, (probe,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        with path.open("wb") as file:  # by name, it would insist on the suffix .pt2
            torch.export.save(program, file, extra_files={f"{key}.json": value for key, value in metadata.items()})
        with path.open("rb") as file:
            loaded = torch.export.load(file).module()
    return loaded


_WRITERS: dict[str, Callable[[nn.Module, Tensor, Path, dict[str, str]], Run]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "pt2": _write_pt2,
}


def _difference(module: nn.Module, run: Run, chips: Tensor) -> float:
    with torch.inference_mode():
        return float((run(chips) - module(chips)).nan_to_num(nan=0.0).abs().max())


def _probe(card: ModelCard) -> Tensor:
    """Three chips as the card's statistics describe them, in physical units."""
    side, generator = card.chip_px or 256, torch.Generator().manual_seed(0)
    noise = torch.randn(3, len(card.bands), side, side, generator=generator)
    statistics = [card.normalisation.bands.get(band, BandStatistics()) for band in card.bands]
    mean, std = (torch.tensor([getattr(each, part) for each in statistics])[:, None, None] for part in ("mean", "std"))
    return (noise * std + mean) / card.normalisation.scale
