"""From counts of found objects to the scores that MaxBoxAcc reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.evaluate.localization.box_hits import SIZES, BoxHits
from wsl.evaluate.result import Score, compute_mean, name_class
from wsl.evaluate.segmentation.confusion import Counts
from wsl.types import ClassSet

PROTOCOL = "MaxBoxAcc (Choe et al., CVPR 2020): GT-known localisation, one threshold for all images"
PER_CLASS = "MaxBoxAcc, but with the best threshold of each class: an upper bound of any choice of thresholds per class"
_V1, _V2 = 0, 1


@dataclass(frozen=True)
class BoxRows:
    """The scores of one set of counts.

    thresholds float64 (T,); group int (T,): the column of `hits` that belongs to each threshold. record: the threshold
    of a `Score`; where its value is None, each score is read at its best column, the lowest on equal scores, else all
    at `column`. counts and conventions go into every score.
    """

    stem: str
    hits: BoxHits
    thresholds: NDArray[np.float64]
    group: NDArray[np.intp]
    column: int
    record: dict[str, Any]
    conventions: dict[str, str]
    counts: dict[str, int]
    classes: ClassSet | None = None

    def main(self) -> list[Score]:
        """V2 at each IoU, the mean of V2, V1 at IoU 0.5."""
        return self._family("", self._score)

    def per_class(self) -> list[Score]:
        """The same where every class has its own best threshold."""
        return self._family(" per-class threshold", self._score_per_class)

    def by_size(self) -> list[Score]:
        """The same for small, medium and large objects, at the threshold that is best for all pairs."""
        sizes = enumerate(SIZES)
        return [row for size, word in sizes for row in self._family(f" {word}", partial(self._score_of_size, size))]

    def _family(self, ending: str, make: Callable[[int, int], Score]) -> list[Score]:
        def name(version: int, row: int) -> Score:
            stem = f"{self.stem}V{version + 1}@{self.hits.iou_thresholds[row]:g}{ending}"
            return replace(make(version, row), name=stem)

        every = [name(_V2, row) for row in range(len(self.hits.iou_thresholds))]
        mean = compute_mean([score.value for score in every])
        stem = f"{self.stem}V2{ending}"
        every.append(replace(every[0], name=stem, value=mean, per_class={}, threshold=self.record, curve=None))
        return every + [name(_V1, row) for row, value in enumerate(self.hits.iou_thresholds) if value == 0.5]

    def _score(self, version: int, row: int) -> Score:
        pairs, found = self.hits.count(version, row)
        column = self._column(found)
        accuracy = [_divide(int(count), pairs) for count in found[self.group]]
        return Score(
            name=self.stem,
            value=_divide(int(found[column]), pairs),
            protocol=PROTOCOL,
            conventions=self.conventions,
            per_class={
                name: {"accuracy": int(own[column]) / total} for name, total, own in self._classes(version, row)
            },
            counts={"image-class pairs": pairs, **self.counts},
            threshold=self._record(column),
            curve={"threshold": self.thresholds.tolist(), "accuracy": accuracy},
        )

    def _score_per_class(self, version: int, row: int) -> Score:
        per_class: dict[str, dict[str, float | None]] = {}
        hits = 0
        for name, total, own in self._classes(version, row):
            column = int(np.argmax(own))
            hits += int(own[column])
            per_class[name] = {"accuracy": int(own[column]) / total, "threshold": self._lowest(column)}
        whole = self._score(version, row)
        value = _divide(hits, whole.counts["image-class pairs"])
        return replace(whole, value=value, protocol=PER_CLASS, per_class=per_class, threshold=self.record, curve=None)

    def _score_of_size(self, size: int, version: int, row: int) -> Score:
        column = self._column(self.hits.count(version, row)[1])
        pairs, found = self.hits.count(version, row, size=size)
        return Score(
            name=self.stem,
            value=_divide(int(found[column]), pairs),
            protocol=PROTOCOL,
            conventions={**self.conventions, "size": self.hits.describe_size(size)},
            counts={"image-class pairs": pairs},
            threshold=self._record(column),
        )

    def _classes(self, version: int, row: int) -> list[tuple[str, int, Counts]]:
        """(name, pairs, pairs found at each column) of every class, ascending."""
        ids = self.hits.class_ids()
        return [(name_class(each, self.classes), *self.hits.count(version, row, class_id=each)) for each in ids]

    def _column(self, found: Counts) -> int:
        return int(np.argmax(found)) if self.record["value"] is None else self.column

    def _record(self, column: int) -> dict[str, Any]:
        return {**self.record, "value": self._lowest(column)} if self.record["value"] is None else self.record

    def _lowest(self, column: int) -> float:
        return float(self.thresholds[int(np.searchsorted(self.group, column))])


def _divide(hits: int, pairs: int) -> float | None:
    return hits / pairs if pairs else None
