"""Losses: their values and gradients, what they leave out, and that they never divide by zero."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from scipy.special import log_softmax

from geoseg.datasets.pair import UNLABELLED
from geoseg.errors import BadOptionError, InputRangeError, UnknownNameError
from geoseg.models import create_model
from geoseg.training.losses.build import LOSSES, SOFT, LossOptions, build_loss, deep_supervision

NAMES = [*LOSSES, "bce+dice", "ce+lovasz"]
SEVERAL = [name for name in NAMES if "bce" not in name]
SMOOTH = 1.0


def batch(classes: int, seed: int = 0, size: tuple[int, int] = (5, 6), images: int = 2) -> tuple:
    """float64 logits, labels with unlabelled pixels, weights."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 2, (images, classes, *size))).requires_grad_()
    target = torch.from_numpy(rng.integers(UNLABELLED, max(2, classes), (images, *size)))
    weight = torch.from_numpy(rng.uniform(0.1, 1, (images, *size)))
    return logits, target, weight


class Reference:
    """The formulas, pixel by pixel, in numpy and float64; (pixel, class) probabilities of the labelled pixels alone."""

    def __init__(self, logits, target, weight, class_weights=None):
        z = logits.detach().numpy()
        self.binary = z.shape[1] == 1
        z = np.concatenate([np.zeros_like(z), z], axis=1) if self.binary else z
        t, v = target.numpy(), weight.numpy()
        if np.issubdtype(t.dtype, np.integer):
            t = np.stack([np.where(t == UNLABELLED, np.nan, t == k) for k in range(z.shape[1])], axis=1)
        said = ~np.isnan(t[:, 0])
        self.image = np.broadcast_to(np.arange(len(z))[:, None, None], said.shape)[said]
        self.log, self.t = (np.moveaxis(a, 1, -1)[said] for a in (log_softmax(z, axis=1), t))
        self.p, self.v = np.exp(self.log), v[said]
        self.w = np.ones(z.shape[1]) if class_weights is None else np.array(class_weights)

    def ce(self):
        top = bottom = 0.0
        for log, t, v in zip(self.log, self.t, self.v, strict=True):
            for k, w in enumerate(self.w):
                top, bottom = top - v * w * t[k] * log[k], bottom + v * w * t[k]
        return top / bottom

    bce = ce

    def focal(self, gamma=2.0):
        own = self.t.argmax(axis=1)
        p = self.p[np.arange(len(own)), own]
        v = self.v * self.w[own]
        return -(v * (1 - p) ** gamma * np.log(p)).sum() / v.sum()

    def overlap(self, score, per_image):
        groups = [self.image == i for i in np.unique(self.image)] if per_image else [np.full(len(self.v), True)]
        losses = []
        for group in groups:
            present = [1] if self.binary else sorted(set(self.t[group].argmax(axis=1)))
            values = [1 - score(self.p[group, k], self.t[group, k], self.v[group]) for k in present]
            losses.append(np.average(values, weights=[1.0] if self.binary else self.w[present]))
        return np.mean(losses)

    def dice(self, per_image=False):
        def score(p, t, v):
            return (2 * (v * np.minimum(p, t)).sum() + SMOOTH) / ((v * p).sum() + (v * t).sum() + SMOOTH)

        return self.overlap(score, per_image)

    def jml(self, per_image=False):
        def score(p, t, v):
            gap = (v * abs(p - t)).sum()
            both = (v * (p + t)).sum()
            return (both - gap + SMOOTH) / (both + gap + SMOOTH)

        return self.overlap(score, per_image)

    def lovasz(self, per_image=False):
        """As an integral: the mean Jaccard loss over every threshold on the errors (Bach 2013, arXiv 1111.6453)."""

        def score(p, t, v):
            errors = abs(p - t)
            total, levels = 0.0, np.unique([0.0, *errors])
            for low, high in itertools.pairwise(levels):
                wrong = errors >= high
                inside = v[(t == 1) & ~wrong].sum()
                union = v[(t == 1) | wrong].sum()
                total += (high - low) * (1 - inside / union)
            return 1 - total

        return self.overlap(score, per_image)

    def __call__(self, name, **options):
        return sum(getattr(self, part)(**options) for part in name.split("+"))


