"""MaxBoxAcc for any weighting of the images, any IoU and any way to choose the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.checks import (
    check_overlaps,
    check_rows,
    check_thresholds,
    to_weights,
)
from wsl.evaluate.certainty.grouped_sums import RowGroups, count_hits, weigh_rows
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values, find_class_ids
from wsl.evaluate.certainty.threshold_choice import find_best, find_threshold_below, parse_threshold
from wsl.evaluate.certainty.value_table import ValueTable
from wsl.evaluate.localization.box_protocols import check_iou_thresholds
from wsl.evaluate.segmentation.confusion import divide


@dataclass(frozen=True, eq=False)
class BoxCurveTable(StoredTable):
    """`best` floating (R, 2, T): IoU of the box(es) of each (image, class) pair with the nearest true one at each of
    `thresholds` floating (T,); row 0 of the largest contour (`version` 1), row 1 of all contours (`version` 2).

    A pair is found where IoU >= d, the score is the mean over `iou_thresholds` of the share found. `threshold` is
    "fixed:<value>", "oracle" (the best on the whole set for each IoU threshold, the first on equal shares, kept for
    every weighting) or "oracle_each" (chosen anew under each weighting, which is MaxBoxAcc of that sample).
    `thresholds` ascend; of those that no map tells apart only the lowest is there, so a fixed value stands for the
    last one at or below it.
    """

    kind: ClassVar[str] = "box_curves"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    best: NDArray[np.floating]
    thresholds: NDArray[np.floating]
    iou_thresholds: tuple[float, ...] = (0.3, 0.5, 0.7)
    version: int = 2
    threshold: str = "oracle"

    def __post_init__(self) -> None:
        check_rows(self, best=self.best)
        check_thresholds(self.kind, self.thresholds, self.best)
        check_overlaps(self.kind, "best", self.best)
        check_iou_thresholds(self.iou_thresholds)
        if self.best.ndim != 3 or self.best.shape[1] != 2:
            raise DataError(f"{self.kind}, best: expected (R, 2, T), but got {self.best.shape}.")
        if self.version not in (1, 2):
            raise ConfigError(f"version: expected 1 or 2, but got {self.version}.")
        if (np.diff(self.thresholds) <= 0).any():
            raise DataError(f"{self.kind}, thresholds: expected ascending ones.")
        value = parse_threshold(self.threshold)
        if value is not None:
            find_threshold_below(self.thresholds, value)

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        """The classes that occur, ascending."""
        return find_class_ids(self.row_class)

    def measure(self, weights: ArrayLike) -> Values:
        """Share of pairs found, float64 (B,), under weights (B, n)."""
        if self.threshold != "oracle_each":
            return self.at_chosen().measure(weights)
        rows = weigh_rows(to_weights(weights, len(self.image_ids)), self.row_image)
        best = self._count_all(rows).max(axis=2).sum(axis=1)
        return divide(best, rows.sum(axis=1, dtype=np.float64) * len(self.iou_thresholds))

    def measure_classes(self, weights: ArrayLike) -> Values:
        """Share of the pairs of each class, float64 (B, C), at the threshold(s) of the whole."""
        if self.threshold != "oracle_each":
            return self.at_chosen().measure_classes(weights)
        weighted = weigh_rows(to_weights(weights, len(self.image_ids)), self.row_image)
        columns = find_best(self._count_all(weighted))
        groups = RowGroups.by_class(self.row_image, self.row_class, self.class_ids)
        shares = [self._share_of(weighted, groups.rows_of(group), columns) for group in range(len(self.class_ids))]
        return np.stack(shares, axis=1) if shares else np.zeros((len(weighted), 0))

    @cached_property
    def chosen(self) -> tuple[int, ...]:
        """Position of the threshold for each IoU threshold."""
        value = parse_threshold(self.threshold)
        if value is not None:
            return (find_threshold_below(self.thresholds, value),) * len(self.iou_thresholds)
        counts = self._count_all(np.ones((1, len(self.row_image))))
        return tuple(int(column) for column in find_best(counts)[0])

    def at_chosen(self) -> ValueTable:
        """At how many of the IoU thresholds each pair is found, at the chosen thresholds."""
        return self._hits

    def truth(self) -> NDArray[np.int64]:
        """The (image, class) pairs."""
        return self._hits.truth()

    def for_swapping(self) -> ValueTable:
        """The hits at the chosen threshold: that of one run means nothing for the maps of another."""
        return self._hits

    @cached_property
    def _hits(self) -> ValueTable:
        chosen = self._curves[:, list(self.chosen)] >= np.array(self.iou_thresholds)
        count = len(self.iou_thresholds)
        return ValueTable(self.image_ids, self.row_image, self.row_class, chosen.sum(axis=1), "pairs", count)

    @property
    def _curves(self) -> NDArray[np.floating]:
        return self.best[:, self.version - 1]

    def _count_all(self, row_weights: NDArray[np.floating]) -> Values:
        """Pairs found, float64 (B, IoU thresholds, T)."""
        return np.stack([count_hits(row_weights, self._curves >= limit) for limit in self.iou_thresholds], axis=1)

    def _share_of(self, row_weights: NDArray[np.floating], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Values:
        """Share of `rows` found, float64 (B,), where weighting b looks at threshold columns[b, IoU threshold]."""
        own_weights = row_weights[:, rows]
        total = np.zeros(len(row_weights))
        for place, limit in enumerate(self.iou_thresholds):
            counts = count_hits(own_weights, self._curves[rows] >= limit)
            total += counts[np.arange(len(total)), columns[:, place]]
        return divide(total, own_weights.sum(axis=1, dtype=np.float64) * len(self.iou_thresholds))
