"""Build losses by name, and apply one to every head of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from geoseg.errors import BadOptionError, InputRangeError, UnknownNameError
from geoseg.training.losses.sample import Sample, prepare
from geoseg.training.losses.terms import cross_entropy, dice, focal, jaccard_metric, lovasz

Term = Callable[[Sample, Tensor], Tensor]

LOSSES = ("bce", "ce", "dice", "focal", "jml", "lovasz")
"""Names that :func:`build_loss` knows, and adds: ``bce+dice``."""
SOFT = frozenset({"bce", "ce", "dice", "jml"})
"""Those that admit probabilities as labels."""


class SegmentationLoss(nn.Module):
    """A sum of losses over the labelled pixels of a batch; use :func:`build_loss`.

    Computed in float32 also under autocast. A batch without a labelled pixel gives exactly 0, with gradients of 0.

    Attributes:
        name: As it was asked for.
        classes: Channels of the logits; 1: binary.
        admits_soft: Labels may be probabilities.
    """

    class_weights: Tensor

    def __init__(self, name: str, classes: int, class_weights: Tensor, terms: dict[str, Term]) -> None:
        super().__init__()
        self.name, self.classes, self.terms = name, classes, terms
        self.admits_soft = terms.keys() <= SOFT
        # not persistent: a checkpoint of a network holds no part of its loss
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Compute the loss, a scalar of at least float32.

        Args:
            logits: (batch, class, y, x).
            target: int (batch, y, x) of class indices or ``UNLABELLED``; or float (batch, class, y, x) of
                probabilities, NaN where unlabelled, if ``admits_soft``.
            weight: float (batch, y, x), confidence in each label; 0: unlabelled. None: 1.

        Raises:
            InputRangeError: Logits of another number of classes, soft labels for a loss that needs hard ones, or what
                :func:`~geoseg.training.losses.sample.prepare` refuses.
        """
        if logits.ndim != 4 or logits.shape[1] != self.classes:
            raise InputRangeError(
                f"Logits for the loss {self.name}: expected shape (batch, {self.classes}, y, x), got "
                f"{tuple(logits.shape)}. Build the loss with the network's number of output channels."
            )
        if target.is_floating_point() and not self.admits_soft:
            hard = ", ".join(sorted(self.terms.keys() - SOFT))
            raise InputRangeError(
                f"Labels for {hard}: expected class indices, got probabilities (soft labels). Give class indices, or "
                f"choose {', '.join(sorted(SOFT))}."
            )
        with torch.autocast(logits.device.type, enabled=False):
            sample = prepare(logits, target, weight)
            weights = self.class_weights.to(sample.logits.dtype)
            return torch.stack([term(sample, weights) for term in self.terms.values()]).sum()

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"{self.name}, classes={self.classes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOptions:
    """Options of single losses.

    Attributes:
        gamma: Exponent of ``focal``.
        smooth: Pixels added to both areas of ``dice`` and ``jml``.
        per_image: Compute ``dice``, ``jml`` and ``lovasz`` for each image rather than for the whole batch.
    """

    gamma: float = 2.0
    smooth: float = 1.0
    per_image: bool = False


DEFAULTS = LossOptions()