@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_formulas(name, classes):
    if "bce" in name and classes > 1:
        with pytest.raises(BadOptionError):
            build_loss(name, classes=classes)
        return
    logits, target, weight = batch(classes)
    class_weights = [0.5, 2.0, 1.0, 3.0][: max(2, classes)]
    loss = build_loss(name, classes=classes, class_weights=class_weights)
    assert loss(logits, target, weight).item() == pytest.approx(
        Reference(logits, target, weight, class_weights)(name), rel=1e-10
    )


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", ["dice", "jml", "lovasz"])
def test_each_image_by_itself(name, classes):
    logits, target, weight = batch(classes, images=3)
    target[1] = UNLABELLED  # an image that says nothing is no image
    loss = build_loss(name, classes=classes, options=LossOptions(per_image=True))
    expected = Reference(logits, target, weight)(name, per_image=True)
    assert loss(logits, target, weight).item() == pytest.approx(expected, rel=1e-10)
    assert expected != pytest.approx(Reference(logits, target, weight)(name))


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", SEVERAL)
def test_gradients_are_the_formulas_slopes(name, classes):
    logits, target, weight = batch(classes, seed=3, size=(3, 3))
    build_loss(name, classes=classes)(logits, target, weight).backward()
    step, slopes = 1e-6, np.zeros(logits.shape)
    for index in np.ndindex(*logits.shape):
        for sign in (1, -1):
            moved = logits.detach().clone()
            moved[index] += sign * step
            slopes[index] += sign * Reference(moved, target, weight)(name) / (2 * step)
    np.testing.assert_allclose(logits.grad.numpy(), slopes, atol=1e-7)
    assert not logits.grad.movedim(1, -1)[target == UNLABELLED].any()


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", sorted(SOFT - {"bce"}))
def test_soft_labels(name, classes):
    logits, target, weight = batch(classes)
    soft = torch.from_numpy(np.random.default_rng(7).dirichlet(np.ones(max(2, classes)), target.shape)).movedim(-1, 1)
    soft = soft.masked_fill((target == UNLABELLED).unsqueeze(1), torch.nan)
    loss = build_loss(name, classes=classes)
    value = loss(logits, soft, weight)
    assert value.item() == pytest.approx(Reference(logits, soft, weight)(name), rel=1e-10)
    if classes == 1:
        assert loss(logits, soft[:, 1:], weight).item() == pytest.approx(value.item(), rel=1e-12)
    hard = torch.stack([target == k for k in range(max(2, classes))], dim=1).double()
    hard = hard.masked_fill((target == UNLABELLED).unsqueeze(1), torch.nan)
    assert loss(logits, hard, weight).item() == pytest.approx(loss(logits, target, weight).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["jml", "dice"])
def test_soft_labels_are_best_met_exactly(name):
    """What the usual soft Dice and Jaccard losses do not have, and why they are not used."""
    soft = torch.rand(1, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    exact = torch.logit(soft)
    loss = build_loss(name, classes=1)
    assert loss(exact, soft).item() == pytest.approx(0, abs=1e-12)
    for shift in (-0.5, 0.5, 5.0):
        assert loss(exact + shift, soft) > 0.01

    def product(p):
        overlap, both = (p * soft).sum(), (p + soft).sum()
        return 1 - (overlap / (both - overlap) if name == "jml" else 2 * overlap / both)

    assert product(torch.sigmoid(exact + 0.5)) < product(soft)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - SOFT))
def test_losses_that_need_hard_labels_say_so(name):
    with pytest.raises(InputRangeError, match=f"{name}: expected class indices, got probabilities"):
        build_loss(name, classes=1)(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))


