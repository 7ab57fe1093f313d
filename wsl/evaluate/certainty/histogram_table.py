"""PxAP and pIoU for any weighting of the images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError
from wsl.evaluate.certainty.checks import check_counts, check_rows, check_thresholds, to_weights
from wsl.evaluate.certainty.grouped_sums import RowGroups
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values, find_class_ids, sort_lines
from wsl.evaluate.certainty.threshold_choice import find_best, find_threshold, parse_threshold
from wsl.evaluate.localization.pixel_histograms import ON_OBJECT, compute_curves, compute_pixel_ap
from wsl.evaluate.segmentation.confusion import check_policy

SCORES = ("pxap", "piou")


@dataclass(frozen=True, eq=False)
class HistogramTable(StoredTable):
    """`counts` int (R, 2, T): pixels off (0) and on (1) the object of each (image, class) pair whose score is from
    `thresholds[i]` up to the next threshold; `thresholds` floating (T,), ascending.

    `score` "pxap" is the area under precision over recall of the pooled pixels, "piou" their IoU at the threshold that
    `threshold` names ("fixed:<value>", "oracle" = best on the whole set, "oracle_each" = best under each weighting).
    A class is measured on its own pixels, at the threshold of the whole.
    """

    kind: ClassVar[str] = "pixel_histograms"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    counts: Integers
    thresholds: NDArray[np.floating]
    score: str = "pxap"
    threshold: str = "oracle"

    def __post_init__(self) -> None:
        check_rows(self, counts=self.counts)
        check_counts(self.kind, "counts", self.counts)
        check_thresholds(self.kind, self.thresholds, self.counts)
        check_policy(self.score, SCORES, "score")
        if self.counts.ndim != 3 or self.counts.shape[1] != 2 or (np.diff(self.thresholds) <= 0).any():
            raise DataError(f"{self.kind}: expected counts (R, 2, T) of ascending thresholds, got {self.counts.shape}.")
        value = parse_threshold(self.threshold)
        if value is not None:
            find_threshold(self.thresholds, value)

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        """The classes that occur, ascending."""
        return find_class_ids(self.row_class)

    def measure(self, weights: ArrayLike) -> Values:
        """PxAP or pIoU, float64 (B,), under weights (B, n); NaN without a pixel on (PxAP) or for (pIoU) an object."""
        pooled = self._pool(to_weights(weights, len(self.image_ids)))
        if self.score == "pxap":
            return compute_pixel_ap(pooled)
        curve = compute_curves(pooled)[2]
        return _pick(curve, self._columns(curve))

    def measure_classes(self, weights: ArrayLike) -> Values:
        """The same for the pixels of each class, float64 (B, C)."""
        array = to_weights(weights, len(self.image_ids))
        groups = RowGroups.by_class(self.row_image, self.row_class, self.class_ids)
        columns = self._columns(compute_curves(self._pool(array))[2]) if self.score == "piou" else None
        values = []
        for group in range(len(self.class_ids)):
            pooled = self._pool(array, groups.rows_of(group))
            values.append(compute_pixel_ap(pooled) if columns is None else _pick(compute_curves(pooled)[2], columns))
        return np.stack(values, axis=1) if values else np.zeros((len(array), 0))

    def truth(self) -> NDArray[np.int64]:
        """(image, class, pixels on the object)."""
        return sort_lines(self.row_image, self.row_class, self.counts[:, ON_OBJECT].sum(axis=1, dtype=np.int64))

    def for_swapping(self) -> None:
        """None: the pixels of all images are ranked together, and the scores of two methods have different scales."""

    def _columns(self, curve: Values) -> NDArray[np.intp]:
        """The threshold of each weighting, intp (B,)."""
        if self.threshold == "oracle_each":
            return find_best(curve)
        return np.full(len(curve), self.chosen)

    @cached_property
    def chosen(self) -> int:
        """Position of the threshold of pIoU: the given one, or the best for all images with equal weights."""
        value = parse_threshold(self.threshold)
        if value is not None:
            return find_threshold(self.thresholds, value)
        return int(find_best(compute_curves(self._pool(np.ones((1, len(self.image_ids)))))[2])[0])

    def _pool(self, weights: Values, rows: NDArray[np.intp] | None = None) -> Values:
        """Summed histograms (B, 2, T), exact; `rows` in parts, for their float64 form is large."""
        chosen = np.arange(len(self.row_image)) if rows is None else rows
        bins = self.counts.shape[2]
        pooled = np.zeros((len(weights), 2 * bins))
        for start in range(0, len(chosen), 1024):
            part = chosen[start : start + 1024]
            pooled += weights[:, self.row_image[part]] @ self.counts[part].reshape(len(part), -1).astype(np.float64)
        return pooled.reshape(len(weights), 2, bins)


def _pick(curve: Values, columns: NDArray[np.intp]) -> Values:
    return curve[np.arange(len(curve)), columns]
