"""mIoU at every background threshold for any weighting of the images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.evaluate.certainty.checks import check_thresholds, to_weights
from wsl.evaluate.certainty.grouped_sums import RowGroups
from wsl.evaluate.certainty.segmentation_table import (
    SegmentationTable,
    check_segmentation_policies,
    check_segmentation_rows,
    find_truth,
    mean_iou,
)
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values
from wsl.evaluate.certainty.threshold_choice import find_best, find_threshold, parse_threshold
from wsl.evaluate.segmentation.confusion import compute_iou_of_counts
from wsl.evaluate.segmentation.scores import average_classes


@dataclass(frozen=True, eq=False)
class SweepTable(StoredTable):
    """As `SegmentationTable`, with `predicted` and `hit` int (R, T) at each of `thresholds` floating (T,).

    `threshold` is "fixed:<value>", "oracle" (the best on the whole set, the first on equal scores, kept for every
    weighting) or "oracle_each" (chosen anew under each weighting).
    """

    kind: ClassVar[str] = "sweep"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    true: Integers
    predicted: Integers
    hit: Integers
    thresholds: NDArray[np.floating]
    num_classes: int
    threshold: str = "oracle"
    absent: str = "skip"
    background: str = "include"

    def __post_init__(self) -> None:
        check_thresholds(self.kind, self.thresholds, self.predicted)
        check_segmentation_rows(self, self.num_classes, self.true, self.predicted, self.hit)
        check_segmentation_policies(self.absent, self.background, "background")
        value = parse_threshold(self.threshold)
        if value is not None:
            find_threshold(self.thresholds, value)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """0..N."""
        return tuple(range(self.num_classes + 1))

    def measure(self, weights: ArrayLike) -> Values:
        """mIoU, float64 (B,), under weights (B, n)."""
        if self.threshold != "oracle_each":
            return self.at_chosen().measure(weights)
        curve = mean_iou(self._class_curves(weights), self.background)
        return np.take_along_axis(curve, find_best(curve)[:, None], axis=1)[:, 0]

    def measure_classes(self, weights: ArrayLike) -> Values:
        """IoU of each class, float64 (B, N+1), NaN where left out of the mean."""
        if self.threshold != "oracle_each":
            return self.at_chosen().measure_classes(weights)
        iou = self._class_curves(weights)
        best = find_best(mean_iou(iou, self.background))
        return iou[np.arange(len(iou)), best]

    @cached_property
    def chosen(self) -> int:
        """Position of the threshold: the given one, or the best for all images with equal weights."""
        value = parse_threshold(self.threshold)
        if value is not None:
            return find_threshold(self.thresholds, value)
        iou = self._class_curves(np.ones((1, len(self.image_ids))))[0]
        # rounded as in `BackgroundSweep.best`, so that both take the same of equal scores
        ranks = [average_classes(row, self.background) for row in iou]
        return int(np.argmax([-1.0 if value is None else value for value in ranks]))

    def at_chosen(self) -> SegmentationTable:
        """The table of the chosen threshold alone."""
        return SegmentationTable(
            self.image_ids, self.row_image, self.row_class, self.true,
            self.predicted[:, self.chosen], self.hit[:, self.chosen], self.num_classes, self.absent, self.background,
        )  # fmt: skip

    def truth(self) -> NDArray[np.int64] | None:
        """(image, class, true pixels) of the classes that are in an image."""
        return find_truth(self.row_image, self.row_class, self.true, "background")

    def for_swapping(self) -> SegmentationTable:
        """The table at the chosen threshold: that of one run means nothing for the maps of another."""
        return self.at_chosen()

    def _class_curves(self, weights: ArrayLike) -> Values:
        """IoU (B, T, N+1)."""
        rows = np.concatenate([self.true[:, None], self.predicted, self.hit], axis=1)
        sums = np.moveaxis(self._groups.sum(to_weights(weights, len(self.image_ids)), rows), 1, 2)
        last = 1 + len(self.thresholds)
        return compute_iou_of_counts(sums[:, :1], sums[:, 1:last], sums[:, last:], self.absent)

    @cached_property
    def _groups(self) -> RowGroups:
        return RowGroups.by_class(self.row_image, self.row_class, self.class_ids)
