"""mIoU for any weighting of the images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError
from wsl.evaluate.certainty.checks import check_counts, check_rows, to_weights
from wsl.evaluate.certainty.grouped_sums import RowGroups, mean_defined
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values, sort_lines
from wsl.evaluate.segmentation.confusion import (
    ABSENT,
    BACKGROUND_POLICIES,
    PREDICTED_IGNORE,
    check_policy,
    compute_iou_of_counts,
)


@dataclass(frozen=True, eq=False)
class SegmentationTable(StoredTable):
    """Pixels of each class in each image: `true`, `predicted` and `hit` (both) int (R,), classes 0..`num_classes`.

    The score is the mean IoU of the summed counts, not a mean over images. `absent` as in `compute_iou`; `background`
    says whether class 0 is in the mean. `predicted_ignore` is how the counts were made; with "exclude" the true
    counts depend on the prediction, so that two tables cannot be checked for the same truth.
    """

    kind: ClassVar[str] = "segmentation"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    true: Integers
    predicted: Integers
    hit: Integers
    num_classes: int
    absent: str = "skip"
    background: str = "include"
    predicted_ignore: str = "background"

    def __post_init__(self) -> None:
        check_segmentation_rows(self, self.num_classes, self.true, self.predicted, self.hit)
        check_segmentation_policies(self.absent, self.background, self.predicted_ignore)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """0..N."""
        return tuple(range(self.num_classes + 1))

    def measure(self, weights: ArrayLike) -> Values:
        """mIoU, float64 (B,), under weights (B, n)."""
        return self.measure_sums(self.sums(weights))

    def measure_classes(self, weights: ArrayLike) -> Values:
        """IoU of each class, float64 (B, N+1), NaN where left out of the mean."""
        return self.measure_class_sums(self.sums(weights))

    def sums(self, weights: ArrayLike) -> Values:
        """(true, predicted, hit) pixels of each class: float64 (B, N+1, 3), exact."""
        return self._groups.sum(to_weights(weights, len(self.image_ids)), self._rows)

    def measure_sums(self, sums: Values) -> Values:
        """mIoU of `sums`."""
        return mean_iou(self.measure_class_sums(sums), self.background)

    def measure_class_sums(self, sums: Values) -> Values:
        """IoU of each class of `sums`."""
        return compute_iou_of_counts(sums[..., 0], sums[..., 1], sums[..., 2], self.absent)

    def truth(self) -> NDArray[np.int64] | None:
        """(image, class, true pixels) of the classes that are in an image."""
        return find_truth(self.row_image, self.row_class, self.true, self.predicted_ignore)

    def for_swapping(self) -> SegmentationTable:
        """Itself: counts of two runs on one image may be exchanged."""
        return self

    @cached_property
    def _groups(self) -> RowGroups:
        return RowGroups.by_class(self.row_image, self.row_class, self.class_ids)

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        return np.stack([self.true, self.predicted, self.hit], axis=1).astype(np.int64)


def mean_iou(iou: Values, background: str) -> Values:
    """Mean over the classes (last axis), with or without the background."""
    return mean_defined(iou if background == "include" else iou[..., 1:])


def find_truth(
    row_image: Integers, row_class: Integers, true: Integers, predicted_ignore: str
) -> NDArray[np.int64] | None:
    """Lines (image, class, true pixels) where there are any; None when the prediction has a say in them."""
    if predicted_ignore == "exclude":
        return None
    present = true > 0
    return sort_lines(row_image[present], row_class[present], true[present])


def check_segmentation_rows(
    table: StoredTable, num_classes: int, true: Integers, predicted: Integers, hit: Integers
) -> None:
    """DataError unless classes are in 0..N, and no count is negative or has more hits than pixels."""
    check_rows(table, true=true, predicted=predicted, hit=hit)
    for name, column in (("true", true), ("predicted", predicted), ("hit", hit)):
        check_counts(table.kind, name, column)
    if (table.row_class > num_classes).any():
        raise DataError(f"{table.kind}: expected classes 0..{num_classes}, but found {int(table.row_class.max())}.")
    wide = true[:, None] if hit.ndim == 2 else true
    if predicted.shape != hit.shape or true.ndim != 1 or (hit > predicted).any() or (hit > wide).any():
        raise DataError(f"{table.kind}: expected hits of at most the true and the predicted pixels of each row.")


def check_segmentation_policies(absent: str, background: str, predicted_ignore: str) -> None:
    """ConfigError for an unknown policy."""
    check_policy(absent, ABSENT, "absent")
    check_policy(background, BACKGROUND_POLICIES, "background")
    check_policy(predicted_ignore, PREDICTED_IGNORE, "predicted_ignore")
