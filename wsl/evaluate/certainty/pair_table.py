"""CorLoc and box accuracy at any IoU for any weighting of the images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.evaluate.certainty.checks import check_overlaps, check_rows
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values
from wsl.evaluate.certainty.value_table import MEANS, ValueTable
from wsl.evaluate.localization.box_protocols import check_iou_thresholds
from wsl.evaluate.segmentation.confusion import check_policy

BOXES = ("top", "any")
COMPARISONS = (">", ">=")


@dataclass(frozen=True, eq=False)
class PairTable(StoredTable):
    """IoU of the `top` and of the `best` predicted box with the nearest true one, floating (R,) of each (image, class).

    `box` says which of the two counts ("any" = best). A pair is found where IoU `comparison` t; the score is the mean
    over `iou_thresholds`, `mean` as in `ValueTable`. CorLoc is top, > 0.5, classes; BoxAcc is >=, pairs.
    """

    kind: ClassVar[str] = "pairs"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    top: NDArray[np.floating]
    best: NDArray[np.floating]
    iou_thresholds: tuple[float, ...] = (0.5,)
    box: str = "top"
    comparison: str = ">"
    mean: str = "classes"

    def __post_init__(self) -> None:
        check_rows(self, top=self.top, best=self.best)
        check_overlaps(self.kind, "top", self.top)
        check_overlaps(self.kind, "best", self.best)
        check_iou_thresholds(self.iou_thresholds)
        check_policy(self.box, BOXES, "box")
        check_policy(self.comparison, COMPARISONS, "comparison")
        check_policy(self.mean, MEANS, "mean")

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The classes that occur, ascending."""
        return self._hits.class_ids

    def measure(self, weights: ArrayLike) -> Values:
        """Share of pairs found, float64 (B,), under weights (B, n)."""
        return self._hits.measure(weights)

    def measure_classes(self, weights: ArrayLike) -> Values:
        """Share of the pairs of each class, float64 (B, C)."""
        return self._hits.measure_classes(weights)

    def truth(self) -> NDArray[np.int64]:
        """The (image, class) pairs."""
        return self._hits.truth()

    def for_swapping(self) -> ValueTable:
        """The hits of each pair."""
        return self._hits

    @cached_property
    def _hits(self) -> ValueTable:
        overlap = (self.top if self.box == "top" else self.best)[:, None]
        limits = np.array(self.iou_thresholds)
        hits = overlap > limits if self.comparison == ">" else overlap >= limits
        return ValueTable(self.image_ids, self.row_image, self.row_class, hits.sum(axis=1), self.mean, len(limits))
