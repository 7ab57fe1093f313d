"""From image-level labels to what the loss compares with, and how often each class is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsl.errors import DataError
from wsl.types import Sample

MAX_WEIGHT = 20.0  # a class seen once in 10,000 images must not rule the loss


def build_targets(
    samples: Sequence[Sample], num_classes: int, label_mode: str, background_output: bool
) -> NDArray[np.float32]:
    """Targets (B, O) of 0 and 1: column c is class_id c + 1, the last one the background if `background_output`.

    "single": exactly one 1 in each row. "multi": background-only images are rows of zeros.
    Raises DataError naming the first image whose label does not fit the mode.
    """
    targets = np.zeros((len(samples), num_classes + int(background_output)), np.float32)
    for row, sample in zip(targets, samples, strict=True):
        _check_label(sample, num_classes, label_mode, background_output)
        row[[class_id - 1 for class_id in sample.class_ids or ()]] = 1
        if not sample.class_ids and background_output:
            row[num_classes] = 1
    return targets


def _check_label(sample: Sample, num_classes: int, label_mode: str, background_output: bool) -> None:
    labels = sample.class_ids
    if labels is None:
        raise DataError(f"{sample.image_id}: training needs the image-level label of every image, this one has none.")
    if any(not 1 <= class_id <= num_classes for class_id in labels):
        raise DataError(f"{sample.image_id}: expected class ids in 1..{num_classes}, but got {labels}.")
    if label_mode == "single" and len(labels) > 1:
        raise DataError(f"{sample.image_id}: has {len(labels)} classes; set train.label_mode=multi.")
    if label_mode == "single" and not labels and not background_output:
        raise DataError(
            f"{sample.image_id}: has no class; background-only images need a background output "
            "or train.label_mode=multi."
        )


def compute_class_weights(targets: NDArray[np.float32], label_mode: str) -> NDArray[np.float32]:
    """Loss weights (O,) of the classes of targets (B, O), at most 20.

    "single": B / (P n_c) with P the number of classes that occur. "multi", on the positive images only:
    (B - n_c) / n_c. 1 for a class without images.
    """
    counts = targets.sum(0, dtype=np.float64)
    present = np.maximum(counts, 1)
    total = len(targets)
    raw = total / (max(1, (counts > 0).sum()) * present) if label_mode == "single" else (total - counts) / present
    return np.where(counts > 0, np.minimum(raw, MAX_WEIGHT), 1.0).astype(np.float32)


def compute_sample_weights(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (B,) of drawing each image: by the rarest class in it, 1 / n_c; images without any are a class."""
    columns = np.hstack([targets, targets.sum(1, keepdims=True) == 0]).astype(bool)
    counts = np.maximum(columns.sum(0), 1)
    weights = np.where(columns, 1 / counts, 0).max(1)
    return weights / weights.sum()


def plan_epoch(
    weights: NDArray[np.float64] | None, count: int, batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Batches of indices 0..count-1 for one epoch: each once in random order, or drawn with `weights` (count,).

    A last batch of one image is left out: batch norm cannot work with it.
    """
    generator = np.random.default_rng((seed, epoch))
    if weights is None:
        order = generator.permutation(count)
    else:
        order = generator.choice(count, size=count, replace=True, p=weights)
    batches = [order[start : start + batch_size].tolist() for start in range(0, count, batch_size)]
    return [batch for batch in batches if len(batch) > 1]
