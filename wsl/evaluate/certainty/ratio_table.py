"""Scores that are one quotient of two sums over images, or a mean over images, without a score of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError
from wsl.evaluate.certainty.checks import check_rows, to_weights
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values, sort_lines
from wsl.evaluate.segmentation.confusion import divide


@dataclass(frozen=True, eq=False)
class RatioTable(StoredTable):
    """`part` number (R,) and `whole` int (R,) of images; the score is the sum of the parts over that of the wholes.

    Right pixels of all pixels give pixel accuracy, one value of 1 per image the mean over images. An image may be
    without a row. `of_truth` says whether the wholes follow from the ground truth alone; only then can two tables be
    checked for the same truth.
    """

    kind: ClassVar[str] = "ratios"
    image_ids: tuple[str, ...]
    row_image: Integers
    part: NDArray[np.number[Any]]
    whole: Integers
    of_truth: bool = True

    def __post_init__(self) -> None:
        check_rows(self, part=self.part, whole=self.whole)
        if self.part.ndim != 1 or self.part.dtype.kind not in "iuf" or not np.isfinite(self.part).all():
            raise DataError(f"{self.kind}, part: expected finite numbers (R,), but got {self.part.dtype}.")
        if self.whole.ndim != 1 or self.whole.dtype.kind not in "iu" or (self.whole < 0).any():
            raise DataError(f"{self.kind}, whole: expected integers (R,) of at least 0, but got {self.whole.dtype}.")

    @property
    def row_class(self) -> Integers:  # type: ignore[override]
        """0 of every row, which stands for all classes together."""
        return np.zeros_like(self.row_image)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """None: only the whole has a score."""
        return ()

    def measure(self, weights: ArrayLike) -> Values:
        """The quotient, float64 (B,), under weights (B, n); NaN where there is nothing to divide by."""
        return self.measure_sums(self.sums(weights))

    def measure_classes(self, weights: ArrayLike) -> Values:
        """float64 (B, 0)."""
        return np.zeros((len(to_weights(weights, len(self.image_ids))), 0))

    def sums(self, weights: ArrayLike) -> Values:
        """(sum of parts, sum of wholes): float64 (B, 1, 2), exact for counts."""
        rows = np.stack([self.part, self.whole], axis=1).astype(np.float64)
        return (to_weights(weights, len(self.image_ids))[:, self.row_image] @ rows)[:, None]

    def measure_sums(self, sums: Values) -> Values:
        """The quotient of `sums`."""
        return divide(sums[:, 0, 0], sums[:, 0, 1])

    def measure_class_sums(self, sums: Values) -> Values:
        """float64 (B, 0)."""
        return np.zeros((len(sums), 0))

    def truth(self) -> NDArray[np.int64] | None:
        """(image, 0, whole) of the rows; None when the prediction has a say in them."""
        return sort_lines(self.row_image, self.row_class, self.whole) if self.of_truth else None

    def for_swapping(self) -> RatioTable:
        """Itself: the parts of two runs for one image may be exchanged."""
        return self
