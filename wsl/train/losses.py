"""Losses on image-level labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsl.train.settings import TrainSettings
from wsl.train.targets import compute_class_weights

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (B, O), targets (B, O) of 0 and 1 -> scalar


def build_loss(targets: NDArray[np.float32], settings: TrainSettings, device: torch.device) -> Loss:
    """Cross-entropy ("single") or the mean binary cross-entropy ("multi"), weighted by class if so set.

    targets: of all training images (B, O), for the class weights. Label smoothing s: targets become
    (1 - s) t + s / O ("single") or (1 - s) t + s / 2 ("multi").
    """
    weights: Tensor | None = None
    if settings.class_balance == "weights":
        weights = torch.from_numpy(compute_class_weights(targets, settings.label_mode)).to(device)
    smoothing = settings.label_smoothing

    def compute_single(logits: Tensor, wanted: Tensor) -> Tensor:
        labels = wanted.argmax(1)
        return functional.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)

    def compute_multi(logits: Tensor, wanted: Tensor) -> Tensor:
        smooth = wanted * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights)

    return compute_single if settings.label_mode == "single" else compute_multi
