"""Probability from logits, and the predictor that travels to workers in place of a model."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from geoseg.catalog.cards import ModelCard
from geoseg.errors import BadOptionError
from geoseg.models.create import ModelRef, load_model, resolve_model
from geoseg.models.input_checks import check_pixels
from geoseg.models.protocol import ArrayModel, Chips, SceneAdaptive, SceneStatistics, SegmentationModel

if TYPE_CHECKING:
    from torch import Tensor

    from geoseg.models.network import NetworkModel

Precision = Literal["32", "bf16"]

STRIP_PX = 2**16
"""Pixels whose probability is computed at a time, within the processor's cache."""

MODELS_KEPT = 4
"""Models that a process holds at once."""

PROBE_PX = 64
"""Side of the chip on which a network made faster is compared with the plain one."""


def water_probability(model: SegmentationModel, chips: Chips) -> Tensor:
    """Compute the probability of class 1 per pixel: of ``flood`` or ``water``, as the card's ``meaning`` says.

    Args:
        model: Any.
        chips: Its bands are ``model.card.bands``.

    Returns:
        float32 (batch, y, x), 0..1: the sigmoid of one class, or the softmax of several without class 0. NaN exactly
        where any band of ``chips`` is NaN or infinite, or beyond float32 once a network normalised it.

    Raises:
        BandMismatchError: Other bands than the card's.
        InputRangeError: Pixels that are not in the card's unit.
    """
    import torch  # here, and not above: models that compute with numpy map without it

    with torch.inference_mode():
        logits = model.logits(chips)
        probability = logits[:, 0].sigmoid_() if logits.shape[1] == 1 else 1.0 - logits.softmax(dim=1)[:, 0]
        for band in chips.pixels.unbind(1):
            probability.masked_fill_(~band.isfinite(), torch.nan)
    return probability


