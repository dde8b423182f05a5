"""Everything that shapes a training run, as one record that its bundle's card keeps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from geoseg.catalog.records import Record
from geoseg.catalog.sensors import Unit

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Augmentation(Record):
    """How chips are varied, on the device, anew each time they are seen.

    Attributes:
        turns: Any of the eight symmetries of a square.
        zoom: Each batch is resampled by a factor between 1/(1+zoom) and 1+zoom; 0: never.
        gain: Standard deviation of one factor for all bands and of one for each band; reflectance and 8-bit imagery.
        offset: Standard deviation of what is added to all bands and to each band, in the card's unit; radar in dB wants
            1 to 2, reflectance 0.01 to 0.02.
        noise: Standard deviation of what is added to each pixel.
        hide: Share of chips in which a rectangle is hidden, as cloud or a swath's edge would hide it.
    """

    turns: bool = True
    zoom: Annotated[float, Field(ge=0, le=1)] = 0.0
    gain: Annotated[float, Field(ge=0, le=1)] = 0.0
    offset: Annotated[float, Field(ge=0)] = 0.0
    noise: Annotated[float, Field(ge=0)] = 0.0
    hide: Share = 0.0


USUAL: dict[Unit, Augmentation] = {
    "dB": Augmentation(zoom=0.3, offset=1.5, noise=0.5),
    "reflectance": Augmentation(zoom=0.3, gain=0.15, offset=0.015, noise=0.005),
    "unitless": Augmentation(zoom=0.3, gain=0.15, offset=0.03),
}
"""How chips are varied where a recipe does not say: calibration, incidence, haze and season differ from scene to scene,
and a handful of labels shows none of that. geoseg's own choice."""


class Recipe(Record):
    """A training run; hashable by its JSON.

    Attributes:
        model: Name of a network, or a bundle's folder to go on from.
        options: Of the network, over those of its card.
        from_scratch: Start an encoder, whose weights are published, with random ones.
        radar: Give radar to an encoder that was pretrained on optical imagery.
        loss: ``ce``, ``focal``, ``dice``, ``lovasz``, ``jml``, ``bce+dice``, or a sum of them.
        soft_edge_px: Labels grow uncertain within so many pixels of their edge; 0: every label is certain.
        side_weight: U-Net++: weight of each side output's loss, the deepest counting 1.
        freeze: Part that does not learn: ``none``, ``encoder``, ``first:N`` or ``all-but-norm``.
        lora: Rank of the adapters that learn in place of the encoder; 0: none.
        lr: Learning rate of what lies last; AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).
        weight_decay: Not applied to norms, biases, tokens and scales.
        layer_decay: Factor on the learning rate per layer towards the input (Bao et al. 2022, arXiv 2106.08254).
        warmup: Share of the steps over which the rate rises.
        floor: Share of the rate at the cosine's end.
        clip: Largest norm of the gradient; 0: any.
        steps: Optimiser steps. None: ``epochs`` decide.
        epochs: Times that every labelled area is seen once.
        batch_size: Chips a step and device.
        accumulate: Batches a step.
        chip_px: Side of a chip. None: 128, or what a foundation encoder was pretrained on; the largest image's where
            that is smaller.
        wet_share: Share of chips that are cut around a pixel of class 1 or above, where there is one.
        round_steps: Steps between two looks at the validation, and between checkpoints.
        validation: Share of the pairs kept for validation where none are named, whole regions first; 0: none.
        patience: Rounds without a better validation score until it stops; 0: never stops early.
        ema: Decay of the averaged weights that are validated and kept; 0: no averaging.
        augment: How chips are varied. None: as :data:`USUAL` has it for the unit of the data.
        acquisition: Tell the encoder time and place. Off, they are unknown to it, here and later in the map.
        seed: Of everything random.
        precision: ``32``, ``bf16``, or ``auto``: bf16 on a GPU.
    """

    model: str
    options: dict[str, Any] = {}
    from_scratch: bool = False
    radar: bool = False
    loss: str = "ce+dice"
    soft_edge_px: float = Field(default=0.0, ge=0)
    side_weight: float = Field(default=0.5, ge=0)
    freeze: str = Field(default="none", pattern=r"^(none|encoder|first:\d{1,4}|all-but-norm)$")
    lora: int = Field(default=0, ge=0, le=256)
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    warmup: Share = 0.1
    floor: Share = 0.01
    clip: float = Field(default=1.0, ge=0)
    steps: int | None = Field(default=None, ge=1, le=10**9)
    epochs: int = Field(default=40, ge=1, le=10**6)
    batch_size: int = Field(default=8, ge=1, le=2**16)
    accumulate: int = Field(default=1, ge=1, le=2**16)
    chip_px: int | None = Field(default=None, ge=16, le=4096)
    wet_share: Share = 0.5
    round_steps: int = Field(default=25, ge=1, le=10**9)
    validation: Share = 0.2
    patience: int = Field(default=0, ge=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    augment: Augmentation | None = None
    acquisition: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)
    precision: Annotated[Literal["auto", "32", "bf16"], BeforeValidator(str)] = "auto"  # YAML reads 32 as a number

    def for_unit(self, unit: Unit) -> Recipe:
        """The recipe with what it leaves to the unit of the data filled in."""
        return self if self.augment is not None else self.model_copy(update={"augment": USUAL[unit]})

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if self.lora and self.freeze != "none":
            raise ValueError("lora freezes all of the encoder but its adapters: leave freeze at none")
        return self
