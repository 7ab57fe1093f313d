"""Every background threshold in one pass: the pixels are read once, whatever the number of thresholds.

A pixel is foreground as long as the background score stays below its best class score. The rules of
`wsl.seeds.background` change in one direction with their value, so the number of values under which a pixel is
foreground says all; a histogram of that number per (true class, best class) holds the confusion matrix of every
threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.checks import check_label_map, check_same_size, check_scores
from wsl.errors import ConfigError, DataError
from wsl.evaluate.result import Score, compute_mean
from wsl.evaluate.segmentation.confusion import Confusion, Counts, compute_iou
from wsl.evaluate.segmentation.scores import segmentation_score
from wsl.seeds.background import compute_background
from wsl.seeds.labels import check_class_ids
from wsl.types import IGNORE, ClassSet, LabelMap, Scores

_LARGEST_FLOAT32_BITS = int(np.array([np.finfo(np.float32).max], np.float32).view(np.int32)[0])


def find_critical_scores(rule: str, values: ArrayLike) -> NDArray[np.float32]:
    """For each value of a background rule the score that a pixel must exceed to be foreground, float32 (T,).

    Exact: found by halving the ordered float32 numbers with the rule itself, so ties fall as in `label_from_scores`.
    """
    return np.array([_find_critical_score(rule, float(value)) for value in np.atleast_1d(values)], np.float32)


def _find_critical_score(rule: str, value: float) -> np.float32:
    low, high = 0, _LARGEST_FLOAT32_BITS  # bit patterns of non-negative float32 are in the order of the numbers
    while high - low > 1:
        middle = (low + high) // 2
        score = np.array([middle], np.int32).view(np.float32)
        is_foreground = score[0] > compute_background(score[None, None], rule, value)[0, 0]
        low, high = (low, middle) if is_foreground else (middle, high)
    return np.float32(np.array([low], np.int32).view(np.float32)[0])


class BackgroundSweep:
    """Confusion matrices for a whole list of background values; score maps go in once.

    `thresholds` are the values of the background `rule`: `constant` (a score; IRN: foreground iff
    max > float32(t), first class on equal scores) or `power` (the exponent of (1 - max)^t).
    """

    def __init__(self, num_classes: int, thresholds: ArrayLike, rule: str = "constant") -> None:
        self.num_classes = num_classes
        self.rule = rule
        self.thresholds = [float(value) for value in np.atleast_1d(thresholds)]
        if not self.thresholds:
            raise ConfigError("thresholds: expected at least one, but got none.")
        critical = find_critical_scores(rule, self.thresholds)
        self._levels, self._place = np.unique(critical, return_inverse=True)
        shape = (num_classes + 1, num_classes + 1, len(self._levels) + 1)
        self._histogram: Counts = np.zeros(shape, np.int64)  # true class, best class, number of levels exceeded
        self._images = 0
        self._dropped = 0

    def update(self, scores: Scores, class_ids: Sequence[int], ground_truth: LabelMap, name: str = "") -> None:
        """Adds one image: `scores` floating (K, H, W) for `class_ids` in 1..N, `ground_truth` uint8 (H, W).

        K = 0 means that the image is background at every threshold. DataError when sizes differ, scores are not
        finite, ids are outside 1..N or the ground truth holds other values than 0..N and 255.
        """
        self._check(scores, class_ids, ground_truth, name)
        true = np.minimum(ground_truth, self.num_classes + 1).astype(np.intp)
        counts, columns = self._count(scores.astype(np.float32, copy=False), class_ids, true)
        self._histogram[:, columns] += counts[: self.num_classes + 1]
        self._images += 1
        self._dropped += int((ground_truth == IGNORE).sum())

    def merge(self, other: BackgroundSweep) -> None:
        """Adds the counts of `other`, a sweep over the same classes, thresholds and rule."""
        mine = (self.num_classes, self.rule, self.thresholds)
        if mine != (other.num_classes, other.rule, other.thresholds):
            raise ConfigError("Only sweeps over the same classes, rule and thresholds can be joined.")
        self._histogram += other._histogram
        self._images += other._images
        self._dropped += other._dropped

    def confusions(self) -> Counts:
        """int64 (T, N+1, N+1) in the order of `thresholds`; rows ground truth, columns predictions."""
        exceeded = np.cumsum(self._histogram[:, :, ::-1], axis=2)[:, :, ::-1]  # pixels that exceed >= j levels
        matrices = np.moveaxis(exceeded[:, :, 1:], 2, 0)[self._place].copy()
        matrices[:, :, 0] = 0
        matrices[:, :, 0] = self._histogram.sum(axis=(1, 2)) - matrices.sum(axis=2)
        return matrices

    def best(self, classes: ClassSet | None = None, absent: str = "skip") -> Score:
        """mIoU at the threshold that is best on these very images (the first on equal scores), with the curve.

        Marked as oracle: it is an upper bound, not what the method reaches without ground truth.
        """
        curve = self.curve(absent)
        ranks = [-1.0 if value is None else value for value in curve]
        return self._score(int(np.argmax(ranks)), "oracle", classes, absent, curve)

    def at(self, threshold: float, provenance: str, classes: ClassSet | None = None, absent: str = "skip") -> Score:
        """mIoU at one of the swept thresholds; `provenance` says how it was chosen (fixed, val, label_free)."""
        near = np.flatnonzero(np.asarray(self.thresholds, np.float32) == np.float32(threshold))
        if not len(near):
            raise DataError(f"threshold {threshold:g} was not swept; expected one of {self._show_thresholds()}.")
        return self._score(int(near[0]), provenance, classes, absent, self.curve(absent))

    def curve(self, absent: str = "skip") -> list[float | None]:
        """mIoU at each threshold."""
        return [compute_mean(list(compute_iou(matrix, absent))) for matrix in self.confusions()]

    def _score(
        self, index: int, provenance: str, classes: ClassSet | None, absent: str, curve: list[float | None]
    ) -> Score:
        confusion = Confusion(self.num_classes)
        confusion.matrix = self.confusions()[index]
        confusion.images, confusion.dropped = self._images, self._dropped
        names = classes or ClassSet(tuple(f"class {index}" for index in range(1, self.num_classes + 1)))
        threshold = {"value": self.thresholds[index], "provenance": provenance, "rule": self.rule}
        columns: dict[str, list[float | None]] = {"threshold": list(self.thresholds), "miou": curve}
        return segmentation_score(confusion, names, absent, "mIoU of score maps", threshold, columns)

    def _count(self, scores: Scores, class_ids: Sequence[int], true: NDArray[np.intp]) -> tuple[Counts, list[int]]:
        """(histogram (N+2, K, T+1) of one image, the class of each of its columns); row N+1 is 255."""
        bins = len(self._levels) + 1
        if len(scores) == 0:
            counts = np.zeros((self.num_classes + 2, 1, bins), np.int64)
            counts[:, 0, 0] = np.bincount(true.ravel(), minlength=self.num_classes + 2)
            return counts, [0]
        exceeded = np.searchsorted(self._levels, scores.max(axis=0), side="left")
        index = (true * len(scores) + scores.argmax(axis=0)) * bins + exceeded
        shape = (self.num_classes + 2, len(scores), bins)
        return np.bincount(index.ravel(), minlength=int(np.prod(shape))).reshape(shape), list(class_ids)

    def _check(self, scores: Scores, class_ids: Sequence[int], ground_truth: LabelMap, name: str) -> None:
        prefix = f"{name}: " if name else ""
        check_scores(scores, f"{prefix}scores")
        check_label_map(ground_truth, f"{prefix}ground truth")
        check_same_size(scores[0] if len(scores) else ground_truth, ground_truth, f"{prefix}score map", "ground truth")
        check_class_ids(class_ids, len(scores))
        if any(class_id > self.num_classes for class_id in class_ids):
            raise DataError(f"{prefix}class_ids: expected ids in 1..{self.num_classes}, but got {tuple(class_ids)}.")
        wrong = ground_truth[(ground_truth > self.num_classes) & (ground_truth != IGNORE)]
        if wrong.size:
            raise DataError(f"{prefix}ground truth: expected 0..{self.num_classes} and 255, but found {wrong[0]}.")

    def _show_thresholds(self) -> str:
        shown = ", ".join(f"{value:g}" for value in self.thresholds[:10])
        return shown + (f", ... ({len(self.thresholds)} in all)" if len(self.thresholds) > 10 else "")
