"""The Lightning trainer of a run: rounds of steps, two checkpoints, logs, and a progress that geoseg draws."""

from __future__ import annotations

import io
import logging
import math
import os
import pickle
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch.utils.data import DataLoader

from geoseg.catalog.cards import ModelCard
from geoseg.core.atomic import atomic_file, raise_output_errors
from geoseg.core.progress import Progress, Report
from geoseg.errors import NotTrainableError, ResumeError
from geoseg.training.crops import Chip, Crops, LabelMap, Tiles
from geoseg.training.recipe import Recipe
from geoseg.training.report import TrainResult, device_name, score_training_data
from geoseg.training.run_state import FILE as STARTED
from geoseg.training.segmentation_module import SCORE, SegmentationModule
from geoseg.training.split import TrainValSplit
from geoseg.training.start import gsd_of

BEST, LAST, LOGS = "best.ckpt", "last.ckpt", "logs"
DEFAULT_CHIP_PX = 128
IRRELEVANT = (
    r"The '.*dataloader' does not have many workers",  # chips are cut from memory
    r"The number of training batches .* is smaller than the logging interval",
    r"GPU available but not used",
    r"You are using `torch.load` with `weights_only=False`",
    r"Checkpoint directory .* exists and is not empty",
    r".*isinstance\(treespec, LeafSpec\).* is deprecated",
    r"You're resuming from a checkpoint that ended before the epoch ended",
)


class EpochDataModule(pl.LightningDataModule):  # type: ignore[misc]
    """Chips round by round: round ``n`` holds the same ones whether or not the run was stopped before.

    Args:
        crops: All chips of the run, as of the first.
        tiles: What validation looks at; None: no validation.
        recipe: Sizes.
        steps: Optimiser steps in all.
    """

    def __init__(self, crops: Crops, tiles: Tiles | None, recipe: Recipe, steps: int) -> None:
        super().__init__()
        self._crops, self._tiles, self._recipe, self._steps = crops, tiles, recipe, steps

    def train_dataloader(self) -> DataLoader[Chip]:
        """The chips of the trainer's present round, every device's own share."""
        recipe, trainer = self._recipe, self.trainer
        assert trainer is not None
        begun = trainer.current_epoch * recipe.round_steps
        a_step = recipe.batch_size * recipe.accumulate
        count = min(recipe.round_steps, max(1, self._steps - begun)) * a_step
        world, rank = trainer.world_size, trainer.global_rank
        crops = Crops(
            self._crops.data,
            self._crops.labels,
            self._crops.chip_px,
            self._crops.seed,
            self._crops.wet_share,
            first=begun * a_step * world + rank,
            count=count,
            stride=world,
        )
        return DataLoader(crops, batch_size=recipe.batch_size)

    def val_dataloader(self) -> Any:
        """Every labelled square of the validation, a share for each device."""
        trainer = self.trainer
        assert trainer is not None
        if self._tiles is None:
            return []
        mine = range(trainer.global_rank, len(self._tiles), trainer.world_size)
        if len(self._tiles) < trainer.world_size:
            mine = range(len(self._tiles))  # a device without any would not come to count with the others: all see all
        return DataLoader(torch.utils.data.Subset(self._tiles, list(mine)), batch_size=self._recipe.batch_size)


