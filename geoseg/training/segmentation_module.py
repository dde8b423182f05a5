"""One training step and one validation step, as Lightning runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from geoseg.catalog.cards import ModelCard
from geoseg.core.scores import foreground_iou
from geoseg.datasets.pair import UNLABELLED
from geoseg.models.network import ReadsAcquisition
from geoseg.models.normalize import affine_of, normalize
from geoseg.training.augment import augment_batch
from geoseg.training.crops import Chip
from geoseg.training.groups import eval_frozen_modules, parameter_groups
from geoseg.training.losses.build import build_loss, deep_supervision
from geoseg.training.recipe import Augmentation, Recipe
from geoseg.training.soft_labels import edge_confidence, soft_labels

SCORE = "val_iou"
"""IoU over the validation's pixels: of class 1, or the mean of the classes but the first."""


class SegmentationModule(pl.LightningModule):  # type: ignore[misc]  # Lightning is not typed strictly
    """A network that learns from chips in physical units.

    Args:
        module: What ``card`` describes.
        card: Normalisation and classes.
        recipe: Loss, rates, augmentation, seed.
        steps: Optimiser steps in all, for the schedule.
        gsd_m: Ground sampling that encoders are told; None: unknown.
    """

    def __init__(self, module: nn.Module, card: ModelCard, recipe: Recipe, steps: int, gsd_m: float | None) -> None:
        super().__init__()
        module.train()
        self.module, self.card, self.recipe, self.steps, self.gsd_m = module, card, recipe, steps, gsd_m
        shift, factor = affine_of(card)
        self.register_buffer("shift", shift, persistent=False)
        self.register_buffer("factor", factor, persistent=False)
        self.augment = recipe.for_unit(card.unit).augment or Augmentation()
        self.classes = max(2, len(card.classes))
        self.loss = build_loss(recipe.loss, classes=len(card.classes))
        self.confusion = MulticlassConfusionMatrix(self.classes, ignore_index=UNLABELLED)

    def training_step(self, batch: Chip, index: int) -> Tensor:
        """The loss of one batch; everything random in it follows from the seed and the number of the step."""
        number = (self.recipe.seed * 1_000_003 + self.global_rank) * 1_000_003
        number += self.global_step * self.recipe.accumulate + index % self.recipe.accumulate
        torch.manual_seed(number % 2**63)  # dropout; the chips' own chance follows
        random = torch.Generator().manual_seed(number % 2**63)
        pixels, mask = augment_batch(batch["image"], batch["mask"], self.augment, random)
        loss = self._loss(pixels, self._labelled(pixels, mask))
        self.log("loss", loss, prog_bar=False, on_step=True, on_epoch=False, batch_size=len(pixels))
        return loss

    def validation_step(self, batch: Chip, index: int) -> None:
        """Count what is right and wrong."""
        del index
        logits, mask = self.forward_batch(batch)
        answer = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
        self.confusion.update(answer, mask)
        self.log("val_loss", self.loss(logits, mask), on_epoch=True, batch_size=len(mask), sync_dist=True)

    def forward_batch(self, batch: Chip) -> tuple[Tensor, Tensor]:
        """What the network makes of a batch, and what is labelled.

        Returns:
            Logits, float32 (batch, class, y, x), one channel for two classes; int64 (batch, y, x), -1 where a pixel is
            not labelled or not observed.
        """
        pixels = batch["image"]
        return self._forward(pixels, self.module).float(), self._labelled(pixels, batch["mask"])

    def on_validation_epoch_end(self) -> None:
        """Log the score."""
        self.log(SCORE, foreground_iou(self.confusion.compute().cpu().numpy()), sync_dist=False)
        self.confusion.reset()

    def on_train_epoch_start(self) -> None:
        """What is frozen rests, however often Lightning says train."""
        eval_frozen_modules(self.module)

    def configure_optimizers(self) -> Any:
        """AdamW in groups; a linear rise, then a cosine down to the floor."""
        recipe = self.recipe
        groups = parameter_groups(
            self.module, lr=recipe.lr, weight_decay=recipe.weight_decay, layer_decay=recipe.layer_decay
        )
        optimiser = torch.optim.AdamW(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate_at(self.steps, recipe.warmup, recipe.floor))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _labelled(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """Labels without those of pixels that are not valid."""
        return mask.masked_fill(~normalize(pixels, (self.shift, self.factor))[1], UNLABELLED)

    def _loss(self, pixels: Tensor, mask: Tensor) -> Tensor:
        target, confidence = self._softened(mask) if self.recipe.soft_edge_px else (mask, None)
        if self.recipe.side_weight and getattr(self.module, "side_heads", None):
            logits = self._forward(pixels, cast("Callable[..., Any]", self.module.side_outputs))
            weights = [self.recipe.side_weight] * (len(logits) - 1) + [1.0]
            return deep_supervision(self.loss, logits, target, weights, pixel_weight=confidence)
        loss: Tensor = self.loss(self._forward(pixels, self.module), target, confidence)
        return loss

    def _softened(self, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Labels as probabilities near their edges, or weighed less there where the loss takes no probabilities."""
        labels, width = mask.cpu().numpy(), self.recipe.soft_edge_px
        if self.loss.admits_soft:
            soft = [soft_labels(each, classes=self.classes, width=width)[0] for each in labels]
            return torch.from_numpy(np.stack(soft)).to(mask.device), None
        sure = [edge_confidence(each, classes=self.classes, width=width) for each in labels]
        return mask, torch.from_numpy(np.stack(sure)).to(mask.device)

    def _forward(self, pixels: Tensor, ask: Callable[..., Any]) -> Any:
        normalised, _ = normalize(pixels, (self.shift, self.factor))
        if isinstance(self.module, ReadsAcquisition):
            return ask(normalised, gsd_m=self.gsd_m, time=None, latlon=None)
        return ask(normalised)


def rate_at(steps: int, warmup: float, floor: float) -> Callable[[int], float]:
    """Share of the learning rate at a step: rises linearly over ``warmup`` of them, falls as a cosine to ``floor``."""
    rising = max(1, round(steps * warmup))

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        fallen = min(1.0, (step - rising) / max(1, steps - rising))
        return floor + (1 - floor) * (1 + math.cos(math.pi * fallen)) / 2

    return share
