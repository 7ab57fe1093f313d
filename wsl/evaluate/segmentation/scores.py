"""Named scores of label maps from a confusion matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wsl.errors import ConfigError
from wsl.evaluate.result import Score, compute_mean, to_optional
from wsl.evaluate.segmentation.confusion import (
    BACKGROUND_POLICIES,
    Confusion,
    Counts,
    Values,
    check_policy,
    compute_activation_errors,
    compute_coverage,
    compute_iou,
    compute_pixel_accuracy,
    compute_precision,
    compute_recall,
    divide,
)
from wsl.types import ClassSet

PROTOCOL = "segmentation: one confusion matrix over all images"
SHOWN_BACKGROUND = {"include": "in the mean", "exclude": "left out of the mean"}


def average_classes(values: Values, background: str = "include") -> float | None:
    """Mean over the classes of float64 (N+1,) that are not NaN; None when there is none.

    `background` says whether class 0 is in it: `include` (VOC's mIoU) or `exclude`.
    """
    check_policy(background, BACKGROUND_POLICIES, "background")
    return compute_mean(list(values if background == "include" else values[1:]))


def describe_policies(absent: str, predicted_ignore: str, background: str = "include") -> dict[str, str]:
    """The conventions that every score of label maps names."""
    check_policy(background, BACKGROUND_POLICIES, "background")
    return {
        "absent classes": absent,
        "background": SHOWN_BACKGROUND[background],
        "ground truth 255": "dropped",
        "predicted 255": predicted_ignore,
    }


def segmentation_score(
    confusion: Confusion,
    classes: ClassSet,
    absent: str = "skip",
    name: str = "mIoU",
    threshold: dict[str, Any] | None = None,
    curve: dict[str, list[float | None]] | None = None,
    background: str = "include",
) -> Score:
    """Mean IoU over background and classes, with IoU, precision, recall and error rates of each.

    `absent` as in `compute_iou`, `background` as in `average_classes`; `threshold` and `curve` are passed on.
    ConfigError when `classes` does not fit.
    """
    if len(classes) != confusion.num_classes:
        raise ConfigError(f"The confusion has {confusion.num_classes} classes, but {len(classes)} names are given.")
    return Score(
        name=name,
        value=average_classes(compute_iou(confusion.matrix, absent), background),
        protocol=PROTOCOL,
        conventions=describe_policies(absent, confusion.predicted_ignore, background),
        per_class=_class_measures(confusion.matrix, classes, absent),
        counts=_counts(confusion),
        threshold=threshold,
        curve=curve,
    )


def segmentation_scores(
    confusion: Confusion,
    classes: ClassSet,
    absent: str = "skip",
    threshold: dict[str, Any] | None = None,
    background: str = "include",
) -> list[Score]:
    """mIoU, mIoU of the foreground classes alone, pixel accuracy and coverage (also of each true class), in this order.

    `background` decides about the first alone: the second always leaves it out, the others always count its pixels.
    """
    mean = segmentation_score(confusion, classes, absent, threshold=threshold, background=background)
    foreground = average_classes(compute_iou(confusion.matrix, absent), "exclude")
    accuracy = compute_pixel_accuracy(confusion.matrix)
    true = confusion.matrix.sum(axis=1) + confusion.excluded
    coverage = compute_coverage(true, confusion.unsure)

    def beside(name: str, value: float | None, **extra: str) -> Score:
        conventions = describe_policies(absent, confusion.predicted_ignore) | extra
        return Score(name, value, PROTOCOL, conventions, counts=mean.counts, threshold=threshold)

    covered = replace(beside("coverage", coverage), per_class=_class_coverages(true, confusion.unsure, classes))

    return [
        mean,
        beside("mIoU foreground", foreground, background=SHOWN_BACKGROUND["exclude"]),
        beside("pixel accuracy", accuracy),
        covered,
    ]


def _class_coverages(true: Counts, unsure: Counts, classes: ClassSet) -> dict[str, dict[str, float | None]]:
    shares = divide(true - unsure, true)
    return {classes.name_of(index): {"coverage": to_optional(share)} for index, share in enumerate(shares)}


def _counts(confusion: Confusion) -> dict[str, int]:
    return {
        "images": confusion.images,
        "scored pixels": int(confusion.matrix.sum()),
        "pixels without ground truth": confusion.dropped,
        "excluded pixels": int(confusion.excluded.sum()),
        "predicted 255": int(confusion.unsure.sum()),
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