class AtomicCheckpointIO(TorchCheckpointIO):  # type: ignore[misc]
    """Checkpoints that are there or not. Lightning's own pass through /tmp, and a copy from there may stop half-way."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write it beside the one that is there, then in its place.

        Raises:
            OutputNotWritableError: It could not be written; the one that was there still is.
        """
        del storage_options
        content = io.BytesIO()  # torch says of a full disk only that it failed, an operating system says why
        torch.save(checkpoint, content)
        with atomic_file(Path(path)) as part:
            part.write_bytes(content.getbuffer())
            with part.open("rb") as file:
                os.fsync(file.fileno())  # else a power cut may leave the name without the content

    def load_checkpoint(self, path: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Read one.

        Raises:
            ResumeError: It is damaged, or none of ours.
        """
        try:
            loaded: dict[str, Any] = super().load_checkpoint(path, *arguments, **options)
            loaded["state_dict"], loaded["loops"]
        except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            what = type(error).__name__
            raise ResumeError(f"{path} is damaged ({what}). Start anew with --overwrite.") from None
        return loaded


class ResumableEMA(EMAWeightAveraging):  # type: ignore[misc]
    """Averages weights, also for a run that was killed between its last step and its bundle."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the average; Lightning does so when training ends, which a run without a step left never does."""
        self.on_train_end(trainer, pl_module)


class ResumableEarlyStopping(EarlyStopping):  # type: ignore[misc]
    """Stops where there is nothing to gain, also when the run was killed between that and its bundle."""

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """A resumed run that had stopped by itself does not go on."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


@dataclass
class ProgressCallback(Callback):  # type: ignore[misc]
    """Reports every step, and remembers what each round came to.

    Attributes:
        report: Told of every step.
        steps: In all.
        history: Of each round: its last step, loss, and validation.
        before: Seconds of the run before it was resumed.
        began: When this part of it did.
    """

    report: Report
    steps: int
    history: list[dict[str, float]] = field(default_factory=list)
    before: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Wall time of the run until now, interruptions left out."""
        return self.before + time.monotonic() - self.began

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One step forward."""
        if trainer.is_global_zero:
            self.report(Progress("train", trainer.global_step, self.steps, "steps", note=_note(trainer)))

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """A round is over."""
        self._remember(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """A round without validation is over."""
        self._remember(trainer)

    def _remember(self, trainer: pl.Trainer) -> None:
        seen = {key: round(float(value), 6) for key, value in trainer.callback_metrics.items()}
        line = {"step": float(trainer.global_step), **seen}
        if self.history and self.history[-1]["step"] == line["step"]:
            self.history[-1] |= line  # the validation has told of this round already
        else:
            self.history.append(line)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Write that the round is over.

        Lightning saves while it still ends the round. A run that is resumed from that ends it once more, and one
        without validation learns from another chip of it first.
        """
        del trainer, pl_module
        loops = checkpoint["loops"]["fit_loop"]
        rounds, steps = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
        for count in (rounds["total"], rounds["current"]):
            count["completed"] = count["processed"] = count["ready"]
        steps["current"] = dict.fromkeys(steps["current"], 0)
        steps["is_last_batch"] = False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run has to know."""
        return {"history": self.history, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.history, self.before = list(state["history"]), float(state["seconds"])


@dataclass(frozen=True)
class Loop:
    """A run, set up.

    Attributes:
        halves: What is learned from, and what chooses.
        labels: Where that is labelled.
        recipe: How.
        folder: Of the run: checkpoints and logs.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        devices: How many; more than one: data-parallel.
        own_px: Side of the chips that the network is made for; None: any.
    """

    split: TrainValSplit
    labels: LabelMap
    recipe: Recipe
    folder: Path
    device: str = "cpu"
    devices: int = 1
    own_px: int | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        if self.recipe.steps is not None:
            return self.recipe.steps
        squares = len(Tiles(self.split.training, self._chip_px))
        a_step = self.recipe.batch_size * self.recipe.accumulate * self.devices
        return max(1, math.ceil(self.recipe.epochs * squares / a_step))

    def run(self, module: nn.Module, card: ModelCard, *, resume: bool, report: Report) -> TrainResult:
        """Train ``module`` in place, and leave the best weights in it.

        Raises:
            KeyboardInterrupt: A person stopped it; what it learned until the last round is kept for ``resume``.
            OutputNotWritableError: A checkpoint could not be written; the last good one is still there.
            NotTrainableError: The weights grew beyond all bounds.
        """
        validation = self.split.validation
        told = ProgressCallback(report, self.steps)
        crops = Crops(self.split.training, self.labels, self._chip_px, self.recipe.seed, self.recipe.wet_share, 0, 0)
        rounds = EpochDataModule(
            crops, Tiles(validation, self._chip_px) if validation else None, self.recipe, self.steps
        )
        model = SegmentationModule(module, card, self.recipe, self.steps, gsd_of(self.split.training))
        last = self.folder / LAST
        with quiet_lightning(), _stoppable(), raise_output_errors(last):
            trainer = self._trainer(told, validated=validation is not None)
            trainer.fit(
                model, datamodule=rounds, ckpt_path=last if resume and last.is_file() else None, weights_only=True
            )
        if trainer.global_rank != 0:
            raise SystemExit(0)  # another device's process: the first one writes the bundle
        return self._best(model, trainer, told)

    def clean(self) -> None:
        """Keep nothing but the logs of a run that is done."""
        for name in (LAST, BEST, STARTED):
            (self.folder / name).unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove what an earlier run left, and nothing else: the folder may hold what is a person's own."""
        with raise_output_errors(self.folder):
            for name in (LAST, BEST, STARTED):
                (self.folder / name).unlink(missing_ok=True)
            for part in (self.folder / LOGS).glob("part-*"):
                shutil.rmtree(part)

    @property
    def _chip_px(self) -> int:
        largest = max(max(pair.shape) for pair in self.split.training.pairs)
        return self.recipe.chip_px or min(self.own_px or DEFAULT_CHIP_PX, largest)

    def _best(self, model: SegmentationModule, trainer: pl.Trainer, told: ProgressCallback) -> TrainResult:
        best, score, steps = self.folder / BEST, None, trainer.global_step
        if best.is_file():
            kept = torch.load(best, map_location="cpu", weights_only=True)
            model.load_state_dict(kept["state_dict"], strict=False)
            steps = int(kept["global_step"])
            score = max(line[SCORE] for line in told.history if SCORE in line)
        model.cpu()
        if not all(bool(weights.isfinite().all()) for weights in model.module.state_dict().values()):
            raise NotTrainableError(
                f"After {steps} steps the weights are not finite any more: the learning rate of {self.recipe.lr:g} is "
                "too high. Start anew with a lower one, as --set lr=1e-4 --overwrite."
            )
        seconds = told.seconds
        own = score_training_data(model, Tiles(self.split.training, self._chip_px), self.labels, self.device)
        return TrainResult(score, steps, seconds, device_name(self.device), tuple(told.history), own)

    def _trainer(self, told: ProgressCallback, *, validated: bool) -> pl.Trainer:
        recipe, on_gpu = self.recipe, self.device.startswith("cuda")
        half = recipe.precision == "bf16" or (recipe.precision == "auto" and on_gpu)
        callbacks: list[Any] = [told, _kept(self.folder, LAST, None)]
        if validated:
            # the averaged weights stand in a whole checkpoint, and nowhere in one of weights only
            callbacks.append(_kept(self.folder, BEST, SCORE, weights_only=not recipe.ema))
            if recipe.patience:
                callbacks.append(
                    ResumableEarlyStopping(SCORE, mode="max", patience=recipe.patience, check_on_train_epoch_end=False)
                )
        if recipe.ema:
            callbacks.append(ResumableEMA(decay=recipe.ema))
        logs = self.folder / LOGS
        part = f"part-{len(list(logs.glob('part-*'))) + 1}"  # a resumed run's logs lie beside those of its beginning
        return pl.Trainer(
            accelerator="gpu" if on_gpu else "cpu",
            devices=[int(self.device.partition(":")[2] or 0)] if on_gpu and self.devices == 1 else self.devices,
            strategy="ddp" if self.devices > 1 else "auto",
            use_distributed_sampler=False,
            precision="bf16-mixed" if half else "32-true",
            max_steps=self.steps,
            max_epochs=-1,
            accumulate_grad_batches=recipe.accumulate,
            gradient_clip_val=recipe.clip or None,
            limit_val_batches=1.0 if validated else 0,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=[CSVLogger(logs, name="", version=part), TensorBoardLogger(logs, name="", version=part)],
            log_every_n_steps=1,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=self.folder,
        )


def _kept(folder: Path, name: str, score: str | None, *, weights_only: bool = False) -> ModelCheckpoint:
    """One file, written anew when a round ends: the latest state, or the one with the best score."""
    return ModelCheckpoint(
        dirpath=folder,
        filename=name.removesuffix(".ckpt"),
        monitor=score,
        mode="max" if score else "min",
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=score is None,
        save_weights_only=weights_only,
        enable_version_counter=False,
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """Lightning answers Ctrl-C and SIGTERM by leaving the process, the latter as if all were well.

    Here whoever called is told, and Ctrl-C can be pressed again.
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    except SystemExit as left:
        if isinstance(left, SIGTERMException) or isinstance(left.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without its advertisements; what it warns of stays, but for what cannot matter here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for pattern in IRRELEVANT:
                warnings.filterwarnings("ignore", message=pattern)
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _note(trainer: pl.Trainer) -> str:
    seen = trainer.callback_metrics
    parts = [f"loss {float(seen['loss']):.3f}"] if "loss" in seen else []
    if SCORE in seen:
        parts.append(f"validation IoU {float(seen[SCORE]):.3f}")
    return ", ".join(parts)
