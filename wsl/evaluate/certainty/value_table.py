"""Means of one number per image and class: hits of any kind, or overlaps and shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.checks import check_rows, to_weights
from wsl.evaluate.certainty.grouped_sums import RowGroups, mean_defined
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values, find_class_ids, sort_lines
from wsl.evaluate.segmentation.confusion import check_policy, divide

MEANS = ("pairs", "classes")


@dataclass(frozen=True, eq=False)
class ValueTable(StoredTable):
    """`value` (R,) of (image, class) pairs; the score is their mean, divided by `out_of`.

    `mean` "pairs" weighs all pairs alike, "classes" averages within each class first. `out_of` keeps fractions whole:
    a pair found at 2 of 3 IoU thresholds has value 2 out of 3, so that sums stay exact.
    """

    kind: ClassVar[str] = "values"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    value: NDArray[np.number]
    mean: str = "pairs"
    out_of: int = 1

    def __post_init__(self) -> None:
        check_rows(self, value=self.value)
        check_policy(self.mean, MEANS, "mean")
        if self.value.ndim != 1 or self.value.dtype.kind not in "iuf" or not np.isfinite(self.value).all():
            raise DataError(f"{self.kind}: expected finite numbers (R,), but got {self.value.dtype}.")
        if self.out_of < 1:
            raise ConfigError(f"out_of: expected at least 1, but got {self.out_of}.")

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        """The classes that occur, ascending."""
        return find_class_ids(self.row_class)

    def measure(self, weights: ArrayLike) -> Values:
        """The mean, float64 (B,), under weights (B, n); NaN when no pair has weight."""
        return self.measure_sums(self.sums(weights))

    def measure_classes(self, weights: ArrayLike) -> Values:
        """The mean of each class, float64 (B, C)."""
        return self.measure_class_sums(self.sums(weights))

    def sums(self, weights: ArrayLike) -> Values:
        """(sum of values, sum of weights) of each class: float64 (B, C, 2)."""
        return self._groups.sum(to_weights(weights, len(self.image_ids)), self._rows)

    def measure_sums(self, sums: Values) -> Values:
        """The mean of `sums`."""
        if self.mean == "classes":
            return mean_defined(self.measure_class_sums(sums))
        total = sums.sum(axis=1)
        return divide(total[:, 0], total[:, 1] * self.out_of)

    def measure_class_sums(self, sums: Values) -> Values:
        """The mean of each class of `sums`."""
        return divide(sums[..., 0], sums[..., 1] * self.out_of)

    def truth(self) -> NDArray[np.int64]:
        """The (image, class) pairs."""
        return sort_lines(self.row_image, self.row_class)

    def for_swapping(self) -> ValueTable:
        """Itself: the values of two runs for one image may be exchanged."""
        return self

    @cached_property
    def _groups(self) -> RowGroups:
        return RowGroups.by_class(self.row_image, self.row_class, self.class_ids)

    @cached_property
    def _rows(self) -> Values:
        return np.stack([self.value.astype(np.float64), np.ones(len(self.value))], axis=1)
