"""Scores of boxes that are already there: CorLoc and box accuracy per image and class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.evaluate.localization.overlap_rows import OverlapRows, RowKeeper, take_rows
from wsl.evaluate.result import Score, compute_mean, name_class
from wsl.evaluate.segmentation.confusion import Counts
from wsl.types import Box, ClassSet


def find_class_overlaps(
    predicted: Sequence[Box], truth: Sequence[Box], inclusive: bool = False
) -> dict[int, tuple[float, float]]:
    """For each class with a true box, ascending: (IoU of the top box, IoU of the best box) with the nearest true box.

    The top box is the predicted one of that class with the highest score, the first on equal scores. Both are 0
    without a predicted box of the class. Difficult true boxes count.
    """
    overlaps = {}
    for class_id in sorted({box.class_id for box in truth}):
        found = [box for box in predicted if box.class_id == class_id]
        wanted = [box for box in truth if box.class_id == class_id]
        overlaps[class_id] = _top_and_best(found, wanted, inclusive)
    return overlaps


def _top_and_best(found: Sequence[Box], wanted: Sequence[Box], inclusive: bool) -> tuple[float, float]:
    if not found:
        return 0.0, 0.0
    overlap: NDArray[np.float64] = compute_box_iou(to_array(found), to_array(wanted), inclusive).max(axis=1)
    top = int(np.argmax([box.score for box in found]))
    return float(overlap[top]), float(overlap.max())


class CorLoc:
    """Correct localisation (Deselaers et al., IJCV 2012): mean over classes of the share of images whose top box hits.

    The denominator of a class is the number of images with a true box of it (difficult ones included). A hit is
    IoU > `iou_threshold`. `inclusive` adds 1 to each side, for boxes whose x2, y2 are still the last pixel; boxes read
    from VOC files are half-open and need it not. `keep_rows` keeps the overlaps of each image for `rows`.
    """

    def __init__(self, iou_threshold: float = 0.5, inclusive: bool = False, keep_rows: bool = False) -> None:
        self.iou_threshold, self.inclusive = iou_threshold, inclusive
        self._counts: dict[int, list[int]] = {}  # class id -> [hits, images]
        self._rows = RowKeeper() if keep_rows else None

    def update(self, predicted: Sequence[Box], truth: Sequence[Box], name: str = "") -> None:
        """Adds one image: its predicted and its true boxes of all classes; `name` is needed for rows."""
        overlaps = find_class_overlaps(predicted, truth, self.inclusive)
        if self._rows is not None:
            self._rows.add(name, overlaps)
        for class_id, (top, _) in overlaps.items():
            counts = self._counts.setdefault(class_id, [0, 0])
            counts[0] += top > self.iou_threshold
            counts[1] += 1

    def merge(self, other: CorLoc) -> None:
        """Adds the counts of `other`, made with the same settings."""
        mine, theirs = ((each.iou_threshold, each.inclusive, each._rows is None) for each in (self, other))
        if mine != theirs:
            raise ConfigError("Only CorLoc objects with the same settings can be joined.")
        if self._rows is not None and other._rows is not None:
            self._rows.merge(other._rows)
        for class_id, (hits, images) in other._counts.items():
            counts = self._counts.setdefault(class_id, [0, 0])
            counts[0] += hits
            counts[1] += images

    def rows(self) -> OverlapRows:
        """Overlaps per image and class; DataError without `keep_rows`."""
        return take_rows(self._rows)

    def score(self, classes: ClassSet | None = None) -> Score:
        """Mean over the classes that have true boxes; None without any."""
        rates = {class_id: hits / images for class_id, (hits, images) in sorted(self._counts.items())}
        return Score(
            name="CorLoc",
            value=compute_mean(list(rates.values())),
            protocol="CorLoc: top box per image and class, mean over classes",
            conventions={
                "box IoU": _name_ends(self.inclusive),
                "comparison": f"IoU > {self.iou_threshold:g}",
                "difficult": "counted",
            },
            per_class={name_class(class_id, classes): {"corloc": rate} for class_id, rate in rates.items()},
            counts={"image-class pairs": sum(images for _, images in self._counts.values())},
        )


class BoxAccuracy:
    """Share of (image, class) pairs in which the top box, or any box, of the class has IoU >= d with a true one.

    `inclusive` and `keep_rows` as in `CorLoc`.
    """

    def __init__(
        self, iou_thresholds: Sequence[float] = (0.3, 0.5, 0.7), inclusive: bool = False, keep_rows: bool = False
    ) -> None:
        self.iou_thresholds, self.inclusive = tuple(float(value) for value in iou_thresholds), inclusive
        self._hits: dict[int, Counts] = {}  # class id -> (top or any, IoU threshold)
        self._pairs: dict[int, int] = {}
        self._rows = RowKeeper() if keep_rows else None

    def update(self, predicted: Sequence[Box], truth: Sequence[Box], name: str = "") -> None:
        """Adds one image: its predicted and its true boxes of all classes; `name` is needed for rows."""
        overlaps = find_class_overlaps(predicted, truth, self.inclusive)
        if self._rows is not None:
            self._rows.add(name, overlaps)
        for class_id, pair in overlaps.items():
            self._add(class_id, (np.array(pair)[:, None] >= np.array(self.iou_thresholds)).astype(np.int64), 1)

    def merge(self, other: BoxAccuracy) -> None:
        """Adds the counts of `other`, made with the same settings."""
        mine, theirs = ((each.iou_thresholds, each.inclusive, each._rows is None) for each in (self, other))
        if mine != theirs:
            raise ConfigError("Only BoxAccuracy objects with the same settings can be joined.")
        if self._rows is not None and other._rows is not None:
            self._rows.merge(other._rows)
        for class_id, hits in other._hits.items():
            self._add(class_id, hits, other._pairs[class_id])

    def rows(self) -> OverlapRows:
        """Overlaps per image and class; DataError without `keep_rows`."""
        return take_rows(self._rows)

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """For the top box and for any box: the share at each IoU and the mean of these shares."""
        result = []
        for row, kind in enumerate(("top", "any")):
            single = [self._score(row, kind, column, classes) for column in range(len(self.iou_thresholds))]
            mean = compute_mean([score.value for score in single])
            protocol, conventions = single[0].protocol, single[0].conventions
            result += [*single, Score(f"BoxAcc {kind}", mean, protocol, conventions, counts=single[0].counts)]
        return result

    def _score(self, row: int, kind: str, column: int, classes: ClassSet | None) -> Score:
        pairs = sum(self._pairs.values())
        hits = sum(int(counts[row, column]) for counts in self._hits.values())
        return Score(
            name=f"BoxAcc {kind}@{self.iou_thresholds[column]:g}",
            value=hits / pairs if pairs else None,
            protocol=f"box accuracy: {kind} box per image and class, mean over pairs",
            conventions={"box IoU": _name_ends(self.inclusive), "comparison": "IoU >=", "difficult": "counted"},
            per_class={
                name_class(class_id, classes): {"accuracy": int(self._hits[class_id][row, column]) / count}
                for class_id, count in sorted(self._pairs.items())
            },
            counts={"image-class pairs": pairs},
        )

    def _add(self, class_id: int, hits: Counts, pairs: int) -> None:
        self._hits[class_id] = self._hits.get(class_id, np.zeros_like(hits)) + hits
        self._pairs[class_id] = self._pairs.get(class_id, 0) + pairs


def _name_ends(inclusive: bool) -> str:
    return "both ends counted (+1)" if inclusive else "half-open"