def build_loss(
    name: str,
    *,
    classes: int,
    class_weights: Sequence[float] | None = None,
    options: LossOptions = DEFAULTS,
) -> SegmentationLoss:
    """Build a loss by name.

    ============  ===================================================================  ===========
    ``ce``        cross entropy                                                        soft labels
    ``bce``       the same, of a network with one logit
    ``focal``     cross entropy with easy pixels turned down
    ``dice``      1 - Dice score                                                       soft labels
    ``jml``       1 - Jaccard index, the Jaccard metric loss                           soft labels
    ``lovasz``    1 - Jaccard index, Lovász-Softmax
    ``a+b``       their sum: ``bce+dice``, ``ce+lovasz``                               if all do
    ============  ===================================================================  ===========

    segmentation_models_pytorch's own are not used: none takes a confidence per pixel, its Dice loss is 0 on a dry chip
    whatever the network says there, and its focal loss is NaN on a batch without labels (tests show both).

    Args:
        name: One of the above.
        classes: Channels of the logits; 1: binary, by sigmoid.
        class_weights: One per class; a binary network's are of class 0 and class 1. None: all 1.
        options: Options of single losses.

    Raises:
        UnknownNameError: No such loss.
        BadOptionError: The same loss twice, ``bce`` with several classes, weights that do not fit, or a ``gamma`` or
            ``smooth`` that cannot be.
    """
    gamma, smooth, per_image = options.gamma, options.smooth, options.per_image
    known: dict[str, Term] = {
        "bce": cross_entropy,
        "ce": cross_entropy,
        "focal": partial(focal, gamma=gamma),
        "dice": partial(dice, smooth=smooth, per_image=per_image),
        "jml": partial(jaccard_metric, smooth=smooth, per_image=per_image),
        "lovasz": partial(lovasz, per_image=per_image),
    }
    parts = [part.strip() for part in name.split("+")]
    for part in parts:
        if part not in known:
            raise UnknownNameError.among("loss", part, known)
    if len(set(parts)) < len(parts) or {"bce", "ce"} <= set(parts):
        raise BadOptionError(f"The loss {name!r} names one loss twice. Name each once.")
    if classes < 1 or ("bce" in parts and classes != 1):
        raise BadOptionError(f"Loss {name!r}: expected one output class for bce, got {classes}. Use ce.")
    if not (math.isfinite(gamma) and gamma >= 0 and math.isfinite(smooth) and smooth > 0):
        raise BadOptionError(
            f"Loss options: expected gamma 0 or more and smooth above 0, got gamma {gamma}, smooth {smooth}."
        )
    weights = _class_weights(class_weights, max(2, classes))
    return SegmentationLoss(name, classes, weights, {part: known[part] for part in parts})


def deep_supervision(
    loss: SegmentationLoss,
    side_logits: Sequence[Tensor],
    target: Tensor,
    weights: Sequence[float] | None = None,
    *,
    pixel_weight: Tensor | None = None,
) -> Tensor:
    """Average a loss over the heads of a network, weighted: ``sum_l w_l loss(z_l) / sum_l w_l``.

    U-Net++ (Zhou et al. 2018, arXiv 1807.10165) trains the head of each level on the same label.

    Args:
        loss: For each head.
        side_logits: Of each head, (batch, class, y, x), the shallowest first: what
            :meth:`geoseg.models.cnn.unetplusplus.UNetPlusPlus.side_outputs` gives.
        target: As ``loss`` takes it.
        weights: One per head; 0 leaves a head out. None: all the same.
        pixel_weight: Confidence in each label, as ``loss`` takes it.

    Raises:
        BadOptionError: Weights that are negative, all 0, or not one per head.
    """
    given = [1.0] * len(side_logits) if weights is None else [float(weight) for weight in weights]
    if len(given) != len(side_logits) or not given or min(given) < 0 or not 0 < sum(given) < float("inf"):
        raise BadOptionError(
            f"Weights of deep supervision: expected {len(side_logits)} numbers, one per head, 0 or more and not all 0, "
            f"got {given}."
        )
    losses = [
        weight * loss(logits, target, pixel_weight) for weight, logits in zip(given, side_logits, strict=True) if weight
    ]
    return torch.stack(losses).sum() / sum(given)


def _class_weights(given: Sequence[float] | None, classes: int) -> Tensor:
    weights = torch.ones(classes) if given is None else torch.as_tensor(list(given), dtype=torch.float32)
    if weights.shape != (classes,) or not bool(torch.isfinite(weights).all()) or float(weights.min()) <= 0:
        raise BadOptionError(
            f"class_weights: expected {classes} numbers above 0, one per class, got {list(given or ())}."
        )
    return weights
