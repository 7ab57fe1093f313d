"""Named scores of label maps from a confusion matrix."""

from __future__ import annotations

from typing import Any

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, compute_mean, to_optional
from wsl.evaluate.segmentation.confusion import (
    Confusion,
    Counts,
    compute_activation_errors,
    compute_coverage,
    compute_iou,
    compute_pixel_accuracy,
    compute_precision,
    compute_recall,
)
from wsl.types import ClassSet

PROTOCOL = "segmentation: one confusion matrix over all images"


def segmentation_score(
    confusion: Confusion,
    classes: ClassSet,
    absent: str = "skip",
    name: str = "mIoU",
    threshold: dict[str, Any] | None = None,
    curve: dict[str, list[float | None]] | None = None,
) -> Score:
    """Mean IoU over background and classes, with IoU, precision, recall and error rates of each.

    `absent` as in `compute_iou`; `threshold` and `curve` are passed on. ConfigError when `classes` does not fit.
    """
    if len(classes) != confusion.num_classes:
        raise ConfigError(f"The confusion has {confusion.num_classes} classes, but {len(classes)} names are given.")
    return Score(
        name=name,
        value=compute_mean(list(compute_iou(confusion.matrix, absent))),
        protocol=PROTOCOL,
        conventions=_conventions(confusion, absent),
        per_class=_class_measures(confusion.matrix, classes, absent),
        counts=_counts(confusion),
        threshold=threshold,
        curve=curve,
    )


def segmentation_scores(
    confusion: Confusion, classes: ClassSet, absent: str = "skip", threshold: dict[str, Any] | None = None
) -> list[Score]:
    """mIoU, mIoU of the foreground classes alone, pixel accuracy and coverage, in this order."""
    mean = segmentation_score(confusion, classes, absent, threshold=threshold)
    foreground = compute_mean(list(compute_iou(confusion.matrix, absent)[1:]))
    accuracy = compute_pixel_accuracy(confusion.matrix)
    coverage = compute_coverage(confusion.matrix, confusion.excluded)

    def beside(name: str, value: float | None, **extra: str) -> Score:
        return Score(name, value, PROTOCOL, mean.conventions | extra, counts=mean.counts, threshold=threshold)

    return [
        mean,
        beside("mIoU foreground", foreground, background="left out of the mean"),
        beside("pixel accuracy", accuracy),
        beside("coverage", coverage),
    ]


def _conventions(confusion: Confusion, absent: str) -> dict[str, str]:
    return {
        "absent classes": absent,
        "background": "in the mean",
        "ground truth 255": "dropped",
        "predicted 255": confusion.predicted_ignore,
    }


def _counts(confusion: Confusion) -> dict[str, int]:
    return {
        "images": confusion.images,
        "scored pixels": int(confusion.matrix.sum()),
        "pixels without ground truth": confusion.dropped,
        "excluded pixels": int(confusion.excluded.sum()),
    }


def _class_measures(matrix: Counts, classes: ClassSet, absent: str) -> dict[str, dict[str, float | None]]:
    over, under = compute_activation_errors(matrix)
    columns = {
        "iou": compute_iou(matrix, absent),
        "precision": compute_precision(matrix),
        "recall": compute_recall(matrix),
        "over_activation": over,
        "under_activation": under,
    }
    return {
        classes.name_of(index): {measure: to_optional(values[index]) for measure, values in columns.items()}
        for index in range(len(matrix))
    }
