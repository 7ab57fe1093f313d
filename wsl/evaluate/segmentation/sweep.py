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
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.confusion import Confusion, Counts, check_values, compute_iou
from wsl.evaluate.segmentation.level_counts import LevelCounter
from wsl.evaluate.segmentation.scores import average_classes, segmentation_score
from wsl.evaluate.segmentation.sweep_counts import ImageRows, SweepCounts, check_new_image, join_rows, make_image_rows
from wsl.seeds.background import compute_background
from wsl.seeds.labels import check_class_ids
from wsl.types import IGNORE, ClassSet, LabelMap, Scores

_LARGEST_FLOAT32_BITS = int(np.array([np.finfo(np.float32).max], np.float32).view(np.int32)[0])
_PARTS = 1300  # three rounds end the search: 1300^3 > 2^31


def find_critical_scores(rule: str, values: ArrayLike) -> NDArray[np.float32]:
    """For each value of a background rule the score that a pixel must exceed to be foreground, float32 (T,).

    Exact: found by dividing the ordered float32 numbers with the rule itself, so ties fall as in `label_from_scores`.
    """
    return np.array([_find_critical_score(rule, float(value)) for value in np.atleast_1d(values)], np.float32)


def _find_critical_score(rule: str, value: float) -> np.float32:
    low, high = 0, _LARGEST_FLOAT32_BITS  # bit patterns of non-negative float32 are in the order of the numbers
    while high - low > 1:
        places = low + (high - low) * np.arange(_PARTS + 1, dtype=np.int64) // _PARTS
        scores = places.astype(np.int32).view(np.float32)
        is_foreground = scores > compute_background(scores[None, None], rule, value)[0]
        is_foreground[0], is_foreground[-1] = False, True  # known from the round before; the largest number exceeds all
        first = int(np.argmax(is_foreground))
        low, high = int(places[first - 1]), int(places[first])
    return np.float32(np.array([low], np.int32).view(np.float32)[0])


