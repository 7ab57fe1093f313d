"""The numbers of a training run, checked where they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wsl.errors import ConfigError, suggest
from wsl.models.classifier import LABEL_MODES

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "poly")
CLASS_BALANCES = ("none", "weights", "sampler")
AUGMENTATIONS = ("hflip", "vflip", "crop", "color", "rotate90")
RESIZES = ("stretch", "crop")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainSettings:
    """How a classifier is trained from image-level labels.

    image_size: side of the square training images in pixels. label_mode: "single" (softmax) or "multi" (one sigmoid
    per class). head_learning_rate_factor: learning rate of the class head over that of the rest. warmup_epochs:
    linear rise of the learning rate, in (parts of) epochs. class_balance: "weights" in the loss, "sampler" draws
    rare classes more often. augment: any of hflip, vflip, crop (random resized crop), color, rotate90 (quarter
    turns). resize: "stretch" the whole image to the square, or resize the short side and "crop". precision: "auto" is
    float32 on the CPU and bfloat16 (where there is none, float16) on CUDA. freeze_batch_norm: keep the statistics
    and affine values of batch norm. workers: threads that prepare images; the result does not depend on it.
    """

    epochs: int = 12
    batch_size: int = 16
    image_size: int = 288
    label_mode: str = "single"
    optimizer: str = "adamw"
    learning_rate: float = 5e-4
    head_learning_rate_factor: float = 10.0
    weight_decay: float = 1e-2
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    class_balance: str = "none"
    augment: tuple[str, ...] = ("hflip", "crop", "color")
    resize: str = "stretch"
    precision: str = "auto"
    freeze_batch_norm: bool = False
    label_smoothing: float = 0.0
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for key, fits, expected in _RULES:
            value = getattr(self, key)
            if not _holds(fits, value):
                raise ConfigError(f"train.{key}: expected {expected}, but got {value!r}.")
        for key, choices in _CHOICES.items():
            _check_choice(key, getattr(self, key), choices)
        for name in self.augment:
            _check_choice("augment", name, AUGMENTATIONS)
        if len(set(self.augment)) != len(self.augment):
            raise ConfigError(f"train.augment: expected every name once, but got {self.augment}.")


_RULES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("epochs", lambda value: value >= 1, "at least 1"),
    ("batch_size", lambda value: value >= 2, "at least 2 (batch norm needs two images)"),
    ("image_size", lambda value: 16 <= value <= 8192, "a side of 16 to 8192 pixels"),
    ("learning_rate", lambda value: 0 < value <= 100, "a number above 0"),
    ("head_learning_rate_factor", lambda value: 0 < value <= 1e4, "a number above 0"),
    ("weight_decay", lambda value: 0 <= value <= 1, "a number from 0 to 1"),
    ("momentum", lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    ("warmup_epochs", lambda value: 0 <= value <= 1e6, "a number of epochs from 0"),
    ("label_smoothing", lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    ("workers", lambda value: 0 <= value <= 256, "0 to 256 threads"),
    ("seed", lambda value: 0 <= value < 2**32, "an integer from 0 to 2**32 - 1"),
)
_CHOICES: dict[str, tuple[str, ...]] = {
    "label_mode": LABEL_MODES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "class_balance": CLASS_BALANCES,
    "resize": RESIZES,
    "precision": PRECISIONS,
}


def _holds(fits: Callable[[Any], bool], value: Any) -> bool:
    try:
        return fits(value)
    except TypeError:
        return False


def _check_choice(key: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"train.{key}: unknown value '{value}'.{suggest(str(value), choices)}")
