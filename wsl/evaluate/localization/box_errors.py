"""What is wrong with a box that misses: a breakdown of localization errors.

The kinds are those of TS-CAM's evaluation (Gao et al., ICCV 2021). IoG is the overlap over the area of the true box,
IoB over the area of the predicted one. The first test that holds names the kind:

1. cls_wrong: the image's predicted class is wrong (only where that is known);
2. correct: IoU with some true box reaches the threshold;
3. multi_instances: at least two true boxes are covered with IoG > 0.3;
4. region_part: IoB > 0.5 with some true box, so most of the prediction lies on a part of the object;
5. region_more: IoG >= 0.7 with some true box, so most of the object is in a prediction that is too large;
6. region_wrong: anything else, also no predicted box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.localization.boxes import compute_box_iou, to_array
from wsl.evaluate.result import Score, name_class
from wsl.evaluate.segmentation.confusion import Counts, check_policy
from wsl.types import Box, ClassSet

KINDS = ("correct", "cls_wrong", "multi_instances", "region_part", "region_more", "region_wrong")
PROTOCOL = "box errors: one kind per image and class (Gao et al., ICCV 2021)"
COMPARISONS = (">=", ">")


def classify_box(
    predicted: Box | None,
    truth: Sequence[Box],
    class_correct: bool | None = None,
    iou_threshold: float = 0.5,
    comparison: str = ">=",
    inclusive: bool = False,
) -> str:
    """The kind (one of KINDS) of a predicted box against all true boxes of its class; see the module's docstring.

    `class_correct` None = no classifier was asked. `inclusive` counts both ends of a box (+1) in all overlaps.
    """
    if class_correct is False:
        return "cls_wrong"
    if predicted is None:
        return "region_wrong"
    found, true = to_array([predicted]), to_array(truth)
    iou = compute_box_iou(found, true, inclusive)[0]
    if (iou > iou_threshold if comparison == ">" else iou >= iou_threshold).any():
        return "correct"
    extra = 1.0 if inclusive else 0.0
    overlap = _areas(np.maximum(found[:, :2], true[:, :2]), np.minimum(found[:, 2:], true[:, 2:]), extra)
    iog = _share(overlap, _areas(true[:, :2], true[:, 2:], extra))
    if (iog > 0.3).sum() >= 2:
        return "multi_instances"
    if (_share(overlap, _areas(found[:, :2], found[:, 2:], extra)) > 0.5).any():
        return "region_part"
    return "region_more" if (iog >= 0.7).any() else "region_wrong"


class BoxErrors:
    """Shares of (image, class) pairs with each kind of box error; they add up to 1."""

    def __init__(self, iou_threshold: float = 0.5, comparison: str = ">=", inclusive: bool = False) -> None:
        check_policy(comparison, COMPARISONS, "comparison")
        if not 0 < iou_threshold <= 1:
            raise ConfigError(f"iou_threshold: expected a value in (0, 1], but got {iou_threshold:g}.")
        self.iou_threshold, self.comparison, self.inclusive = float(iou_threshold), comparison, inclusive
        self._counts: dict[int, Counts] = {}  # class id -> (kind,)

    def update(
        self, predicted: Box | None, truth: Sequence[Box], class_correct: bool | None = None, name: str = "image"
    ) -> None:
        """Adds one class that is in one image: the box found for it (None = no box) and all its true boxes (xyxy,
        pixels). `class_correct`: is the image's predicted class right? None = not asked. DataError for true boxes
        that are not of exactly one class."""
        class_ids = sorted({box.class_id for box in truth})
        if len(class_ids) != 1:
            raise DataError(f"{name}: expected true boxes of exactly one class, but got classes {class_ids}.")
        kind = classify_box(
            predicted, truth, class_correct, self.iou_threshold, self.comparison, inclusive=self.inclusive
        )
        self._add(class_ids[0], np.array([each == kind for each in KINDS], np.int64))

    def merge(self, other: BoxErrors) -> None:
        """Adds the counts of `other`, made with the same settings."""
        mine, theirs = ((each.iou_threshold, each.comparison, each.inclusive) for each in (self, other))
        if mine != theirs:
            raise ConfigError("Only BoxErrors objects with the same settings can be joined.")
        for class_id, counts in other._counts.items():
            self._add(class_id, counts)

    def scores(self, classes: ClassSet | None = None) -> list[Score]:
        """The share of each kind, in the order of KINDS."""
        return [self._score(column, kind, classes) for column, kind in enumerate(KINDS)]

    def _score(self, column: int, kind: str, classes: ClassSet | None) -> Score:
        total = sum(self._counts.values(), np.zeros(len(KINDS), np.int64))
        pairs = int(total.sum())
        return Score(
            name=f"box {kind}",
            value=int(total[column]) / pairs if pairs else None,
            protocol=PROTOCOL,
            conventions={
                "box IoU": "both ends counted (+1)" if self.inclusive else "half-open",
                "comparison": f"IoU {self.comparison} {self.iou_threshold:g}",
                "order of tests": "cls_wrong, correct, " + ", ".join(KINDS[2:]),
            },
            per_class={
                name_class(class_id, classes): {"share": int(counts[column]) / int(counts.sum())}
                for class_id, counts in sorted(self._counts.items())
            },
            counts={"image-class pairs": pairs, kind: int(total[column])},
        )

    def _add(self, class_id: int, counts: Counts) -> None:
        self._counts[class_id] = self._counts.get(class_id, np.zeros_like(counts)) + counts


def _areas(low: NDArray[np.float64], high: NDArray[np.float64], extra: float) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.prod(np.maximum(high - low + extra, 0.0), axis=1)
    return areas


def _share(overlap: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where a box has no area."""
    result = np.zeros_like(overlap)
    np.divide(overlap, area, out=result, where=area > 0)
    return result