class BackgroundSweep:
    """Confusion matrices for a whole list of background values; score maps go in once.

    `thresholds` are the values of the background `rule`: `constant` (a score; IRN: foreground iff
    max > float32(t), first class on equal scores) or `power` (the exponent of (1 - max)^t). `keep_images` keeps the
    counts of every image too, (K + 1) x T x 2 x 4 bytes or so for an image of K classes; see `image_curves`.
    """

    def __init__(
        self, num_classes: int, thresholds: ArrayLike, rule: str = "constant", keep_images: bool = False
    ) -> None:
        self.num_classes = num_classes
        self.rule = rule
        self.thresholds = [float(value) for value in np.atleast_1d(thresholds)]
        if not self.thresholds:
            raise ConfigError("thresholds: expected at least one, but got none.")
        critical = find_critical_scores(rule, self.thresholds)
        self._levels, self._place = np.unique(critical, return_inverse=True)
        self._counter = LevelCounter(self._levels)
        shape = (num_classes + 1, num_classes + 1, len(self._levels) + 1)
        self._histogram: Counts = np.zeros(shape, np.int64)  # true class, best class, number of levels exceeded
        self._images = 0
        self._dropped = 0
        self._rows: dict[str, ImageRows] | None = {} if keep_images else None

    def update(self, scores: Scores, class_ids: Sequence[int], ground_truth: LabelMap, name: str = "") -> None:
        """Adds one image: `scores` floating (K, H, W) for `class_ids` in 1..N, `ground_truth` uint8 (H, W).

        K = 0 means that the image is background at every threshold. DataError when sizes differ, scores are not
        finite, ids are outside 1..N or the ground truth holds other values than 0..N and 255.
        """
        self._check(scores, class_ids, ground_truth, name)
        counts, columns = self._count(scores.astype(np.float32, copy=False), class_ids, ground_truth)
        pixels = counts.sum(axis=(1, 2))
        check_values(pixels, self.num_classes, f"{name}: ground truth" if name else "ground truth")
        counts = counts[: self.num_classes + 1]
        if self._rows is not None:
            check_new_image(name, self._rows)
            self._rows[name] = make_image_rows(counts, columns)
        self._histogram[:, columns] += counts
        self._images += 1
        self._dropped += int(pixels[IGNORE])

    def merge(self, other: BackgroundSweep) -> None:
        """Adds the counts of `other`, a sweep over the same classes, thresholds and rule."""
        if self._settings() != other._settings():
            raise ConfigError("Only sweeps over the same classes, rule and thresholds can be joined.")
        if self._rows is not None and other._rows is not None:
            for name in other._rows:
                check_new_image(name, self._rows)
            self._rows |= other._rows
        self._histogram += other._histogram
        self._images += other._images
        self._dropped += other._dropped

    def image_curves(self) -> SweepCounts:
        """The counts of every image; their sums are those of `confusions`. ConfigError without `keep_images`."""
        if self._rows is None:
            raise ConfigError("This sweep kept no counts per image; make it with keep_images=True.")
        return join_rows(self._rows, self._place, self.thresholds)

    def confusions(self) -> Counts:
        """int64 (T, N+1, N+1) in the order of `thresholds`; rows ground truth, columns predictions."""
        exceeded = np.cumsum(self._histogram[:, :, ::-1], axis=2)[:, :, ::-1]  # pixels that exceed >= j levels
        matrices = np.moveaxis(exceeded[:, :, 1:], 2, 0)[self._place].copy()
        matrices[:, :, 0] = 0
        matrices[:, :, 0] = self._histogram.sum(axis=(1, 2)) - matrices.sum(axis=2)
        return matrices

    def best(self, classes: ClassSet | None = None, absent: str = "skip", background: str = "include") -> Score:
        """mIoU at the threshold that is best on these very images (the first on equal scores), with the curve.

        Marked as oracle: it is an upper bound, not what the method reaches without ground truth.
        """
        curve = self.curve(absent, background)
        ranks = [-1.0 if value is None else value for value in curve]
        return self._score(int(np.argmax(ranks)), "oracle", classes, (absent, background), curve)

    def at(
        self,
        threshold: float,
        provenance: str,
        classes: ClassSet | None = None,
        absent: str = "skip",
        background: str = "include",
    ) -> Score:
        """mIoU at one of the swept thresholds; `provenance` says how it was chosen (fixed, val, label_free)."""
        near = np.flatnonzero(np.asarray(self.thresholds, np.float32) == np.float32(threshold))
        if not len(near):
            raise DataError(f"threshold {threshold:g} was not swept; expected one of {self._show_thresholds()}.")
        curve = self.curve(absent, background)
        return self._score(int(near[0]), provenance, classes, (absent, background), curve)

    def curve(self, absent: str = "skip", background: str = "include") -> list[float | None]:
        """mIoU at each threshold; `absent` as in `compute_iou`, `background` as in `average_classes`."""
        return [average_classes(compute_iou(matrix, absent), background) for matrix in self.confusions()]

    def _score(
        self,
        index: int,
        provenance: str,
        classes: ClassSet | None,
        policies: tuple[str, str],
        curve: list[float | None],
    ) -> Score:
        confusion = Confusion(self.num_classes)
        confusion.matrix = self.confusions()[index]
        confusion.images, confusion.dropped = self._images, self._dropped
        names = classes or ClassSet(tuple(f"class {index}" for index in range(1, self.num_classes + 1)))
        threshold = {"value": self.thresholds[index], "provenance": provenance, "rule": self.rule}
        columns: dict[str, list[float | None]] = {"threshold": list(self.thresholds), "miou": curve}
        absent, background = policies
        return segmentation_score(confusion, names, absent, "mIoU of score maps", threshold, columns, background)

    def _count(self, scores: Scores, class_ids: Sequence[int], truth: LabelMap) -> tuple[Counts, list[int]]:
        """(histogram (256, K, L+1) of one image, the class of each of its columns)."""
        if len(scores):
            return self._counter.count(scores, truth), list(class_ids)
        counts = np.zeros((256, 1, len(self._levels) + 1), np.int64)
        counts[:, 0, 0] = np.bincount(truth.ravel(), minlength=256)
        return counts, [0]

    def _settings(self) -> tuple[object, ...]:
        return self.num_classes, self.rule, self.thresholds, self._rows is not None

    def _check(self, scores: Scores, class_ids: Sequence[int], ground_truth: LabelMap, name: str) -> None:
        prefix = f"{name}: " if name else ""
        check_scores(scores, f"{prefix}scores")
        check_label_map(ground_truth, f"{prefix}ground truth")
        check_same_size(scores[0] if len(scores) else ground_truth, ground_truth, f"{prefix}score map", "ground truth")
        check_class_ids(class_ids, len(scores))
        if any(class_id > self.num_classes for class_id in class_ids):
            raise DataError(f"{prefix}class_ids: expected ids in 1..{self.num_classes}, but got {tuple(class_ids)}.")

    def _show_thresholds(self) -> str:
        shown = ", ".join(f"{value:g}" for value in self.thresholds[:10])
        return shown + (f", ... ({len(self.thresholds)} in all)" if len(self.thresholds) > 10 else "")