def test_cross_entropy_is_torchs():
    logits, target, _ = batch(4)
    torchs = torch.nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3, 4]).double(), ignore_index=UNLABELLED)
    loss = build_loss("ce", classes=4, class_weights=[1, 2, 3, 4])
    assert loss(logits, target).item() == pytest.approx(torchs(logits, target).item(), rel=1e-10)
    logits, target, _ = batch(1)
    there = target != UNLABELLED
    binary = torch.nn.BCEWithLogitsLoss()(logits[:, 0][there], target[there].double())
    assert build_loss("bce", classes=1)(logits, target).item() == pytest.approx(binary.item(), rel=1e-10)


def test_lovasz_is_smps_on_several_classes():
    logits, target, _ = batch(4)
    theirs = smp.losses.LovaszLoss("multiclass", ignore_index=UNLABELLED)(logits.float(), target)
    assert build_loss("lovasz", classes=4)(logits, target).item() == pytest.approx(theirs.item(), rel=1e-6)


def test_focal_of_gamma_zero_is_cross_entropy():
    for classes in (1, 3):
        logits, target, weight = batch(classes)
        pair = [build_loss("focal", classes=classes, options=LossOptions(gamma=0)), build_loss("ce", classes=classes)]
        focal, ce = (loss(logits, target, weight).item() for loss in pair)
        assert focal == pytest.approx(ce, rel=1e-12)


def test_why_not_smps():
    """The day that one of these fails, the library's own losses can be looked at again."""
    nothing = torch.full((1, 1, 2, 2), UNLABELLED)
    assert torch.isnan(smp.losses.FocalLoss("binary", ignore_index=UNLABELLED)(torch.zeros(1, 1, 2, 2), nothing))
    dry, flooded = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 9.0)
    assert smp.losses.DiceLoss("binary")(flooded, dry) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("label", ["unlabelled", "dry", "water", "mixed", "wrong"])
@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_never_nan(label, classes, size, scale, dtype):
    generator = torch.Generator().manual_seed(5)
    raw = torch.randn(2, classes, *size, generator=generator) * scale
    target = {
        "unlabelled": torch.full((2, *size), UNLABELLED, dtype=torch.int16),
        "dry": torch.zeros(2, *size, dtype=torch.int16),
        "water": torch.ones(2, *size, dtype=torch.int16),
        "mixed": torch.randint(UNLABELLED, 2, (2, *size), generator=generator, dtype=torch.int16),
        "wrong": (raw[:, -1] < 0).to(torch.int16),
    }[label]
    for name, per_image in itertools.product(NAMES if classes == 1 else SEVERAL, [False, True]):
        logits = raw.to(dtype).requires_grad_()
        options = LossOptions(per_image=per_image, gamma=0.5 if per_image else 2)
        value = build_loss(name, classes=classes, options=options)(logits, target)
        value.backward()
        assert value.dtype == torch.float32
        assert torch.isfinite(value) and value >= -1e-6
        assert torch.isfinite(logits.grad).all()
        if label == "unlabelled":
            assert value.item() == 0 and value.requires_grad and not logits.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_where_nothing_is_labelled_does_not_matter(name):
    logits, target, weight = (part.detach() for part in batch(1))
    loss = build_loss(name, classes=1)
    clean = loss(logits, target, weight)
    dirty = logits.masked_fill((target == UNLABELLED).unsqueeze(1), torch.nan).requires_grad_()
    value = loss(dirty, target, weight)
    value.backward()
    assert value == clean and torch.isfinite(dirty.grad).all()
    off = torch.where(target == UNLABELLED, 0.0, weight)
    assert loss(logits, target.clamp(min=0), off).item() == pytest.approx(clean.item(), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_false_alarms_on_a_dry_chip_are_pushed_down(name):
    logits = torch.full((1, 1, 8, 8), 2.0, requires_grad=True)
    build_loss(name, classes=1)(logits, torch.zeros(1, 8, 8, dtype=torch.int64)).backward()
    assert (logits.grad >= 0).all() and logits.grad.sum() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_under_autocast_it_is_computed_in_full(name):
    logits, target, _ = batch(1)
    logits = logits.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        inside = build_loss(name, classes=1)(logits, target)
    assert inside.dtype == torch.float32
    assert inside == build_loss(name, classes=1)(logits.float(), target)


@pytest.mark.parametrize("name", NAMES)
def test_a_better_answer_loses_less(name):
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    target[:, :4] = 1
    right = (target * 2.0 - 1).unsqueeze(1)
    loss = build_loss(name, classes=1)
    values = [loss(right * scale, target).item() for scale in (-8, -1, 0, 1, 8)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.05


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("dise", {"classes": 1}, UnknownNameError),
        ("ce+ce", {"classes": 1}, BadOptionError),
        ("bce+ce", {"classes": 1}, BadOptionError),
        ("bce", {"classes": 2}, BadOptionError),
        ("ce", {"classes": 0}, BadOptionError),
        ("ce", {"classes": 3, "class_weights": [1, 2]}, BadOptionError),
        ("ce", {"classes": 1, "class_weights": [1, -2]}, BadOptionError),
        ("ce", {"classes": 1, "class_weights": [1, float("nan")]}, BadOptionError),
        ("focal", {"classes": 1, "options": LossOptions(gamma=-1)}, BadOptionError),
        ("dice", {"classes": 1, "options": LossOptions(smooth=0)}, BadOptionError),
    ],
)
def test_what_cannot_be_built(name, options, error):
    with pytest.raises(error):
        build_loss(name, **options)


