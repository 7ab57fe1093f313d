"""VOC AP for any whole weighting of the images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsl.errors import DataError
from wsl.evaluate.certainty.checks import check_counts, check_rows, to_weights
from wsl.evaluate.certainty.grouped_sums import mean_defined
from wsl.evaluate.certainty.tables import Integers, StoredTable, Values, sort_lines
from wsl.evaluate.detection.precision_recall import compute_area, sample_envelope
from wsl.evaluate.segmentation.confusion import check_policy

AVERAGES = ("area", "11_point")
CLASS_MEANS = ("truth", "truth_or_predicted")
TENTHS = np.arange(11) / 10


@dataclass(frozen=True, eq=False)
class DetectionTable(StoredTable):
    """Judged detections: for each of R, in any order, its image, class, `score`
    floating and `hit` bool; for each of M (image, class) pairs with objects that count, `true_image`, `true_class` and
    `true_count` int. Detections on difficult objects are left out.

    The score is the mean AP over classes, `average` "area" (VOC 2010 and later) or "11_point" (2007, exact tenths);
    `class_mean` "truth" is over classes with objects, "truth_or_predicted" adds those only predicted, with AP 0. An
    image drawn twice counts as two images with equal boxes. Weights must be whole.
    """

    kind: ClassVar[str] = "detections"
    image_ids: tuple[str, ...]
    row_image: Integers
    row_class: Integers
    score: NDArray[np.floating]
    hit: NDArray[np.bool_]
    true_image: Integers
    true_class: Integers
    true_count: Integers
    average: str = "area"
    class_mean: str = "truth"

    def __post_init__(self) -> None:
        check_rows(self, score=self.score, hit=self.hit)
        for name in ("true_image", "true_class", "true_count"):
            check_counts(self.kind, name, getattr(self, name))
        if not self.true_image.shape == self.true_class.shape == self.true_count.shape or self.true_image.ndim != 1:
            raise DataError(f"{self.kind}: expected true_image, true_class and true_count of one length.")
        if (self.true_image >= len(self.image_ids)).any():
            raise DataError(f"{self.kind}, true_image: expected positions in 0..{len(self.image_ids) - 1}.")
        if self.score.ndim != 1 or self.hit.dtype != np.bool_ or not np.isfinite(self.score).all():
            raise DataError(f"{self.kind}: expected finite scores and hits bool (R,), but got {self.hit.dtype}.")
        check_policy(self.average, AVERAGES, "average")
        check_policy(self.class_mean, CLASS_MEANS, "class_mean")

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        """The classes in the mean, ascending: those with objects, and with "truth_or_predicted" those predicted."""
        wanted = self.true_class if self.class_mean == "truth" else np.union1d(self.row_class, self.true_class)
        return tuple(int(class_id) for class_id in np.unique(wanted))

    def measure(self, weights: ArrayLike) -> Values:
        """Mean AP, float64 (B,), under whole weights (B, n); NaN without an object."""
        return mean_defined(self.measure_classes(weights))

    def measure_classes(self, weights: ArrayLike) -> Values:
        """AP of each class, float64 (B, C), NaN where it is not in the mean. DataError unless weights are whole."""
        array = to_weights(weights, len(self.image_ids))
        times = array.astype(np.int64)
        if (times != array).any():
            raise DataError("weights: an AP is defined for whole weights only.")
        result = np.full((len(times), len(self.class_ids)), np.nan)
        for column, ranked in enumerate(self._rankings):
            positives = times[:, self.true_image[ranked.objects]] @ self.true_count[ranked.objects].astype(np.int64)
            for draw, row in enumerate(times):
                hits = self.hit[repeat_rows(ranked, row[self.row_image[ranked.rows]])]
                result[draw, column] = self._compute(hits, int(positives[draw]))
        return result

    def select(self, positions: NDArray[np.intp]) -> DetectionTable:
        """The table of the images at `positions` (different ones), in that order."""
        place = np.full(len(self.image_ids), -1, np.int64)
        place[positions] = np.arange(len(positions))
        rows, pairs = (np.flatnonzero(place[images] >= 0) for images in (self.row_image, self.true_image))
        return replace(
            self,
            image_ids=tuple(self.image_ids[position] for position in positions),
            row_image=place[self.row_image[rows]],
            row_class=self.row_class[rows],
            score=self.score[rows],
            hit=self.hit[rows],
            true_image=place[self.true_image[pairs]],
            true_class=self.true_class[pairs],
            true_count=self.true_count[pairs],
        )

    def truth(self) -> NDArray[np.int64]:
        """(image, class, objects)."""
        return sort_lines(self.true_image, self.true_class, self.true_count)

    def for_swapping(self) -> None:
        """None: detections of all images are ranked together, and the scores of two methods have different scales."""

    def _compute(self, hits: NDArray[np.bool_], positives: int) -> float:
        if positives == 0:
            return 0.0 if self.class_mean == "truth_or_predicted" and len(hits) else np.nan
        if self.average == "area":
            return compute_area(hits, positives)
        return float(sample_envelope(hits, positives, TENTHS).mean())

    @cached_property
    def _rankings(self) -> list[_Ranked]:
        """For each class its rows, best first; equal scores by image, then in the order of the rows."""
        order = np.lexsort((self.row_image, -self.score))
        result = []
        for class_id in self.class_ids:
            rows = order[self.row_class[order] == class_id]
            changes = (np.diff(self.row_image[rows]) != 0) | (np.diff(self.score[rows]) != 0)
            runs = np.concatenate([np.zeros(min(1, len(rows)), np.int64), np.cumsum(changes)])
            result.append(_Ranked(rows, runs, np.flatnonzero(self.true_class == class_id)))
        return result


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Rows of a class, best first; `runs` numbers the stretches of one image and one score; `objects` are its pairs."""

    rows: NDArray[np.intp]
    runs: NDArray[np.int64]
    objects: NDArray[np.intp]


def repeat_rows(ranked: _Ranked, copies: NDArray[np.int64]) -> NDArray[np.intp]:
    """The rows as if each was there `copies` (R',) times: of one image and score first all rows of one copy."""
    places = np.repeat(np.arange(len(copies)), copies)
    if not len(places) or len(ranked.rows) == ranked.runs[-1] + 1:  # every row has its own image or score
        return ranked.rows[places]
    copy = np.arange(len(places)) - np.repeat(np.cumsum(copies) - copies, copies)
    return ranked.rows[places[np.lexsort((places, copy, ranked.runs[places]))]]
