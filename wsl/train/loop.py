"""Training a classifier from image-level labels, so that a killed training ends as if it had not been killed.

All randomness of an epoch comes from (seed, epoch, image), the state is written after each epoch, and the order of
the writes is: best.safetensors, last.pt, log.jsonl. Only last.pt decides where to go on. Killed between the first
two, the epoch is trained again and writes the same best.safetensors; the log is always written from last.pt's history.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsl.errors import ConfigError, DataError, ModelError
from wsl.files import remove_leftovers, write_bytes
from wsl.models.checkpoint import CheckpointMeta, save_checkpoint
from wsl.models.classifier import Classifier
from wsl.progress import Progress
from wsl.train.augment import CROP_MARGIN, augment_image, centre_image
from wsl.train.history import find_best, format_history, list_metrics, score_epoch
from wsl.train.images import ImageStore, load_batches
from wsl.train.losses import Loss, build_loss
from wsl.train.optimizer import build_optimizer, compute_learning_rate_factor, freeze_batch_norm, set_learning_rate
from wsl.train.precision import choose_dtype
from wsl.train.resume import TrainState, compute_fingerprint, load_state, save_state
from wsl.train.settings import TrainSettings
from wsl.train.targets import build_targets, compute_sample_weights, plan_epoch
from wsl.types import ClassSet, Image, Sample
from wsl.version import __version__

log = logging.getLogger("wsl")

BEST, LAST, LOG = "best.safetensors", "last.pt", "log.jsonl"


@dataclass(frozen=True)
class TrainResult:
    """best_epoch counts from 1; metrics are that epoch's; failures are (image_id, message) of unreadable images."""

    best_epoch: int
    metrics: dict[str, float | None]
    failures: tuple[tuple[str, str], ...]