def array_probability(model: ArrayModel, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute what :func:`water_probability` does, with a model that computes with numpy.

    Args:
        model: Such a model.
        pixels: float32 (batch, band, y, x) in the bands of its card, NaN where not observed.

    Returns:
        float32 (batch, y, x), 0..1, NaN exactly where any band of ``pixels`` is NaN or infinite.

    Raises:
        BandMismatchError: Another number of bands.
        InputRangeError: Pixels that are not in the card's unit.
    """
    check_pixels(pixels, model.card)
    probability = model.array_logits(pixels)
    rows = max(1, STRIP_PX // probability.shape[-1])
    for chip, answer in zip(pixels, probability, strict=True):
        for top in range(0, len(answer), rows):
            strip = answer[top : top + rows]
            np.negative(strip, out=strip)
            with np.errstate(over="ignore"):  # an infinite power of e makes a probability of 0
                np.exp(strip, out=strip)
            strip += 1
            np.reciprocal(strip, out=strip)
            for band in chip[:, top : top + rows]:
                np.copyto(strip, np.float32(np.nan), where=~np.isfinite(band))
    return probability


@dataclass(frozen=True, slots=True)
class Predictor:
    """How to get a model, and what was settled for this scene. Small, picklable and hashable.

    Attributes:
        model: The model, resolved. A worker whose folder holds another bundle refuses it.
        device: ``auto``, ``cpu`` or ``cuda``.
        prune: Level that a U-Net++ answers with; None: as its card says.
        precision: ``32``, or ``bf16``: a network's convolutions and matrix products in bfloat16.
        survey: Statistics of the whole scene that the model's threshold was chosen from; None: it chooses none.
        gsd_m: Ground sampling in metres, for models that ask.
        time: Acquisition, UTC.
        latlon: Latitude and longitude of the scene's middle in degrees.
    """

    model: ModelRef
    device: str = "cpu"
    prune: int | None = None
    precision: Precision = "32"
    scene_statistics: SceneStatistics | None = None
    gsd_m: float | None = None
    time: datetime | None = None
    latlon: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        model: str | Path | ModelRef,
        device: str = "cpu",
        *,
        prune: int | None = None,
        precision: Precision = "32",
    ) -> Predictor:
        """The predictor of a model by name, or of a bundle as it stands in its folder now.

        Raises:
            ModelError: As :func:`geoseg.models.create.load_model`, at once and not on a worker.
            UnknownNameError: No such model.
            BadOptionError: ``prune`` for a model without levels, or ``precision`` for one that is no network.
        """
        predictor = cls(resolve_model(model), device, prune=prune, precision=precision)
        predictor.load()
        return predictor

    def with_acquisition(
        self,
        *,
        gsd_m: float | None = None,
        time: datetime | None = None,
        latlon: tuple[float, float] | None = None,
    ) -> Predictor:
        """The same predictor, told how the imagery was taken."""
        return replace(self, gsd_m=gsd_m, time=time, latlon=latlon)

    def with_threshold(self, scene_statistics: SceneStatistics) -> Predictor:
        """The same predictor with the threshold chosen from a survey of the whole scene."""
        return replace(self, scene_statistics=scene_statistics)

    def load(self) -> SegmentationModel:
        """The model, loaded once per process.

        Raises:
            BundleError: The folder holds another bundle than when the predictor was made.
        """
        return _models.get(self)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.load().card

    @property
    def on_cpu(self) -> bool:
        """The model computes on the CPU, wherever it was allowed to."""
        device = getattr(self.load(), "device", None)
        return device is None or device.type == "cpu"

    def scene_threshold_info(self) -> dict[str, Any]:
        """What the model chose for this scene; empty for one that chooses nothing."""
        model = self.load()
        return model.scene_threshold_info() if isinstance(model, SceneAdaptive) else {}

    def probability(self, chips: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :func:`water_probability`: float32 (batch, band, y, x) in, (batch, y, x) out."""
        model = self.load()
        if isinstance(model, ArrayModel):
            return array_probability(model, chips)
        import torch

        probability: NDArray[np.float32] = water_probability(
            model, self._chips(torch.from_numpy(np.ascontiguousarray(chips)))
        ).numpy()
        return probability

    def _chips(self, pixels: Tensor) -> Chips:
        return Chips(pixels, self.card.bands, gsd_m=self.gsd_m, time=self.time, latlon=self.latlon)


class _Models:
    """The models of this process, the latest few: a worker that lives long meets many maps."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._loaded: LRUCache[Predictor, SegmentationModel] = LRUCache(maxsize=MODELS_KEPT)

    def get(self, predictor: Predictor) -> SegmentationModel:
        key = replace(predictor, gsd_m=None, time=None, latlon=None)  # of the scene, not of the model
        with self._lock:
            model = self._loaded.get(key)
            if model is None:
                model = self._loaded[key] = self._load(predictor)
            return model

    def _load(self, predictor: Predictor) -> SegmentationModel:
        if predictor.scene_statistics is not None:
            model = self.get(replace(predictor, scene_statistics=None))
            assert isinstance(model, SceneAdaptive)  # nothing else has a threshold from the scene
            return model.with_threshold(predictor.scene_statistics)
        model = load_model(predictor.model, device=predictor.device)
        if predictor.prune is not None:
            _prune(model, predictor.prune)
        if getattr(model, "module", None) is not None:
            _prepare(cast("NetworkModel", model), predictor.precision)
        elif predictor.precision != "32":
            raise BadOptionError(f"--precision {predictor.precision} is for networks, and {model.card.name} is none.")
        return model


_models = _Models()


def _prune(model: SegmentationModel, level: int) -> None:
    """Let a U-Net++ answer with one of its shallower nests.

    Raises:
        BadOptionError: The model has none, or was built without a head there.
    """
    prune_to = getattr(getattr(model, "module", None), "prune_to", None)
    if prune_to is None:
        raise BadOptionError(f"--prune runs the shallower part of a U-Net++, and {model.card.name} is none.")
    prune_to(level)


def _prepare(model: NetworkModel, precision: Precision) -> None:
    """Make a network faster in the same way wherever it runs."""
    import torch

    from geoseg.models.optimize.base import AutocastBf16
    from geoseg.models.optimize.prepare import optimize_deterministic

    side = min(model.card.chip_px or PROBE_PX, PROBE_PX)
    probe = torch.randn((1, len(model.card.bands), side, side), generator=torch.Generator().manual_seed(0))
    model.module = optimize_deterministic(model.module, probe.to(model.device))
    if precision == "bf16":
        model.module = AutocastBf16(model.module)
