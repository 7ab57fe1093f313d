"""Weighted sums of rows by class, and the means that are taken of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.certainty.tables import Integers, Values
from wsl.evaluate.segmentation.confusion import divide

_LARGEST_FLOAT32 = 2**24  # whole numbers up to here are exact in float32


@dataclass(frozen=True, eq=False)
class RowGroups:
    """Which rows belong to which of G groups: `order` int (R,) lists the rows group by group, group g those from
    `bounds[g]` to `bounds[g + 1]`; `images` int (R,) is the image of each row (not of each place in `order`)."""

    images: Integers
    order: NDArray[np.intp]
    bounds: NDArray[np.intp]

    @classmethod
    def by_class(cls, row_image: Integers, row_class: Integers, class_ids: tuple[int, ...]) -> RowGroups:
        """One group for each of `class_ids` (ascending), which hold all of `row_class`."""
        group = np.searchsorted(np.asarray(class_ids, np.int64), row_class)
        order = np.argsort(group, kind="stable")
        return cls(row_image, order, np.searchsorted(group[order], np.arange(len(class_ids) + 1)))

    def rows_of(self, group: int) -> NDArray[np.intp]:
        """The rows of a group."""
        return self.order[self.bounds[group] : self.bounds[group + 1]]

    def sum(self, weights: Values, rows: NDArray[Any]) -> Values:
        """Sums (B, G, M) of `rows` (R, M), each times the weight (B, n) of its image.

        One matrix product per group in float64: exact for counts, whatever the order.
        """
        result = np.zeros((len(weights), len(self.bounds) - 1, rows.shape[1]))
        for group in range(result.shape[1]):
            part = self.rows_of(group)
            if len(part):
                result[:, group] = weights[:, self.images[part]] @ rows[part].astype(np.float64)
        return result


def weigh_rows(weights: Values, row_image: Integers) -> NDArray[np.floating]:
    """The weights (B, R) of the rows, in float32 where `count_hits` is exact in it: whole weights with small sums."""
    totals = weights @ np.bincount(row_image, minlength=weights.shape[1])
    exact = totals.max(initial=0) < _LARGEST_FLOAT32 and np.array_equal(weights, np.rint(weights))
    return weights.astype(np.float32 if exact else np.float64)[:, row_image]


def count_hits(row_weights: NDArray[np.floating], hits: NDArray[np.bool_]) -> Values:
    """Sums (B, T) of `hits` bool (R, T) under weights (B, R) of `weigh_rows`."""
    return np.asarray(row_weights @ hits.astype(row_weights.dtype), np.float64)


def mean_defined(values: Values) -> Values:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))