def train_classifier(
    classifier: Classifier,
    train_samples: Sequence[Sample],
    val_samples: Sequence[Sample],
    settings: TrainSettings,
    *,
    classes: ClassSet,
    background_output: bool,
    folder: Path,
    device: torch.device,
    progress: Progress,
) -> TrainResult:
    """Trains `classifier` in place and leaves the best state in `folder`/best.safetensors.

    Best is the highest validation accuracy ("single") or mean average precision ("multi"), with the lower loss
    deciding ties; without validation images the last epoch. `folder` also gets last.pt (to go on from) and
    log.jsonl (a line per epoch). Goes on by itself when `folder` holds an unfinished training of the same settings.
    Unreadable images are skipped and returned as failures.

    Raises DataError for unfit labels or when no image can be read, ModelError when the loss is not finite,
    ConfigError when `folder` holds a training with other settings.
    """
    if len(train_samples) < 2:
        raise DataError(f"Expected at least 2 training images, but got {len(train_samples)}.")
    if classifier.num_outputs != len(classes) + int(background_output):
        raise ConfigError(
            f"Expected {len(classes) + int(background_output)} outputs for {len(classes)} classes"
            f"{' and the background' if background_output else ''}, but the classifier has {classifier.num_outputs}."
        )
    if background_output and settings.label_mode == "multi":
        raise ConfigError("A background output goes with train.label_mode=single; in multi such images are all zeros.")
    trainer = Trainer(classifier, train_samples, val_samples, settings, classes, background_output, folder, device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        trainer.run(progress)
    return trainer.result()


class Trainer:
    """The parts of one training run, held together for the time of the run."""

    def __init__(
        self,
        classifier: Classifier,
        train_samples: Sequence[Sample],
        val_samples: Sequence[Sample],
        settings: TrainSettings,
        classes: ClassSet,
        background_output: bool,
        folder: Path,
        device: torch.device,
    ) -> None:
        self.settings, self.classes, self.folder, self.device = settings, classes, folder, device
        self.background_output = background_output
        mode = settings.label_mode
        self.targets = build_targets(train_samples, len(classes), mode, background_output)
        self.val_targets = build_targets(val_samples, len(classes), mode, background_output)
        self.draw_weights = compute_sample_weights(self.targets) if settings.class_balance == "sampler" else None
        margin = CROP_MARGIN if "crop" in settings.augment else 1.0
        self.train_images = ImageStore(train_samples, round(settings.image_size * margin), settings.resize)
        self.val_images = ImageStore(val_samples, settings.image_size, settings.resize)
        self.classifier = classifier.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.freeze_batch_norm:
            freeze_batch_norm(classifier)
        self.optimizer = build_optimizer(classifier, settings)
        self.dtype = choose_dtype(settings.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.loss: Loss = build_loss(self.targets, settings, device)
        self.fingerprint = compute_fingerprint(classifier, settings, train_samples, val_samples)
        self.state = TrainState()

    def run(self, progress: Progress) -> None:
        """Trains the epochs that are left."""
        remove_leftovers(self.folder)
        self._go_on()
        self._warn_of_unseen_classes()
        steps = len(self._plan(0))
        left = range(len(self.state.history), self.settings.epochs)
        progress.start("train", len(left) * steps)
        try:
            for epoch in left:
                loss = self._train_epoch(epoch, progress)
                self._record(epoch, loss, steps)
                self._write()
        finally:
            progress.stop()

    def result(self) -> TrainResult:
        """The best epoch so far, with everything that could not be read."""
        best = self._find_best()
        record = self.state.history[best]
        return TrainResult(best + 1, list_metrics(record), tuple(sorted(self.state.failures.items())))

    def _go_on(self) -> None:
        # without the best weights the history is worth nothing: train anew
        if (self.folder / LAST).is_file() and (self.folder / BEST).is_file():
            self.state = load_state(self.folder / LAST, self.classifier, self.optimizer, self.fingerprint)
            if self.state.scaler:
                self.scaler.load_state_dict(self.state.scaler)
            self.train_images.failures |= self.state.failures
            self.val_images.failures |= self.state.failures
            self._write_log()

    def _warn_of_unseen_classes(self) -> None:
        for name, count in zip(self.classes.names, self.targets.sum(0), strict=False):
            if count == 0:
                log.warning("No training image has the class '%s'.", name)

    def _plan(self, epoch: int) -> list[list[int]]:
        settings = self.settings
        return plan_epoch(self.draw_weights, len(self.targets), settings.batch_size, settings.seed, epoch)

    def _train_epoch(self, epoch: int, progress: Progress) -> float:
        torch.manual_seed(_mix(self.settings.seed, epoch))
        self.classifier.train()
        if self.settings.freeze_batch_norm:
            freeze_batch_norm(self.classifier)
        plan = self._plan(epoch)
        total, images = 0.0, 0
        for step, (indices, batch) in enumerate(self._training_batches(plan, epoch)):
            if len(indices) > 1:  # batch norm cannot work with one image
                self._set_rate(epoch * len(plan) + step, len(plan))
                loss = self._step(batch, self.targets[indices], epoch)
                total, images = total + loss * len(indices), images + len(indices)
            progress.step(note=f"epoch {epoch + 1}/{self.settings.epochs}, loss {total / max(1, images):.3f}")
        if images == 0:
            reasons = [*self.train_images.failures.values(), "all batches have fewer than two readable images"]
            raise DataError(f"None of {len(self.targets)} training images can be used; the first: {reasons[0]}")
        return total / images

    def _training_batches(
        self, plan: list[list[int]], epoch: int
    ) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:  # fmt: skip
        settings = self.settings

        def prepare(index: int) -> Image | None:
            image = self.train_images.read(index)
            if image is None:
                return None
            generator = np.random.default_rng((settings.seed, epoch, index))
            return augment_image(
                image, image_size=settings.image_size, resize=settings.resize, augment=settings.augment,
                generator=generator,
            )  # fmt: skip

        return load_batches(plan, prepare, settings.workers)

    def _set_rate(self, step: int, steps_per_epoch: int) -> None:
        set_learning_rate(self.optimizer, self._factor(step, steps_per_epoch))

    def _factor(self, step: int, steps_per_epoch: int) -> float:
        settings = self.settings
        total, warmup = settings.epochs * steps_per_epoch, settings.warmup_epochs * steps_per_epoch
        return compute_learning_rate_factor(step, total, warmup, settings.schedule)

    def _step(self, batch: NDArray[np.uint8], targets: NDArray[np.float32], epoch: int) -> float:
        logits = self._forward(batch)
        loss = self.loss(logits, torch.from_numpy(targets).to(self.device))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ModelError(
                f"The training loss became {value} in epoch {epoch + 1}; lower train.learning_rate "
                f"(now {self.settings.learning_rate:g}) or train.head_learning_rate_factor, or set "
                "train.precision=float32."
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value

    def _forward(self, batch: NDArray[np.uint8]) -> Tensor:
        x = normalise_images(batch, self.classifier, self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.classifier(x)
        return logits.float()

    @torch.inference_mode()
    def _validate(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (B, O) and targets (B, O) of the validation images that can be read."""
        self.classifier.eval()
        size, settings = self.settings.batch_size, self.settings
        count = len(self.val_targets)
        plan = [list(range(start, min(start + size, count))) for start in range(0, count, size)]

        def prepare(index: int) -> Image | None:
            image = self.val_images.read(index)
            if image is None:
                return None
            return centre_image(image, image_size=settings.image_size, resize=settings.resize)

        logits, targets = [np.zeros((0, self.classifier.num_outputs), np.float32)], [self.val_targets[:0]]
        for indices, batch in load_batches(plan, prepare, settings.workers):
            if indices:
                logits.append(self._forward(batch).cpu().numpy())
                targets.append(self.val_targets[indices])
        return np.concatenate(logits), np.concatenate(targets)

    def _record(self, epoch: int, loss: float, steps: int) -> None:
        rate = self.settings.learning_rate * self._factor((epoch + 1) * steps - 1, steps)
        record: dict[str, Any] = {"epoch": epoch + 1, "learning_rate": rate, "loss": loss}
        logits, targets = self._validate()
        if len(targets):
            with torch.inference_mode():
                val_loss = self.loss(
                    torch.from_numpy(logits).to(self.device), torch.from_numpy(targets).to(self.device)
                )
            record |= score_epoch(logits, targets, float(val_loss), self.settings.label_mode, self.classes)
        self.state.history.append(record)
        self.state.failures |= self.train_images.failures | self.val_images.failures
        self.state.scaler = self.scaler.state_dict()

    def _write(self) -> None:
        if self._find_best() == len(self.state.history) - 1:
            save_checkpoint(self.folder / BEST, self.classifier, self._meta())
        save_state(self.folder / LAST, self.classifier, self.optimizer, self.state, self.fingerprint)
        self._write_log()

    def _find_best(self) -> int:
        return find_best(self.state.history, self.settings.label_mode)

    def _write_log(self) -> None:
        write_bytes(self.folder / LOG, format_history(self.state.history))

    def _meta(self) -> CheckpointMeta:
        return CheckpointMeta(
            model=self.classifier.name,
            output_stride=self.classifier.output_stride,
            head=self.classifier.head,
            class_names=self.classes.names,
            background_name=self.classes.background_name,
            background_output=self.background_output,
            label_mode=self.settings.label_mode,
            image_size=self.settings.image_size,
            resize=self.settings.resize,
            wsl_version=__version__,
            metrics=list_metrics(self.state.history[-1]),
        )


def normalise_images(batch: NDArray[np.uint8], classifier: Classifier, device: torch.device) -> Tensor:
    """uint8 (B, H, W, 3) RGB -> float32 (B, 3, H, W) with the classifier's mean and std, channels-last in memory."""
    x = torch.from_numpy(batch).to(device, non_blocking=True).permute(0, 3, 1, 2).float()
    mean = torch.tensor(classifier.mean, device=device).mul_(255).view(1, 3, 1, 1)
    std = torch.tensor(classifier.std, device=device).mul_(255).view(1, 3, 1, 1)
    return x.sub_(mean).div_(std)


def _mix(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> 1)
