"""Confusion matrix and IoU, pixel by pixel and class by class."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def confusion_by_pixel(
    ground_truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int, predicted_ignore: str
) -> tuple[list[list[int]], list[int]]:
    """(confusion, excluded) as nested lists."""
    confusion = [[0] * (num_classes + 1) for _ in range(num_classes + 1)]
    excluded = [0] * (num_classes + 1)
    for true, predicted in zip(ground_truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if true == 255:
            continue
        if predicted == 255 and predicted_ignore == "exclude":
            excluded[true] += 1
        else:
            confusion[true][0 if predicted == 255 else predicted] += 1
    return confusion, excluded


def iou_by_class(confusion: NDArray[np.int64], absent: str) -> list[float]:
    """NaN where a class is left out."""
    values = []
    for index in range(len(confusion)):
        hit = int(confusion[index, index])
        missed = sum(int(confusion[index, other]) for other in range(len(confusion)) if other != index)
        wrong = sum(int(confusion[other, index]) for other in range(len(confusion)) if other != index)
        if absent == "ground_truth" and hit + missed == 0:
            values.append(math.nan)
        elif hit + missed + wrong == 0:
            values.append(0.0 if absent == "zero" else math.nan)
        else:
            values.append(hit / (hit + missed + wrong))
    return values