@pytest.mark.parametrize(
    ("logits", "target", "weight", "says"),
    [
        ((1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64), None, "expected shape"),
        ((1, 1, 2, 2), torch.full((1, 2, 2), 255), None, "255"),
        ((1, 1, 2, 2), torch.full((1, 2, 2), -2), None, "-2"),
        ((1, 1, 2, 2), torch.zeros(1, 2, 3, dtype=torch.int64), None, "do not fit"),
        ((1, 1, 2, 2), torch.zeros(1, 3, 2, 2), None, "do not fit"),
        ((1, 1, 2, 2), torch.full((1, 1, 2, 2), 1.5), None, "outside 0 to 1"),
        ((1, 1, 2, 2), torch.full((1, 2, 2, 2), 0.9), None, "add up"),
        ((1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64), -torch.ones(1, 2, 2), "negative"),
        ((1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64), torch.full((1, 2, 2), torch.nan), "finite"),
        ((1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64), torch.ones(2, 2), "Weights of shape"),
    ],
)
def test_what_is_refused(logits, target, weight, says):
    with pytest.raises(InputRangeError, match=says):
        build_loss("ce", classes=1)(torch.zeros(logits), target, weight)


def test_it_moves_with_the_network_and_stays_out_of_its_checkpoint():
    loss = build_loss("ce", classes=1, class_weights=[1, 2])
    assert not loss.state_dict() and not list(loss.parameters())
    assert loss.to("meta").class_weights.device.type == "meta"


def test_deep_supervision_reaches_every_head_with_a_weight():
    network = create_model("unetplusplus-efficientnet-b0", bands=2)
    sides = network.side_outputs(torch.randn(2, 2, 32, 32))
    target = torch.randint(UNLABELLED, 2, (2, 32, 32))
    loss = build_loss("bce+dice", classes=1)
    each = [loss(side, target) for side in sides]
    assert deep_supervision(loss, sides, target).item() == pytest.approx(sum(each).item() / 4, rel=1e-6)
    weights = [0, 1, 0, 3]
    value = deep_supervision(loss, sides, target, weights)
    assert value.item() == pytest.approx((each[1] + 3 * each[3]).item() / 4, rel=1e-6)
    value.backward()
    reached = [head.weight.grad is not None for head in network.side_heads]
    assert reached == [False, True, False]


@pytest.mark.parametrize("weights", [[1, 1], [0, 0, 0], [1, -1, 1]])
def test_deep_supervision_refuses_weights_that_do_not_fit(weights):
    with pytest.raises(BadOptionError, match="expected 3 numbers"):
        deep_supervision(
            build_loss("ce", classes=1), [torch.zeros(1, 1, 2, 2)] * 3, torch.zeros(1, 2, 2).long(), weights
        )
