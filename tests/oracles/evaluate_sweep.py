"""Background sweep as it is usually written: the whole data set once per threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.oracles.evaluate_confusion import confusion_by_pixel

Sweep = Sequence[tuple[NDArray[np.float32], Sequence[int], NDArray[np.uint8]]]


def predict_by_argmax(scores: NDArray[np.float32], class_ids: Sequence[int], rule: str, value: float) -> NDArray:
    """Argmax over [background, scores...] in float32; ties fall to the first, so to the background."""
    if len(scores) == 0:
        return np.zeros(scores.shape[1:], np.uint8)
    best = scores.max(axis=0)
    if rule == "constant":
        background = np.full(best.shape, value, np.float32)
    else:
        background = np.power(np.clip(np.float32(1) - best, 0, 1), np.float32(value))
    keys = np.array([0, *class_ids], np.uint8)
    return keys[np.argmax(np.concatenate([background[None], scores]), axis=0)]


def confusions_by_threshold(images: Sweep, num_classes: int, rule: str, values: Sequence[float]) -> NDArray[np.int64]:
    """int64 (T, N+1, N+1)."""
    result = np.zeros((len(values), num_classes + 1, num_classes + 1), np.int64)
    for index, value in enumerate(values):
        for scores, class_ids, ground_truth in images:
            predicted = predict_by_argmax(scores, class_ids, rule, value)
            result[index] += np.array(confusion_by_pixel(ground_truth, predicted, num_classes, "background")[0])
    return result
